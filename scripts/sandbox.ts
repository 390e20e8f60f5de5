import { join } from 'node:path';
import { sandboxRelease } from '../src/testing/sandbox/release.ts';

// Makes the sandbox release (or finds it made), so that tests that run side by side do not each make it.
const started = Date.now();
const release = await sandboxRelease(join(import.meta.dirname, '../.cache'));
const seconds = ((Date.now() - started) / 1000).toFixed(1);
process.stdout.write(`sandbox release: ${release.directory} (${seconds} s)\n`);
