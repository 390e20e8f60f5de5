import type { Blob } from '../../blob/blob.ts';
import { bytesBlob } from '../../blob/bytes.ts';
import { type Placed, placedBlob, sliceBlob } from '../../blob/compose.ts';
import { FactoryError } from '../../errors.ts';
import type { TreeEntry } from '../tree.ts';
import { blockDirectory, localDirectory, type XfsDirectory } from './directory.ts';
import {
  BLOCK,
  blockOffset,
  CHUNK_INODES,
  INODE,
  inodeNumber,
  RESERVE_BLOCKS,
  type XfsGeometry,
  xfsGeometry,
} from './geometry.ts';
import { groupBytes, sectorOf, type XfsVolume } from './group-headers.ts';
import {
  ENTRY_TYPE,
  FLAG_NEW_BITMAP,
  freeInodeBytes,
  inodeBytes,
  MOST_EXTENTS,
  modeOf,
  type XfsData,
  type XfsInode,
} from './inode.ts';
import { cleanLog } from './log.ts';
import { type Run, XfsSpace } from './space.ts';
import { buildXfsTree, type XfsNode } from './tree.ts';

export interface XfsSpec {
  /** Bytes: 300 MiB to 1 TiB. */
  readonly size: number;
  readonly sectorSize: 512 | 4096;
  /** At most 12 bytes. */
  readonly label: string;
  /** Text, with hyphens. */
  readonly uuid: string;
  /** Of all entries: seconds since the epoch. */
  readonly time: number;
  /** Directories, files and symbolic links; parents that are not listed are made. Owned by root, no attributes. */
  readonly entries: readonly TreeEntry[];
}

/** The root directory and the two inodes of real-time files come first. */
const FIXED_INODES = 3;
/** Chunks whose records fit into the one block of the tree of inodes. */
const MOST_CHUNKS = Math.floor((BLOCK - 56) / 16);

/**
 * An XFS file system of version 5, as mkfs.xfs makes it and with the features of its preset for Linux 6.1, which
 * GRUB 2.06 and Linux 5.10 know (XFS Algorithms & Data Structures, 3rd edition; `spec/outputs-disk.md` §4.1).
 * File contents are referred to, not copied. The same input gives the same bytes.
 * Throws `invalid`: `XFS_SIZE_INVALID`, `XFS_NO_ROOM`, `XFS_TOO_MANY_FILES`, `XFS_ENTRY_INVALID`,
 * `XFS_DIRECTORY_TOO_LARGE`.
 */
export function xfsImage(spec: XfsSpec): Blob {
  const geometry = xfsGeometry(spec.size, spec.sectorSize);
  const uuid = Buffer.from(spec.uuid.replaceAll('-', ''), 'hex');
  if (uuid.length !== 16 || Buffer.byteLength(spec.label) > 12)
    throw new RangeError(`XFS label ${JSON.stringify(spec.label)}, UUID ${JSON.stringify(spec.uuid)}`);
  const nodes = buildXfsTree(spec.entries);
  const usedInodes = nodes.length - 1 + FIXED_INODES;
  const chunks = Math.ceil(usedInodes / CHUNK_INODES);
  if (chunks > MOST_CHUNKS)
    throw new FactoryError(
      'invalid',
      'XFS_TOO_MANY_FILES',
      `${nodes.length} files are more than the file system ${spec.label} is made for`,
    );
  const space = new XfsSpace(geometry, chunks);
  const numbers = new Map(
    nodes.map((node, i) => [node, inodeNumber(geometry, i === 0 ? 0 : i - 1 + FIXED_INODES)]),
  );
  const parts: Placed[] = [];
  const inodes = nodes.map((node) => inodeOf(node, numbers, { geometry, uuid }, space, parts));
  parts.push(inodeChunks([...inodes, ...realTimeInodes(geometry)], chunks, geometry, uuid, spec.time));
  parts.push(...groups({ geometry, uuid, label: spec.label }, space, chunks, usedInodes));
  parts.push({
    offset: blockOffset(geometry, geometry.logGroup, geometry.firstFree),
    blob: bytesBlob(cleanLog(uuid, spec.sectorSize)),
  });
  return placedBlob(spec.size, parts);
}

