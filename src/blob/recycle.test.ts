import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { bytesBlob, zeroBlob } from './bytes.ts';
import { concatBlobs } from './compose.ts';
import { fileBlob } from './file.ts';
import { readRecycled } from './recycle.ts';

let directory: string;
const content = randomBytes(700_000);
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'recycle-'));
  await writeFile(join(directory, 'file'), content);
});
after(() => rm(directory, { recursive: true }));

test('any range is what the blob has there, also when chunks are taken one behind', async () => {
  const path = join(directory, 'file');
  const part = (offset: number, size: number) => fileBlob(path, { offset, size });
  const blob = concatBlobs([
    bytesBlob(content.subarray(0, 5000)),
    part(5000, 300_000),
    zeroBlob(70_000),
    part(305_000, 10),
    part(305_010, 394_990),
    zeroBlob(3),
  ]);
  const whole = Buffer.concat([
    content.subarray(0, 305_000),
    Buffer.alloc(70_000),
    content.subarray(305_000),
    Buffer.alloc(3),
  ]);
  assert.equal(blob.size, whole.length);
  const range = fc.tuple(fc.nat(whole.length), fc.nat(whole.length));
  await fc.assert(
    fc.asyncProperty(range, async ([a, b]) => {
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const copies: Buffer[] = [];
      let previous: Uint8Array = new Uint8Array(0);
      for await (const chunk of readRecycled(blob, start, end - start)) {
        copies.push(Buffer.from(previous));
        previous = chunk;
      }
      copies.push(Buffer.from(previous));
      assert.ok(Buffer.concat(copies).equals(whole.subarray(start, end)));
    }),
    { numRuns: 60 },
  );
});

test('a file that is too short is an error', async () => {
  const blob = fileBlob(join(directory, 'file'), { size: content.length + 1 });
  await assert.rejects(async () => {
    for await (const _ of readRecycled(blob, 0, blob.size));
  }, /ends at 700000/);
});
