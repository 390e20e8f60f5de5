import { seal } from './checksum.ts';
import {
  BLOCK,
  BLOCK_BITS,
  blockNumber,
  CHUNK_BLOCKS,
  CHUNK_INODES,
  groupLength,
  INODE,
  INODES_PER_BLOCK,
  inodeNumber,
  RESERVE_BLOCKS,
  type TreeName,
  type XfsGeometry,
} from './geometry.ts';
import type { Run } from './space.ts';

/** What the headers of a file system say besides its geometry. */
export interface XfsVolume {
  readonly geometry: XfsGeometry;
  /** At most 12 bytes. */
  readonly label: string;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
}

/** What is in a group. */
export interface GroupState {
  readonly group: number;
  readonly free: readonly Run[];
  /** First block of the reserve. */
  readonly reserve: number;
  /** Chunks of inodes and how many inodes of all are used. */
  readonly chunks: number;
  readonly usedInodes: number;
}

export interface Totals {
  readonly inodes: number;
  readonly freeInodes: number;
  readonly freeBlocks: number;
}

const NONE = 0xffffffff;
/** Version 5 with the features of 2022's long-term kernel that a file system of its size can have. */
const VERSION = 0xb4a5;
const VERSION_SECTOR = 0x0800;
/** Attributes version 2, 32 bits of project, lazy counters, checksums. */
const FEATURES2 = 0x18a;
/** Tree of free inodes, reference counts, counters of inode trees: Linux 5.10. */
const RO_COMPATIBLE = 0x1 | 0x4 | 0x8;
/** Types of files in directories, sparse inodes, times beyond 2038: Linux 5.10, GRUB 2.06. */
const INCOMPATIBLE = 0x1 | 0x2 | 0x8;

/** A group's headers and the roots of its trees: everything before its first free block. */
export function groupBytes(volume: XfsVolume, state: GroupState, totals: Totals): Uint8Array {
  const { geometry } = volume;
  const bytes = Buffer.alloc(geometry.firstFree * BLOCK);
  const sector = (i: number): Buffer =>
    bytes.subarray(i * geometry.sectorSize, (i + 1) * geometry.sectorSize);
  superblock(sector(0), volume, totals);
  freeSpaceHeader(sector(1), volume, state);
  inodeHeader(sector(2), volume, state);
  reserveHeader(sector(3), volume, state);
  for (const tree of trees(state, geometry))
    rootBlock(
      bytes.subarray(geometry.roots[tree.name] * BLOCK).subarray(0, BLOCK),
      volume,
      state.group,
      tree,
    );
  return bytes;
}

function superblock(bytes: Buffer, { geometry, label, uuid }: XfsVolume, totals: Totals): void {
  const { sectorSize } = geometry;
  const large = sectorSize > 512;
  const sectorBits = Math.log2(sectorSize);
  const logStart = blockNumber(geometry, geometry.logGroup, geometry.firstFree);
  bytes.write('XFSB');
  bytes.writeUInt32BE(BLOCK, 4);
  bytes.writeBigUInt64BE(BigInt(geometry.blocks), 8);
  bytes.set(uuid, 32);
  bytes.writeBigUInt64BE(BigInt(logStart), 48);
  // The root directory, and the two inodes of a real-time section that is not there.
  for (const i of [0, 1, 2]) bytes.writeBigUInt64BE(BigInt(inodeNumber(geometry, i)), 56 + 8 * i);
  bytes.writeUInt32BE(1, 80);
  bytes.writeUInt32BE(geometry.groupBlocks, 84);
  bytes.writeUInt32BE(geometry.groups, 88);
  bytes.writeUInt32BE(geometry.logBlocks, 96);
  bytes.writeUInt16BE(VERSION | (large ? VERSION_SECTOR : 0), 100);
  bytes.writeUInt16BE(sectorSize, 102);
  bytes.writeUInt16BE(INODE, 104);
  bytes.writeUInt16BE(INODES_PER_BLOCK, 106);
  bytes.write(label, 108, 12);
  const bits = [BLOCK_BITS, sectorBits, Math.log2(INODE), Math.log2(INODES_PER_BLOCK), geometry.groupBits];
  bytes.set(bits, 120);
  bytes.writeUInt8(25, 127); // percent of the space that inodes may take
  bytes.writeBigUInt64BE(BigInt(totals.inodes), 128);
  bytes.writeBigUInt64BE(BigInt(totals.freeInodes), 136);
  bytes.writeBigUInt64BE(BigInt(totals.freeBlocks), 144);
  bytes.writeUInt32BE(CHUNK_BLOCKS, 180);
  if (large) {
    bytes.writeUInt8(sectorBits, 193);
    bytes.writeUInt16BE(sectorSize, 194);
  }
  bytes.writeUInt32BE(large ? sectorSize : 1, 196);
  bytes.writeUInt32BE(FEATURES2, 200);
  bytes.writeUInt32BE(FEATURES2, 204);
  bytes.writeUInt32BE(RO_COMPATIBLE, 212);
  bytes.writeUInt32BE(INCOMPATIBLE, 216);
  bytes.writeUInt32BE(CHUNK_BLOCKS / 2, 228);
  seal(bytes, 224);
}

