import {
  type Blob,
  CHUNK_SIZE,
  checkRange,
  type Extent,
  type LeafBlob,
  leafExtents,
  type Nature,
} from './blob.ts';

/** A blob over bytes in memory, which nobody may change from now on. */
export function bytesBlob(
  bytes: Uint8Array,
  options: { readonly nature?: Nature; readonly key?: string } = {},
): LeafBlob {
  const blob: LeafBlob = {
    size: bytes.length,
    nature: options.nature ?? 'plain',
    key: options.key,
    async *read(offset, length, signal) {
      checkRange(bytes.length, offset, length);
      for (let at = offset; at < offset + length; at += CHUNK_SIZE) {
        signal?.throwIfAborted();
        yield bytes.subarray(at, Math.min(at + CHUNK_SIZE, offset + length));
      }
    },
    extents: () => leafExtents(blob),
  };
  return blob;
}

const encoder = new TextEncoder();

/** A blob of the UTF-8 bytes of a text. */
export function textBlob(text: string): LeafBlob {
  return bytesBlob(encoder.encode(text));
}

const zeros = new Uint8Array(CHUNK_SIZE);

/** `size` zero bytes, of which none is kept. */
export function zeroBlob(size: number): Blob {
  const extents: readonly Extent[] = size === 0 ? [] : [{ kind: 'zero', offset: 0, length: size }];
  return {
    size,
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      for (let left = length; left > 0; left -= CHUNK_SIZE) {
        signal?.throwIfAborted();
        yield left >= CHUNK_SIZE ? zeros : zeros.subarray(0, left);
      }
    },
    extents: () => extents,
  };
}
