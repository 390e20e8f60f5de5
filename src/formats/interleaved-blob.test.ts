import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { blobCrc32 } from './checksums.ts';
import { contents } from './disk-sample.testing.ts';
import { chunkedBlob, type Insert, interleavedBlob } from './interleaved-blob.ts';
import { lazyBytes } from './lazy-bytes.ts';

const source: fc.Arbitrary<Blob> = fc
  .array(fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.nat(30)), { maxLength: 5 })
  .map((parts) =>
    concatBlobs(parts.map((part) => (typeof part === 'number' ? zeroBlob(part) : bytesBlob(part)))),
  );

interface Shape {
  readonly period: number;
  readonly inserts: readonly Insert[];
}

const shape: fc.Arbitrary<Shape> = fc.integer({ min: 1, max: 12 }).chain((period) =>
  fc
    .array(fc.record({ at: fc.nat(period), size: fc.integer({ min: 1, max: 6 }) }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((inserts) => ({ period, inserts: inserts.sort((a, b) => a.at - b.at) })),
);

const insertBytes = (period: number, index: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => 100 + 31 * period + 7 * index + i);

/** Period by period, in the plainest way. */
function interleave(bytes: Uint8Array, { period, inserts }: Shape): Buffer {
  const pieces: Uint8Array[] = [];
  for (let number = 0; number * period < bytes.length; number++) {
    const part = bytes.subarray(number * period, (number + 1) * period);
    let done = 0;
    for (const [index, { at, size }] of inserts.entries()) {
      if (at > part.length || (at === part.length && at < period)) break;
      pieces.push(part.subarray(done, at), insertBytes(number, index, size));
      done = at;
    }
    pieces.push(part.subarray(done));
  }
  return Buffer.concat(pieces);
}

test('a source with inserts: whole, by range and by extents', async () => {
  await fc.assert(
    fc.asyncProperty(source, shape, fc.boolean(), fc.nat(), fc.nat(), async (blob, form, later, a, b) => {
      const make = (period: number, index: number): Uint8Array | Promise<Uint8Array> => {
        const bytes = insertBytes(period, index, form.inserts[index]!.size);
        return later ? Promise.resolve(bytes) : bytes;
      };
      const wanted = interleave(await contents(blob), form);
      const found = interleavedBlob(blob, { ...form, make });
      assert.equal(found.size, wanted.length);
      assert.deepEqual(Buffer.concat(await Array.fromAsync(found.read(0, found.size))), wanted);
      const offset = a % (wanted.length + 1);
      const length = b % (wanted.length - offset + 1);
      const part = Buffer.concat(await Array.fromAsync(found.read(offset, length)));
      assert.deepEqual(part, wanted.subarray(offset, offset + length));
      let end = 0;
      for (const extent of found.extents()) {
        assert.equal(extent.offset, end);
        assert.ok(extent.length > 0);
        end += extent.length;
        const bytes =
          extent.kind === 'zero'
            ? Buffer.alloc(extent.length)
            : Buffer.from(await readRange(extent.source, extent.sourceOffset, extent.length));
        assert.deepEqual(bytes, wanted.subarray(extent.offset, end));
      }
      assert.equal(end, wanted.length);
    }),
    { numRuns: 500 },
  );
});

test('chunks and their headers', async () => {
  const header = (offset: number, length: number): Uint8Array => Uint8Array.of(offset, length);
  const chunked = chunkedBlob(bytesBlob(Buffer.from('abcdefgh')), { chunkSize: 3, headerSize: 2, header });
  assert.deepEqual(await contents(chunked), Buffer.from('\0\x03abc\x03\x03def\x06\x02gh'));
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
