import { checkRange, type LeafBlob, leafExtents } from '../blob/blob.ts';

/**
 * A few bytes of a known number that are made when they are first read, and then kept: checksums behind what they
 * are of, so that nothing has to be read for the size of a file. What fails is tried again by the next reader.
 */
export function lazyBytes(size: number, make: (signal?: AbortSignal) => Promise<Uint8Array>): LeafBlob {
  let made: Uint8Array | undefined;
  const blob: LeafBlob = {
    size,
    nature: 'packed',
    key: undefined,
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      if (length === 0) return;
      signal?.throwIfAborted();
      made ??= await make(signal);
      if (made.length !== size) throw new RangeError(`${made.length} bytes were made instead of ${size}`);
      yield made.subarray(offset, offset + length);
    },
    extents: () => leafExtents(blob),
  };
  return blob;
}
