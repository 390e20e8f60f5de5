/**
 * Bytes with a known size that can be read anywhere. The one abstraction that everything shares:
 * sizes are known before the first byte, any range can be read, and composition copies nothing.
 */
export interface Blob {
  /** Bytes. */
  readonly size: number;

  /**
   * The bytes `[offset, offset + length)` in order, in chunks of the source's choosing (at most 1 MiB each).
   * Chunks are not written to afterwards, by either side. Throws `RangeError` when the range is not inside.
   */
  read(offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;

  /** What the bytes are made of, in order, without gaps or overlaps, zero-length extents left out. */
  extents(): Iterable<Extent>;
}

/**
 * A run of bytes of one nature, which encoders use:
 * `zero`: only zero bytes;
 * `data`: bytes of `source` from `sourceOffset`, with what is known of them in `source.nature`.
 */
export type Extent =
  | { readonly kind: 'zero'; readonly offset: number; readonly length: number }
  | {
      readonly kind: 'data';
      readonly offset: number;
      readonly length: number;
      readonly source: LeafBlob;
      readonly sourceOffset: number;
    };

/** `packed`: already compressed or random, so not worth compressing; `plain`: not known to be. */
export type Nature = 'packed' | 'plain';

/** A blob that is not composed of others. `key` names its bytes for ever (a digest or a recipe's hash). */
export interface LeafBlob extends Blob {
  readonly nature: Nature;
  readonly key: string | undefined;
  /** Where the bytes lie when they are a part of a file, so that another thread or program can read them. */
  readonly file?: FilePart;
}

/** `size` bytes of a file from `offset` on. Can be sent to another thread. */
export interface FilePart {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
}

/** The largest chunk that `read` yields. */
export const CHUNK_SIZE = 1 << 20;

export function checkRange(size: number, offset: number, length: number): void {
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset + length > size
  ) {
    throw new RangeError(`range ${offset}+${length} is outside of a blob of ${size} bytes`);
  }
}

/** The one extent of a leaf. */
export function leafExtents(leaf: LeafBlob): readonly Extent[] {
  return leaf.size === 0
    ? []
    : [{ kind: 'data', offset: 0, length: leaf.size, source: leaf, sourceOffset: 0 }];
}
