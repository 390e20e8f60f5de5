import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Blob, Extent } from './blob.ts';
import { bytesBlob, textBlob, zeroBlob } from './bytes.ts';
import { concatBlobs, placedBlob, sliceBlob } from './compose.ts';
import { readAll, readRange, sha256, writeBlob } from './consume.ts';
import { openFileBlob } from './file.ts';
import { fromPortable, toPortable } from './portable.ts';

/** A composition and the bytes it must have. */
interface Sample {
  readonly blob: Blob;
  readonly bytes: Uint8Array;
}

const leaf: fc.Arbitrary<Sample> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ blob: bytesBlob(bytes), bytes })),
  fc.nat(40).map((size) => ({ blob: zeroBlob(size), bytes: new Uint8Array(size) })),
);

const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('sample'), { maxLength: 4 }).map((parts) => ({
      blob: concatBlobs(parts.map((part) => part.blob)),
      bytes: Buffer.concat(parts.map((part) => part.bytes)),
    })),
    fc.array(fc.tuple(fc.nat(9), tie('sample')), { maxLength: 4 }).chain((gapped) =>
      fc.nat(9).map((rest) => {
        const chunks: Uint8Array[] = [];
        const placed: { offset: number; blob: Blob }[] = [];
        let at = 0;
        for (const [gap, part] of gapped) {
          chunks.push(new Uint8Array(gap), part.bytes);
          placed.push({ offset: at + gap, blob: part.blob });
          at += gap + part.bytes.length;
        }
        chunks.push(new Uint8Array(rest));
        return { blob: placedBlob(at + rest, placed.reverse()), bytes: Buffer.concat(chunks) };
      }),
    ),
    fc.tuple(tie('sample'), fc.nat(), fc.nat()).map(([part, a, b]) => {
      const offset = a % (part.bytes.length + 1);
      const length = b % (part.bytes.length - offset + 1);
      return {
        blob: sliceBlob(part.blob, offset, length),
        bytes: part.bytes.subarray(offset, offset + length),
      };
    }),
  ),
}));

async function fromExtents(blob: Blob): Promise<Uint8Array> {
  const bytes = new Uint8Array(blob.size);
  let end = 0;
  for (const extent of blob.extents()) {
    assert.equal(extent.offset, end, 'extents have no gaps');
    assert.ok(extent.length > 0, 'extents are not empty');
    end += extent.length;
    if (extent.kind === 'data') {
      bytes.set(await readRange(extent.source, extent.sourceOffset, extent.length), extent.offset);
    }
  }
  assert.equal(end, blob.size, 'extents cover the blob');
  return bytes;
}

test('every composition reads as its bytes, whole, by range and by extents', async () => {
  await fc.assert(
    fc.asyncProperty(sample, fc.nat(), fc.nat(), async ({ blob, bytes }, a, b) => {
      assert.equal(blob.size, bytes.length);
      assert.deepEqual(Buffer.from(await readAll(blob)), Buffer.from(bytes));
      const offset = a % (bytes.length + 1);
      const length = b % (bytes.length - offset + 1);
      assert.deepEqual(
        Buffer.from(await readRange(blob, offset, length)),
        Buffer.from(bytes.subarray(offset, offset + length)),
      );
      assert.deepEqual(Buffer.from(await fromExtents(blob)), Buffer.from(bytes));
    }),
  );
});

test('ranges outside are refused', async () => {
  const blobs = [textBlob('abc'), zeroBlob(3), concatBlobs([textBlob('a'), textBlob('bc')])];
  for (const blob of blobs) {
    for (const [offset, length] of [
      [0, 4],
      [4, 0],
      [-1, 1],
      [1, -1],
      [0.5, 1],
      [2, 2],
    ] as const) {
      const drain = async (): Promise<void> => {
        for await (const _ of blob.read(offset, length)) break;
      };
      await assert.rejects(drain, RangeError, `${offset}+${length}`);
    }
  }
});

test('placed parts may not overlap or reach beyond the end', () => {
  const part = textBlob('abcd');
  assert.throws(
    () =>
      placedBlob(8, [
        { offset: 0, blob: part },
        { offset: 3, blob: part },
      ]),
    RangeError,
  );
  assert.throws(() => placedBlob(7, [{ offset: 4, blob: part }]), RangeError);
});

test('a file blob reads its part of the file, and a write keeps holes', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'blob-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'a'), '0123456789');
  const part = await openFileBlob(join(dir, 'a'), { offset: 2, size: 5 });
  assert.equal(Buffer.from(await readAll(part)).toString(), '23456');
  const blob = concatBlobs([part, zeroBlob(3 << 20), textBlob('end')]);
  await writeBlob(blob, join(dir, 'b'));
  const written = await readFile(join(dir, 'b'));
  assert.equal(written.length, blob.size);
  assert.equal(written.subarray(-3).toString(), 'end');
  assert.equal(await sha256(await openFileBlob(join(dir, 'b'))), await sha256(blob));
  await assert.rejects(writeBlob(blob, join(dir, 'b')), { code: 'EEXIST' });
});

test('a file that ended early is an error, not a short read', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'blob-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'a'), '0123456789');
  const blob = await openFileBlob(join(dir, 'a'));
  await writeFile(join(dir, 'a'), '01234');
  await assert.rejects(readAll(blob), /ends at 5, 5 bytes before it should/);
});

test('reading stops when the signal aborts', async () => {
  const aborted = AbortSignal.abort();
  for (const blob of [textBlob('abc'), zeroBlob(3)]) {
    await assert.rejects(readRange(blob, 0, 3, aborted), { name: 'AbortError' });
  }
});

test('extents keep the nature and key of their source', () => {
  const packed = bytesBlob(new Uint8Array(4), { nature: 'packed', key: 'k' });
  const [first, second] = [...concatBlobs([zeroBlob(2), packed]).extents()] as [Extent, Extent];
  assert.equal(first.kind, 'zero');
  assert.ok(second.kind === 'data' && second.source.nature === 'packed' && second.source.key === 'k');
});

test('a portable blob is the same blob on the other side, and repeated pieces are taken along once', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'blob-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(join(dir, 'a'), '0123456789');
  const piece = bytesBlob(new Uint8Array(1 << 20).fill(7));
  const repeated = concatBlobs(Array.from({ length: 100 }, () => piece));
  const file = await openFileBlob(join(dir, 'a'), { offset: 2 });
  const blob = concatBlobs([file, zeroBlob(5), sliceBlob(repeated, 3, (99 << 20) + 5), textBlob('end')]);
  const there = fromPortable(structuredClone(await toPortable(blob)));
  assert.equal(there.size, blob.size);
  assert.equal(await sha256(there), await sha256(blob));
  const large = bytesBlob(new Uint8Array(65 << 20));
  await assert.rejects(toPortable(large), RangeError);
});
