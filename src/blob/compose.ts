import { type Blob, checkRange, type Extent } from './blob.ts';
import { zeroBlob } from './bytes.ts';

/** A part of a composition: all of `blob`, placed at `offset`. */
export interface Placed {
  readonly offset: number;
  readonly blob: Blob;
}

/**
 * A blob of `size` bytes with `parts` at their places and zero bytes everywhere else.
 * Throws `RangeError` when parts overlap or reach beyond the end.
 */
export function placedBlob(size: number, parts: readonly Placed[]): Blob {
  const pieces: Placed[] = [];
  let end = 0;
  for (const part of [...parts].sort((a, b) => a.offset - b.offset)) {
    if (part.blob.size === 0) continue;
    if (part.offset < end)
      throw new RangeError(`parts overlap at ${part.offset} (the one before ends at ${end})`);
    if (part.offset > end) pieces.push({ offset: end, blob: zeroBlob(part.offset - end) });
    pieces.push(part);
    end = part.offset + part.blob.size;
  }
  if (end > size) throw new RangeError(`parts end at ${end}, beyond the size ${size}`);
  if (end < size) pieces.push({ offset: end, blob: zeroBlob(size - end) });
  return composed(size, pieces);
}

/** One blob after the other. */
export function concatBlobs(blobs: readonly Blob[]): Blob {
  const pieces: Placed[] = [];
  let size = 0;
  for (const blob of blobs) {
    if (blob.size > 0) pieces.push({ offset: size, blob });
    size += blob.size;
  }
  const only = pieces[0];
  return pieces.length === 1 && only !== undefined ? only.blob : composed(size, pieces);
}

/** The bytes `[offset, offset + length)` of `blob` as a blob of their own. */
export function sliceBlob(blob: Blob, offset: number, length: number): Blob {
  checkRange(blob.size, offset, length);
  if (offset === 0 && length === blob.size) return blob;
  return {
    size: length,
    read(at, count, signal) {
      checkRange(length, at, count);
      return blob.read(offset + at, count, signal);
    },
    *extents() {
      for (const extent of blob.extents()) {
        const start = Math.max(extent.offset, offset);
        const stop = Math.min(extent.offset + extent.length, offset + length);
        if (start < stop) yield cut(extent, start - extent.offset, stop - start, start - offset);
      }
    },
  };
}

/** `pieces` cover `[0, size)` in order without gaps. */
function composed(size: number, pieces: readonly Placed[]): Blob {
  return {
    size,
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      const end = offset + length;
      for (let i = firstPiece(pieces, offset); i < pieces.length; i++) {
        const piece = pieces[i];
        if (piece === undefined || piece.offset >= end) break;
        const from = Math.max(offset, piece.offset) - piece.offset;
        const to = Math.min(end, piece.offset + piece.blob.size) - piece.offset;
        yield* piece.blob.read(from, to - from, signal);
      }
    },
    *extents() {
      for (const piece of pieces) {
        for (const extent of piece.blob.extents()) {
          yield { ...extent, offset: piece.offset + extent.offset };
        }
      }
    },
  };
}

/** Index of the piece that holds `offset` (binary search). */
function firstPiece(pieces: readonly Placed[], offset: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const piece = pieces[middle];
    if (piece !== undefined && piece.offset + piece.blob.size <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function cut(extent: Extent, skip: number, length: number, offset: number): Extent {
  return extent.kind === 'zero'
    ? { kind: 'zero', offset, length }
    : { ...extent, offset, length, sourceOffset: extent.sourceOffset + skip };
}