/** The inode of a node; its data goes to `parts`. */
function inodeOf(
  node: XfsNode,
  numbers: ReadonlyMap<XfsNode, number>,
  { geometry, uuid }: Pick<XfsVolume, 'geometry' | 'uuid'>,
  space: XfsSpace,
  parts: Placed[],
): XfsInode {
  const { entry } = node;
  const number = numbers.get(node) ?? 0;
  const mode = modeOf(entry.type, entry.type === 'symlink' ? 0o777 : entry.mode);
  const inode = (data: XfsData, links = 1): XfsInode => ({ number, mode, links, data });
  switch (entry.type) {
    case 'symlink':
      return inode({ kind: 'local', bytes: Buffer.from(entry.target) });
    case 'file': {
      const runs = takeRuns(space, entry.path, entry.content.size);
      parts.push(...placeContent(geometry, runs, entry.content));
      return inode({ kind: 'blocks', size: entry.content.size, runs });
    }
    case 'directory': {
      const directory = directoryOf(node, numbers);
      const links = 2 + node.children.filter((child) => child.entry.type === 'directory').length;
      const local = localDirectory(directory);
      if (local !== undefined) return inode({ kind: 'local', bytes: local }, links);
      const runs = takeRuns(space, entry.path, BLOCK);
      const { group, block } = runs[0] ?? { group: 0, block: 0 };
      const bytes = blockDirectory(directory, uuid, sectorOf(geometry, group, block));
      parts.push(...placeContent(geometry, runs, bytesBlob(bytes)));
      return inode({ kind: 'blocks', size: BLOCK, runs }, links);
    }
  }
}

function directoryOf(node: XfsNode, numbers: ReadonlyMap<XfsNode, number>): XfsDirectory {
  const number = (of: XfsNode): number => numbers.get(of) ?? 0;
  return {
    path: node.entry.path,
    inode: number(node),
    parent: number(node.parent ?? node),
    entries: node.children.map((child) => ({
      name: child.name,
      inode: number(child),
      type: ENTRY_TYPE[child.entry.type] ?? 0,
    })),
  };
}

function takeRuns(space: XfsSpace, path: string, bytes: number): readonly Run[] {
  const runs = space.take(path, bytes);
  if (runs.length > MOST_EXTENTS)
    throw new FactoryError(
      'invalid',
      'XFS_NO_ROOM',
      `${path} of ${bytes} bytes would lie in too many pieces`,
    );
  return runs;
}

function placeContent(geometry: XfsGeometry, runs: readonly Run[], content: Blob): readonly Placed[] {
  let at = 0;
  return runs.map(({ group, block, count }) => {
    const length = Math.min(count * BLOCK, content.size - at);
    const blob = sliceBlob(content, at, length);
    at += length;
    return { offset: blockOffset(geometry, group, block), blob };
  });
}

/** There is no real-time section, but its two files have to be there. */
function realTimeInodes(geometry: XfsGeometry): readonly XfsInode[] {
  return [1, 2].map((index) => ({
    number: inodeNumber(geometry, index),
    mode: modeOf('file', 0),
    links: 1,
    data: { kind: 'blocks', size: 0, runs: [] },
    flags: index === 1 ? FLAG_NEW_BITMAP : 0,
  }));
}

function inodeChunks(
  inodes: readonly XfsInode[],
  chunks: number,
  geometry: XfsGeometry,
  uuid: Uint8Array,
  time: number,
): Placed {
  const bytes = Buffer.alloc(chunks * CHUNK_INODES * INODE);
  const first = inodeNumber(geometry, 0);
  for (let i = 0; i < chunks * CHUNK_INODES; i++) bytes.set(freeInodeBytes(first + i, uuid), i * INODE);
  for (const inode of inodes)
    bytes.set(inodeBytes(geometry, uuid, time, inode), (inode.number - first) * INODE);
  return { offset: blockOffset(geometry, 0, geometry.inodeBlock), blob: bytesBlob(bytes) };
}

function groups(volume: XfsVolume, space: XfsSpace, chunks: number, usedInodes: number): readonly Placed[] {
  const { geometry } = volume;
  const inodes = chunks * CHUNK_INODES;
  const indices = Array.from({ length: geometry.groups }, (_, group) => group);
  const freeBlocks = indices.reduce((sum, group) => sum + space.freeBlocks(group) + RESERVE_BLOCKS, 0);
  const totals = { inodes, freeInodes: inodes - usedInodes, freeBlocks };
  return indices.map((group) => {
    const own = group === 0 ? { chunks, usedInodes } : { chunks: 0, usedInodes: 0 };
    const state = { group, free: space.free(group), reserve: space.reserves[group] ?? 0, ...own };
    return {
      offset: blockOffset(geometry, group, 0),
      blob: bytesBlob(groupBytes(volume, state, totals)),
    };
  });
}
