import type { Blob, LeafBlob, Nature } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';
import { inOrder } from './in-order.ts';

/**
 * A run of bytes that an encoder treats in one way: `zero` (costs a precomputed piece), `packed` (stored),
 * `plain` (really compressed).
 */
export interface Segment {
  readonly kind: 'zero' | 'packed' | 'plain';
  /** Bytes from the beginning of the blob. */
  readonly offset: number;
  readonly length: number;
}

export interface SegmentLimits {
  /** A zero run shorter than this is not worth a piece of its own (bytes). */
  readonly minZero: number;
  /** Packed bytes fewer than this are not worth a piece of their own next to plain ones. */
  readonly minPacked: number;
  /** The most bytes of a plain segment, which is what one call of a compressor sees. */
  readonly plain: number;
  readonly packed: number;
  /** The most plain bytes of all: what comes after them counts as packed. */
  readonly plainTotal: number;
}

/**
 * What is compressed is held in memory, since the size of the file has to be known before its first byte; the plain
 * bytes of a usual disk are 5 MiB, so the limit is for those who put something else on it.
 */
export const SEGMENT_LIMITS: SegmentLimits = {
  minZero: 4096,
  minPacked: 4096,
  plain: 1 << 20,
  packed: 8 << 20,
  plainTotal: 256 << 20,
};

/** What a leaf is: what it says of itself, unless somebody knows better. */
export type NatureOf = (leaf: LeafBlob) => Nature;

export const ownNature: NatureOf = (leaf) => leaf.nature;

/**
 * The extents of a blob as segments, in order and without gaps: neighbours of a kind are one, what is too short
 * is joined to its neighbours, long ones are cut. Only the map is read, none of the bytes.
 */
export function planSegments(
  blob: Blob,
  limits: SegmentLimits,
  natureOf: NatureOf = ownNature,
): readonly Segment[] {
  const all = runs(blob, limits, natureOf);
  const short = joinShort(all, (run) => run.kind === 'zero' && run.length < limits.minZero);
  const joined = joinShort(short, (run) => run.kind === 'packed' && run.length < limits.minPacked);
  let plain = 0;
  return joined.flatMap((run) => {
    if (run.kind === 'zero') return [segmentOf(run)];
    return cut(run, limits[run.kind]).flatMap((segment) => {
      if (segment.kind === 'packed') return [segment];
      plain += segment.length;
      return plain > limits.plainTotal ? cut({ ...segment, kind: 'packed' }, limits.packed) : [segment];
    });
  });
}

/** What `encode` makes of each plain segment, a few of them at a time. */
export async function encodePlain<T>(
  blob: Blob,
  segments: readonly Segment[],
  encode: (bytes: Uint8Array, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<Segment, T>> {
  const plain = segments.filter((segment) => segment.kind === 'plain');
  const entry = async (segment: Segment, inner: AbortSignal): Promise<[Segment, T]> => {
    const bytes = await readRange(blob, segment.offset, segment.length, inner);
    return [segment, await encode(bytes, inner)];
  };
  const options = { cost: (segment: Segment) => segment.length, limit: IN_FLIGHT, signal };
  return new Map(await Array.fromAsync(inOrder(plain, entry, options)));
}

/** Many segments at a time, since a compressor may take them through one run of a program. */
const IN_FLIGHT = 4 << 20;

interface Run extends Segment {
  /** Begins a segment, so that a large leaf is cut in the same places wherever it lies, and is known again. */
  readonly apart: boolean;
}

/** Extents, neighbours of a kind as one. */
function runs(blob: Blob, limits: SegmentLimits, natureOf: NatureOf): Run[] {
  const merged: Run[] = [];
  for (const extent of blob.extents()) {
    const { offset, length } = extent;
    const kind = extent.kind === 'zero' ? 'zero' : natureOf(extent.source);
    append(merged, { kind, offset, length, apart: kind !== 'zero' && length >= limits[kind] });
  }
  return merged;
}

/**
 * Short runs take the kind of a neighbour: plain when there is a plain one, since there they cost least;
 * between packed bytes they are stored along; a packed run among zeros stays what it is.
 */
function joinShort(all: readonly Run[], short: (run: Segment) => boolean): Run[] {
  const joined: Run[] = [];
  for (const [i, run] of all.entries()) {
    if (!short(run)) {
      append(joined, run);
      continue;
    }
    // The neighbour before has been decided on, and may have become plain itself.
    const neighbours = [joined.at(-1)?.kind, all[i + 1]?.kind];
    const kind = neighbours.includes('plain')
      ? 'plain'
      : run.kind === 'zero' && neighbours.includes('packed')
        ? 'packed'
        : run.kind;
    append(joined, { ...run, kind });
  }
  return joined;
}

function append(list: Run[], run: Run): void {
  const last = list.at(-1);
  if (last?.kind === run.kind && !run.apart) {
    list[list.length - 1] = { ...last, length: last.length + run.length };
  } else {
    list.push(run);
  }
}

function cut(run: Segment, size: number): Segment[] {
  const parts: Segment[] = [];
  for (let at = 0; at < run.length; at += size) {
    parts.push({ kind: run.kind, offset: run.offset + at, length: Math.min(size, run.length - at) });
  }
  return parts;
}

function segmentOf({ kind, offset, length }: Run): Segment {
  return { kind, offset, length };
}
