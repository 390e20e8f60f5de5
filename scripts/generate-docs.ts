/** Writes the generated documents; with `--check` only says (exit 1) which of them are not up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { USAGE } from '../src/cli/usage.ts';
import { configurationDoc } from '../src/config/documentation.ts';
import { apiDoc } from '../src/http/api-doc.ts';

interface GeneratedDocument {
  /** Below the root of the project. */
  readonly path: string;
  readonly render: () => string | Promise<string>;
}

const DOCUMENTS: readonly GeneratedDocument[] = [
  { path: 'docs/configuration.md', render: () => configurationDoc(USAGE) },
  { path: 'docs/api.md', render: apiDoc },
];

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');
let stale = 0;
for (const { path, render } of DOCUMENTS) {
  const text = await render();
  const there = await readFile(join(root, path), 'utf8').catch(() => undefined);
  if (there === text) continue;
  stale++;
  if (check) process.stderr.write(`${path} is not up to date: run node scripts/generate-docs.ts\n`);
  else {
    await writeFile(join(root, path), text);
    process.stdout.write(`${path} written\n`);
  }
}
if (check && stale > 0) process.exitCode = 1;
