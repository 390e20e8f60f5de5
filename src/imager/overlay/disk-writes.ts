import { constants, type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { runProgram } from '../../process/run.ts';
import { UnusableFiles } from './installed-files.ts';

/** Bytes `[offset, offset + size)` of a disk. */
export interface DiskRange {
  readonly offset: number;
  readonly size: number;
}

/** What is written is looked at in sectors of 512 bytes: the GPT may begin in the next one. */
const SECTOR = 512;
const CHUNK = 1 << 20;
const ZEROS = Buffer.alloc(SECTOR);

/**
 * The runs of sectors that are not all zero in a disk file that was one hole before, in order. Holes are not read,
 * and what the file system made of holes and zeros does not show. Throws `UnusableFiles` when there are more
 * than `mostRanges`.
 */
export async function writtenRanges(
  path: string,
  mostRanges: number,
  signal: AbortSignal,
): Promise<readonly DiskRange[]> {
  const ranges: { offset: number; size: number }[] = [];
  // Whoever wrote the disk may have put something else in its place.
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { blocks } = await file.stat();
  if (blocks === 0) return ranges;
  for (const { offset, size } of await dataExtents(path, signal)) {
    const start = offset - (offset % SECTOR);
    for await (const [at, sector] of sectors(file, start, offset + size, signal)) {
      if (sector.equals(ZEROS.subarray(0, sector.length))) continue;
      const last = ranges.at(-1);
      if (last !== undefined && at < last.offset + last.size) continue;
      if (last !== undefined && last.offset + last.size === at) last.size += sector.length;
      else ranges.push({ offset: at, size: sector.length });
      if (ranges.length > mostRanges) {
        throw new UnusableFiles(`it wrote to more than ${mostRanges} places of the disk`);
      }
    }
  }
  return ranges;
}

async function* sectors(
  file: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncIterable<readonly [number, Buffer]> {
  const buffer = Buffer.alloc(CHUNK);
  for (let at = start; at < end; ) {
    signal.throwIfAborted();
    // Whole sectors, also where an extent ends within one.
    const wanted = Math.min(CHUNK, Math.ceil((end - at) / SECTOR) * SECTOR);
    const { bytesRead } = await file.read(buffer, 0, wanted, at);
    if (bytesRead === 0) return;
    for (let i = 0; i < bytesRead; i += SECTOR) {
      yield [at + i, buffer.subarray(i, Math.min(i + SECTOR, bytesRead))];
    }
    at += bytesRead;
  }
}

/** More extents than this do not fit; the file is then read from there on. */
const MAP_LIMIT = 4 << 20;

/**
 * Where a file has data, as lseek(2) `SEEK_DATA` tells GNU tar, which writes it in front of a sparse member
 * (GNU tar manual, "PAX Format, Version 1.0").
 */
async function dataExtents(path: string, signal: AbortSignal): Promise<readonly DiskRange[]> {
  const kept: Uint8Array[] = [];
  let size = 0;
  const args = ['--create', '--sparse', '--hole-detection=seek', '--format=posix', '--sparse-version=1.0'];
  await runProgram({
    program: 'tar',
    args: [...args, '--file=-', `--directory=${dirname(path)}`, '--', basename(path)],
    signal,
    onOutput: (chunk) => {
      if (size < MAP_LIMIT) kept.push(chunk);
      size += chunk.length;
    },
  });
  return parseSparseMap(Buffer.concat(kept)) ?? [{ offset: 0, size: Number.MAX_SAFE_INTEGER }];
}

/** The map of the first member; `undefined` when it is not sparse or its map is longer than what there is. */
function parseSparseMap(archive: Buffer): readonly DiskRange[] | undefined {
  const extended = Number.parseInt(archive.toString('latin1', 124, 136), 8);
  if (archive.toString('latin1', 156, 157) !== 'x' || Number.isNaN(extended)) return undefined;
  if (!archive.toString('latin1', 512, 512 + extended).includes(' GNU.sparse.major=1\n')) return undefined;
  const start = 512 + Math.ceil(extended / 512) * 512 + 512;
  let at = start;
  const next = (): number => {
    const end = archive.indexOf('\n', at);
    const text = end < 0 ? '' : archive.toString('latin1', at, end);
    at = end + 1;
    return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  };
  const count = next();
  const extents: DiskRange[] = [];
  for (let i = 0; i < count; i++) {
    const extent = { offset: next(), size: next() };
    if (Number.isNaN(extent.offset + extent.size)) return undefined;
    if (extent.size > 0) extents.push(extent);
  }
  return Number.isNaN(count) ? undefined : extents;
}
