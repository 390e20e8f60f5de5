/** A process of local-store.test.ts: writes entries, several at a time, until it is killed; prints each that is whole. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { openLocalStore } from './local-store.ts';

const store = await openLocalStore({ directory: process.argv[2] ?? '', maxBytes: 1 << 30 });
// Held to the end: there is always something in `work/` that nobody else may remove.
await store.scratch();
const done = new Set<number>();
let announced = 0;

async function writeEntry(i: number): Promise<void> {
  using _ = await store.obtain(`entry-${i}`, async (directory) => {
    for (const name of ['a', 'b']) {
      await using file = await open(join(directory, name), 'wx');
      for (let k = 0; k < 20; k++) await file.write(Buffer.alloc(10_000, i % 256));
    }
  });
  done.add(i);
  while (done.has(announced)) process.stdout.write(`${announced++}\n`);
}

async function writer(first: number): Promise<void> {
  for (let i = first; i < 400; i += 4) await writeEntry(i);
}

await Promise.all([0, 1, 2, 3].map(writer));
