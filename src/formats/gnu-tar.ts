import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs, type Placed, placedBlob, sliceBlob } from '../blob/compose.ts';
import { gnuSparseHeader, gnuTarHeader, type SparsePart } from './gnu-tar-header.ts';
import { TAR_BLOCK } from './tar-header.ts';

/** Of every member: owner 0:0, names of neither. */
export interface GnuTarOptions {
  /** Seconds since the epoch. */
  readonly mtime: number;
}

export interface GnuTarFile {
  /** At most 100 bytes. */
  readonly name: string;
  readonly content: Blob;
}

const MODE = 0o644;
/** GNU tar fills its last record: 20 blocks. */
const RECORD = 20 * TAR_BLOCK;
/** The least hole: shorter ones cost less as zeros than their entry in the map. */
const MIN_HOLE = 4096;

/** An archive in GNU tar's own format of some files, in this order; their contents are referred to. */
export function gnuTar(files: readonly GnuTarFile[], options: GnuTarOptions): Blob {
  return archive(files.flatMap((file) => plainMember(file, options)));
}

/**
 * An archive of one file in the old GNU sparse form (type `S`, `spec/outputs.md` §5), whose holes are the zero
 * extents; a file without holes is an ordinary member. Its size is known and it can be read at any offset.
 */
export function gnuSparseTar(file: GnuTarFile, options: GnuTarOptions): Blob {
  const { name, content } = file;
  const parts = dataParts(content);
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  if (size === content.size) return archive(plainMember(file, options));
  // GNU tar ends the map with an empty part at the end of the file, which is what tells of a hole there.
  const map = [...parts, { offset: content.size, length: 0 }];
  const header = gnuSparseHeader({ name, mode: MODE, size, realSize: content.size, map, ...options });
  return archive([bytesBlob(header), withoutHoles(content, parts, size), padding(size, TAR_BLOCK)]);
}

/** The parts one after the other, `size` bytes in all. */
function withoutHoles(content: Blob, parts: readonly SparsePart[], size: number): Blob {
  const placed: Placed[] = [];
  let index = 0;
  // Bytes of holes before the current part.
  let holes = parts[0]?.offset ?? 0;
  for (const extent of content.extents()) {
    if (extent.kind === 'zero') continue;
    let part = parts[index];
    while (part !== undefined && extent.offset >= part.offset + part.length) {
      const next = parts[++index];
      if (next !== undefined) holes += next.offset - (part.offset + part.length);
      part = next;
    }
    const blob = sliceBlob(extent.source, extent.sourceOffset, extent.length);
    placed.push({ offset: extent.offset - holes, blob });
  }
  return placedBlob(size, placed);
}

function plainMember({ name, content }: GnuTarFile, options: GnuTarOptions): readonly Blob[] {
  const header = gnuTarHeader({ name, mode: MODE, size: content.size, ...options });
  return [bytesBlob(header), content, padding(content.size, TAR_BLOCK)];
}

/** Two empty blocks end an archive. */
function archive(pieces: readonly Blob[]): Blob {
  const content = concatBlobs([...pieces, zeroBlob(2 * TAR_BLOCK)]);
  return concatBlobs([content, padding(content.size, RECORD)]);
}

function padding(size: number, unit: number): Blob {
  return zeroBlob((unit - (size % unit)) % unit);
}

/** What is not in holes, in whole blocks except at the end of the file, since each part begins at a block. */
function dataParts(content: Blob): readonly SparsePart[] {
  const parts: SparsePart[] = [];
  for (const extent of content.extents()) {
    if (extent.kind === 'zero') continue;
    const start = Math.floor(extent.offset / TAR_BLOCK) * TAR_BLOCK;
    const stop = Math.ceil((extent.offset + extent.length) / TAR_BLOCK) * TAR_BLOCK;
    const end = Math.min(stop, content.size);
    const last = parts.at(-1);
    if (last !== undefined && start - (last.offset + last.length) < MIN_HOLE) {
      parts[parts.length - 1] = { offset: last.offset, length: end - last.offset };
    } else {
      parts.push({ offset: start, length: end - start });
    }
  }
  const last = parts.at(-1);
  if (last === undefined) return parts;
  const lastEnd = last.offset + last.length;
  if (content.size - lastEnd >= MIN_HOLE) return parts;
  return [...parts.slice(0, -1), { offset: last.offset, length: content.size - last.offset }];
}
