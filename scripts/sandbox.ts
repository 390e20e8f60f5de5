import { join } from 'node:path';
import { grubDirectory } from '../src/testing/grub-directory.ts';
import { sandboxRelease } from '../src/testing/sandbox/release.ts';

// Makes the sandbox release (or finds it made), so that tests that run side by side do not each make it.
const started = Date.now();
const cache = join(import.meta.dirname, '../.cache');
const release = await sandboxRelease(cache);
await grubDirectory(cache);
const seconds = ((Date.now() - started) / 1000).toFixed(1);
process.stdout.write(`sandbox release: ${release.directory} (${seconds} s)\n`);
