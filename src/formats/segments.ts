import type { Blob } from '../blob/blob.ts';

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
}

/**
 * The extents of a blob as segments, in order and without gaps: neighbours of a kind are one, what is too short
 * is joined to its neighbours, long ones are cut. Only the map is read, none of the bytes.
 */
export function planSegments(blob: Blob, limits: SegmentLimits): readonly Segment[] {
  const short = joinShort(runs(blob), (run) => run.kind === 'zero' && run.length < limits.minZero);
  const joined = joinShort(short, (run) => run.kind === 'packed' && run.length < limits.minPacked);
  return joined.flatMap((run) => (run.kind === 'zero' ? [run] : cut(run, limits[run.kind])));
}

/** Extents, neighbours of a kind as one. */
function runs(blob: Blob): Segment[] {
  const merged: Segment[] = [];
  for (const extent of blob.extents()) {
    const kind = extent.kind === 'zero' ? 'zero' : extent.source.nature;
    append(merged, { kind, offset: extent.offset, length: extent.length });
  }
  return merged;
}

/**
 * Short runs take the kind of a neighbour: plain when there is a plain one, since there they cost least;
 * between packed bytes they are stored along; a packed run among zeros stays what it is.
 */
function joinShort(all: readonly Segment[], short: (run: Segment) => boolean): Segment[] {
  const joined: Segment[] = [];
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

function append(list: Segment[], run: Segment): void {
  const last = list.at(-1);
  if (last?.kind === run.kind) list[list.length - 1] = { ...last, length: last.length + run.length };
  else list.push(run);
}

function cut(run: Segment, size: number): Segment[] {
  const parts: Segment[] = [];
  for (let at = 0; at < run.length; at += size) {
    parts.push({ kind: run.kind, offset: run.offset + at, length: Math.min(size, run.length - at) });
  }
  return parts;
}
