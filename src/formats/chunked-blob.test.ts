import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { blobCrc32 } from './checksums.ts';
import { chunkedBlob } from './chunked-blob.ts';
import { contents } from './disk-sample.testing.ts';
import { lazyBytes } from './lazy-bytes.ts';

const source: fc.Arbitrary<Blob> = fc
  .array(fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.nat(30)), { maxLength: 5 })
  .map((parts) =>
    concatBlobs(parts.map((part) => (typeof part === 'number' ? zeroBlob(part) : bytesBlob(part)))),
  );

test('chunks behind their headers, whole, by range and by extents', async () => {
  const shape = fc.record({
    chunkSize: fc.integer({ min: 1, max: 12 }),
    headerSize: fc.integer({ min: 1, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(source, shape, fc.nat(), fc.nat(), async (blob, { chunkSize, headerSize }, a, b) => {
      const header = (offset: number, length: number): Uint8Array =>
        Uint8Array.from({ length: headerSize }, (_, i) => 100 + offset + 10 * length + i);
      const bytes = await contents(blob);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += chunkSize) {
        const chunk = bytes.subarray(at, at + chunkSize);
        pieces.push(header(at, chunk.length), chunk);
      }
      const wanted = Buffer.concat(pieces);
      const chunked = chunkedBlob(blob, { chunkSize, headerSize, header });
      assert.equal(chunked.size, wanted.length);
      assert.deepEqual(await contents(chunked), wanted);
      const offset = a % (wanted.length + 1);
      const length = b % (wanted.length - offset + 1);
      const part = Buffer.concat(await Array.fromAsync(chunked.read(offset, length)));
      assert.deepEqual(part, wanted.subarray(offset, offset + length));
      let end = 0;
      for (const extent of chunked.extents()) {
        assert.equal(extent.offset, end);
        assert.ok(extent.length > 0);
        end += extent.length;
        const found =
          extent.kind === 'zero'
            ? Buffer.alloc(extent.length)
            : Buffer.from(await readRange(extent.source, extent.sourceOffset, extent.length));
        assert.deepEqual(found, wanted.subarray(extent.offset, end));
      }
      assert.equal(end, wanted.length);
    }),
  );
});

test('lazy bytes are made once, when they are read; what fails is tried again', async () => {
  let made = 0;
  const blob = lazyBytes(3, async () => {
    made++;
    if (made === 1) throw new Error('not yet');
    return Uint8Array.of(1, 2, 3);
  });
  assert.deepEqual(
    [...blob.extents()].map(({ offset, length }) => [offset, length]),
    [[0, 3]],
  );
  assert.equal((await readRange(blob, 1, 0)).length, 0);
  assert.equal(made, 0);
  await assert.rejects(readRange(blob, 1, 1), /not yet/);
  assert.deepEqual(await readRange(blob, 1, 1), Uint8Array.of(2));
  assert.deepEqual(await readRange(blob, 0, 3), Uint8Array.of(1, 2, 3));
  assert.equal(made, 2);
  await assert.rejects(
    readRange(
      lazyBytes(3, async () => Uint8Array.of(1)),
      0,
      3,
    ),
    RangeError,
  );
});

test('checksums are remembered by the names of the bytes, and by nothing else', async () => {
  const memory = new Map<string, number>();
  const leaf = (text: string, key?: string): Blob =>
    bytesBlob(Buffer.from(text), key === undefined ? {} : { key });
  const blobs: readonly Blob[] = [
    leaf('abc', 'a'),
    leaf('abd', 'b'),
    leaf('no name'),
    concatBlobs([leaf('abc', 'a'), leaf('abd', 'b')]),
    concatBlobs([leaf('abc', 'a'), zeroBlob(3), leaf('abd', 'b')]),
    concatBlobs([leaf('abc', 'a'), leaf('no name'), leaf('abd', 'b')]),
    leaf('abc and more', 'a 1:0+3'),
    zeroBlob(1000),
  ];
  for (const _ of [1, 2]) {
    for (const blob of blobs) assert.equal(await blobCrc32(blob, memory), crc32(await contents(blob)));
  }
  assert.equal(memory.size, 6);
});