function freeSpaceHeader(sector: Buffer, { geometry, uuid }: XfsVolume, state: GroupState): void {
  sector.write('XAGF');
  sector.writeUInt32BE(1, 4);
  sector.writeUInt32BE(state.group, 8);
  sector.writeUInt32BE(groupLength(geometry, state.group), 12);
  sector.writeUInt32BE(geometry.roots.freeByBlock, 16);
  sector.writeUInt32BE(geometry.roots.freeBySize, 20);
  sector.writeUInt32BE(1, 28);
  sector.writeUInt32BE(1, 32);
  sector.writeUInt32BE(RESERVE_BLOCKS - 1, 44); // the last used place of the reserve's list, which begins at 0
  sector.writeUInt32BE(RESERVE_BLOCKS, 48);
  const counts = state.free.map((run) => run.count);
  sector.writeUInt32BE(
    counts.reduce((sum, count) => sum + count, 0),
    52,
  );
  sector.writeUInt32BE(Math.max(0, ...counts), 56);
  sector.set(uuid, 64);
  sector.writeUInt32BE(1, 84);
  sector.writeUInt32BE(geometry.roots.references, 88);
  sector.writeUInt32BE(1, 92);
  seal(sector, 216);
}

function inodeHeader(sector: Buffer, { geometry, uuid }: XfsVolume, state: GroupState): void {
  sector.write('XAGI');
  sector.writeUInt32BE(1, 4);
  sector.writeUInt32BE(state.group, 8);
  sector.writeUInt32BE(groupLength(geometry, state.group), 12);
  const inodes = state.chunks * CHUNK_INODES;
  sector.writeUInt32BE(inodes, 16);
  sector.writeUInt32BE(geometry.roots.inodes, 20);
  sector.writeUInt32BE(1, 24);
  sector.writeUInt32BE(inodes - state.usedInodes, 28);
  sector.writeUInt32BE(inodes === 0 ? NONE : inodeNumber(geometry, inodes - CHUNK_INODES), 32);
  sector.fill(0xff, 36, 296); // no newest directory, no unlinked inodes
  sector.set(uuid, 296);
  sector.writeUInt32BE(geometry.roots.freeInodes, 328);
  for (const offset of [332, 336, 340]) sector.writeUInt32BE(1, offset);
  seal(sector, 312);
}

function reserveHeader(sector: Buffer, { uuid }: XfsVolume, state: GroupState): void {
  sector.write('XAFL');
  sector.writeUInt32BE(state.group, 4);
  sector.set(uuid, 8);
  sector.fill(0xff, 36);
  for (let i = 0; i < RESERVE_BLOCKS; i++) sector.writeUInt32BE(state.reserve + i, 36 + 4 * i);
  seal(sector, 32);
}

interface Tree {
  readonly name: TreeName;
  readonly magic: string;
  readonly records: readonly Buffer[];
}

function trees(state: GroupState, geometry: XfsGeometry): readonly Tree[] {
  const bySize = state.free.toSorted((a, b) => a.count - b.count || a.block - b.block);
  const chunks = Array.from({ length: state.chunks }, (_, i) => chunkRecord(state, geometry, i));
  return [
    { name: 'freeByBlock', magic: 'AB3B', records: state.free.map(freeRecord) },
    { name: 'freeBySize', magic: 'AB3C', records: bySize.map(freeRecord) },
    { name: 'inodes', magic: 'IAB3', records: chunks },
    { name: 'freeInodes', magic: 'FIB3', records: chunks.filter((record) => record.readUInt8(7) > 0) },
    { name: 'references', magic: 'R3FC', records: [] },
  ];
}

function freeRecord(run: Run): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(run.block, 0);
  bytes.writeUInt32BE(run.count, 4);
  return bytes;
}

/** First inode, holes, count, free count, and a bit for each free one. */
function chunkRecord(state: GroupState, geometry: XfsGeometry, index: number): Buffer {
  const used = Math.min(CHUNK_INODES, Math.max(0, state.usedInodes - index * CHUNK_INODES));
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(inodeNumber(geometry, index * CHUNK_INODES), 0);
  bytes.writeUInt8(CHUNK_INODES, 6);
  bytes.writeUInt8(CHUNK_INODES - used, 7);
  bytes.writeBigUInt64BE((2n ** 64n - 1n) & ~(2n ** BigInt(used) - 1n), 8);
  return bytes;
}

function rootBlock(block: Buffer, { geometry, uuid }: XfsVolume, group: number, tree: Tree): void {
  block.write(tree.magic);
  block.writeUInt16BE(tree.records.length, 6);
  block.writeUInt32BE(NONE, 8);
  block.writeUInt32BE(NONE, 12);
  block.writeBigUInt64BE(sectorOf(geometry, group, geometry.roots[tree.name]), 16);
  block.set(uuid, 32);
  block.writeUInt32BE(group, 48);
  let at = 56;
  for (const record of tree.records) {
    block.set(record, at);
    at += record.length;
  }
  seal(block, 52);
}

/** Address of a block in units of 512 bytes. */
export function sectorOf(geometry: XfsGeometry, group: number, block: number): bigint {
  return BigInt((group * geometry.groupBlocks + block) * (BLOCK / 512));
}
