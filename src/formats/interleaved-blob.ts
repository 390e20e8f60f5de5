import { type Blob, checkRange, type Extent } from '../blob/blob.ts';
import { lazyBytes } from './lazy-bytes.ts';

/** Bytes that are put into each period of a source. */
export interface Insert {
  /** Before this byte of the period; as many as it has: behind it, when it is whole. */
  readonly at: number;
  readonly size: number;
}

export interface Interleaving {
  /** Bytes of the source in a period; the last one may have fewer, and then lacks the inserts behind its end. */
  readonly period: number;
  /** In order. */
  readonly inserts: readonly Insert[];
  /** The bytes of an insert, by its index and that of its period. Only called when they are read. */
  readonly make: (
    period: number,
    insert: number,
    signal: AbortSignal | undefined,
  ) => Uint8Array | Promise<Uint8Array>;
}

/** Where a position is in its period: in an insert, or this many bytes before the next one. */
type Place =
  | { readonly kind: 'insert'; readonly index: number; readonly skip: number }
  | { readonly kind: 'source'; readonly length: number };

/**
 * `source` with bytes in between, for formats that store data as it is behind small headers. The source is referred to,
 * and the map of it all takes no memory.
 */
export function interleavedBlob(source: Blob, interleaving: Interleaving): Blob {
  const { period, inserts, make } = interleaving;
  const unit = period + sumOf(inserts);
  const rest = source.size % period;
  const size =
    Math.floor(source.size / period) * unit + rest + sumOf(inserts.filter((insert) => insert.at < rest));
  return {
    size,
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      const end = offset + length;
      const from = sourceBefore(offset);
      let at = offset;
      for await (const bytes of source.read(from, sourceBefore(end) - from, signal)) {
        for (let left = bytes; left.length > 0; ) {
          const place = placeOf(at);
          const part =
            place.kind === 'insert' ? await partOf(place, at, end, signal) : left.subarray(0, place.length);
          at += part.length;
          if (place.kind === 'source') left = left.subarray(part.length);
          yield part;
        }
      }
      for (let place = placeOf(at); at < end && place.kind === 'insert'; place = placeOf(at)) {
        const part = await partOf(place, at, end, signal);
        at += part.length;
        yield part;
      }
    },
    *extents() {
      let at = 0;
      for (const extent of source.extents()) {
        for (let done = 0; done < extent.length; ) {
          for (const insert of insertsAt(at)) {
            yield insert;
            at += insert.length;
          }
          const place = placeOf(at);
          const length = place.kind === 'source' ? Math.min(extent.length - done, place.length) : 0;
          yield cut(extent, done, length, at);
          done += length;
          at += length;
        }
      }
      yield* insertsAt(at);
    },
  };

  function placeOf(at: number): Place {
    const within = at % unit;
    let before = 0;
    for (const [index, insert] of inserts.entries()) {
      const start = insert.at + before;
      if (within < start) return { kind: 'source', length: start - within };
      if (within < start + insert.size) return { kind: 'insert', index, skip: within - start };
      before += insert.size;
    }
    return { kind: 'source', length: unit - within };
  }

  /** Bytes of the source before a position. */
  function sourceBefore(at: number): number {
    const within = at % unit;
    let inserted = 0;
    for (const insert of inserts) {
      inserted += Math.min(insert.size, Math.max(0, within - insert.at - inserted));
    }
    return Math.floor(at / unit) * period + within - inserted;
  }

  async function partOf(
    { index, skip }: Place & { readonly kind: 'insert' },
    at: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const bytes = await make(Math.floor(at / unit), index, signal);
    return bytes.subarray(skip, skip + end - at);
  }

  /** The inserts that follow one another from a position where one begins. */
  function* insertsAt(start: number): Iterable<Extent> {
    let at = start;
    for (let place = placeOf(at); at < size && place.kind === 'insert'; place = placeOf(at)) {
      const { index } = place;
      const length = inserts[index]?.size ?? 0;
      const number = Math.floor(at / unit);
      const leaf = lazyBytes(length, async (signal) => make(number, index, signal));
      yield { kind: 'data', offset: at, length, source: leaf, sourceOffset: 0 };
      at += length;
    }
  }
}

/** How bytes are cut into chunks, each behind a header of its own. */
export interface Chunking {
  /** Bytes of a chunk; the last one may have fewer. */
  readonly chunkSize: number;
  readonly headerSize: number;
  /** The header of the chunk of `length` bytes that begins at `offset` of the source: `headerSize` bytes. */
  readonly header: (offset: number, length: number) => Uint8Array;
}

/** `source` cut into chunks behind headers. */
export function chunkedBlob(source: Blob, { chunkSize, headerSize, header }: Chunking): Blob {
  return interleavedBlob(source, {
    period: chunkSize,
    inserts: [{ at: 0, size: headerSize }],
    make: (index) => header(index * chunkSize, Math.min(chunkSize, source.size - index * chunkSize)),
  });
}

function sumOf(inserts: readonly Insert[]): number {
  return inserts.reduce((sum, insert) => sum + insert.size, 0);
}

function cut(extent: Extent, skip: number, length: number, offset: number): Extent {
  return extent.kind === 'zero'
    ? { kind: 'zero', offset, length }
    : { ...extent, offset, length, sourceOffset: extent.sourceOffset + skip };
}
