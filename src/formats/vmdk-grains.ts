import type { Blob } from '../blob/blob.ts';
import { zeroBlob } from '../blob/bytes.ts';
import { concatBlobs, sliceBlob } from '../blob/compose.ts';
import { readRecycled } from '../blob/recycle.ts';
import { adler32 } from './adler32.ts';
import { interleavedBlob } from './interleaved-blob.ts';
import type { NatureOf } from './segments.ts';
import { GRAIN_SIZE, SECTOR } from './vmdk-head.ts';

/** Grains that follow one another and are encoded in one way. */
export interface GrainGroup {
  readonly first: number;
  readonly count: number;
  readonly packed: boolean;
}

/** Grains of one group, 1 MiB of the disk. */
const GROUP = 16;
/** A marker before each grain: its first sector of the disk (8 bytes) and its compressed size (4). */
const MARKER_SIZE = 12;
/** RFC 1950 §2.2: deflate with a window of 32 KiB, nothing about the level. */
const ZLIB_HEADER = [0x78, 0x01];
/** RFC 1951 §3.2.4: bit for the last one, length, its complement; the most bytes of one. */
const STORED_HEADER_SIZE = 5;
const STORED_MAX = 0xffff;
const ADLER_SIZE = 4;

/** What stands before, in and behind the bytes of a grain that is stored, whose Adler-32 comes last. */
const HEAD_SIZE = MARKER_SIZE + ZLIB_HEADER.length + STORED_HEADER_SIZE;
const STORED_SIZE = ZLIB_HEADER.length + 2 * STORED_HEADER_SIZE + GRAIN_SIZE + ADLER_SIZE;
/** Bytes of it in the file. */
export const STORED_GRAIN_SIZE = paddedSize(STORED_SIZE);
const TAIL_SIZE = STORED_GRAIN_SIZE - HEAD_SIZE - STORED_HEADER_SIZE - GRAIN_SIZE;

/** A grain of compressed bytes (a zlib stream), padded to a sector. */
export function compressedGrain(index: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(paddedSize(data.length));
  bytes.set(marker(index, data.length));
  bytes.set(data, MARKER_SIZE);
  return bytes;
}

/**
 * The grains of a group as they are, each a zlib stream of two stored blocks, whose data is referred to. It is read for
 * its checksums once, when one of them is read.
 */
export function storedGrains(disk: Blob, group: GrainGroup): Blob {
  const content = grainContents(disk, group);
  let checksums: Uint32Array | undefined;
  return interleavedBlob(content, {
    period: GRAIN_SIZE,
    inserts: [
      { at: 0, size: HEAD_SIZE },
      { at: STORED_MAX, size: STORED_HEADER_SIZE },
      { at: GRAIN_SIZE, size: TAIL_SIZE },
    ],
    make: async (grain, insert, signal) => {
      if (insert === 0) {
        const start = [...marker(group.first + grain, STORED_SIZE), ...ZLIB_HEADER];
        return Uint8Array.of(...start, ...storedHeader(STORED_MAX, false));
      }
      if (insert === 1) return storedHeader(GRAIN_SIZE - STORED_MAX, true);
      checksums ??= await grainChecksums(content, signal);
      const tail = new Uint8Array(TAIL_SIZE);
      new DataView(tail.buffer).setUint32(0, checksums[grain] ?? 0);
      return tail;
    },
  });
}

/** The Adler-32 of each grain. */
async function grainChecksums(grains: Blob, signal: AbortSignal | undefined): Promise<Uint32Array> {
  const checksums = new Uint32Array(grains.size / GRAIN_SIZE).fill(1);
  let at = 0;
  for await (const chunk of readRecycled(grains, 0, grains.size, signal)) {
    for (let left = chunk; left.length > 0; ) {
      const grain = Math.floor(at / GRAIN_SIZE);
      const part = left.subarray(0, GRAIN_SIZE - (at % GRAIN_SIZE));
      checksums[grain] = adler32(part, checksums[grain]);
      at += part.length;
      left = left.subarray(part.length);
    }
  }
  return checksums;
}

/** The bytes of a group of grains; the last grain of a disk is a whole one too. */
export function grainContents(disk: Blob, { first, count }: GrainGroup): Blob {
  const offset = first * GRAIN_SIZE;
  const length = Math.min(count * GRAIN_SIZE, disk.size - offset);
  return concatBlobs([sliceBlob(disk, offset, length), zeroBlob(count * GRAIN_SIZE - length)]);
}

/**
 * The grains that data extents touch; packed are those with packed bytes in at least a half and no plain ones, and all
 * behind the first `plainTotal` bytes of the others, which are to be held in memory.
 */
export function* grainGroups(disk: Blob, natureOf: NatureOf, plainTotal: number): Iterable<GrainGroup> {
  let group: GrainGroup | undefined;
  let plain = 0;
  for (const touched of touchedGrains(disk, natureOf)) {
    if (!touched.packed) plain += GRAIN_SIZE;
    const next = { first: touched.index, count: 1, packed: touched.packed || plain > plainTotal };
    if (
      group !== undefined &&
      group.packed === next.packed &&
      group.first + group.count === next.first &&
      group.count < GROUP
    ) {
      group = { ...group, count: group.count + 1 };
      continue;
    }
    if (group !== undefined) yield group;
    group = next;
  }
  if (group !== undefined) yield group;
}

interface TouchedGrain {
  readonly index: number;
  readonly packed: boolean;
}

function* touchedGrains(disk: Blob, natureOf: NatureOf): Iterable<TouchedGrain> {
  let current: { index: number; plain: number; packed: number } | undefined;
  const done = (grain: { index: number; plain: number; packed: number }): TouchedGrain => ({
    index: grain.index,
    packed: grain.plain === 0 && grain.packed * 2 >= GRAIN_SIZE,
  });
  for (const extent of disk.extents()) {
    if (extent.kind === 'zero') continue;
    const nature = natureOf(extent.source);
    const end = extent.offset + extent.length;
    for (let at = extent.offset; at < end; ) {
      const index = Math.floor(at / GRAIN_SIZE);
      const stop = Math.min(end, (index + 1) * GRAIN_SIZE);
      if (current?.index !== index) {
        if (current !== undefined) yield done(current);
        current = { index, plain: 0, packed: 0 };
      }
      current[nature] += stop - at;
      at = stop;
    }
  }
  if (current !== undefined) yield done(current);
}

function marker(index: number, size: number): Uint8Array {
  const bytes = Buffer.alloc(MARKER_SIZE);
  bytes.writeBigUInt64LE(BigInt((index * GRAIN_SIZE) / SECTOR), 0);
  bytes.writeUInt32LE(size, 8);
  return bytes;
}

function storedHeader(length: number, last: boolean): Uint8Array {
  return Uint8Array.of(last ? 1 : 0, length, length >> 8, ~length, ~length >> 8);
}

function paddedSize(dataSize: number): number {
  return Math.ceil((MARKER_SIZE + dataSize) / SECTOR) * SECTOR;
}
