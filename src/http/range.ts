/** A byte range inside a representation. */
export interface ByteRange {
  readonly offset: number;
  /** At least 1. */
  readonly length: number;
}

const RANGE = /^bytes[ \t]*=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*$/i;

/**
 * What a `Range` field asks of a representation of `size` bytes (RFC 9110 §14.1.2, §14.2). Fields that are
 * malformed, of another unit or of several ranges are ignored (`all`), which the RFC allows: nobody downloads an
 * image in `multipart/byteranges`.
 */
export function parseRange(field: string | undefined, size: number): ByteRange | 'all' | 'unsatisfiable' {
  const match = field === undefined ? null : RANGE.exec(field);
  if (match === null) return 'all';
  const [, first, last, suffix] = match;
  if (suffix !== undefined) {
    const length = Math.min(position(suffix), size);
    return length === 0 ? 'unsatisfiable' : { offset: size - length, length };
  }
  const offset = position(first ?? '');
  const end = last === undefined || last === '' ? Number.POSITIVE_INFINITY : position(last);
  if (end < offset) return 'all';
  if (offset >= size) return 'unsatisfiable';
  return { offset, length: Math.min(end, size - 1) - offset + 1 };
}

/** Positions of any length; those that no file can have become the largest one. */
function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}
