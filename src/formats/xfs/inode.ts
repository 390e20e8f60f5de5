import type { TreeEntry } from '../tree.ts';
import { seal } from './checksum.ts';
import { blockNumber, INODE, type XfsGeometry } from './geometry.ts';
import type { Run } from './space.ts';

/** Where an inode's data is: in the inode itself, or in blocks. */
export type XfsData =
  | { readonly kind: 'local'; readonly bytes: Uint8Array }
  | { readonly kind: 'blocks'; readonly size: number; readonly runs: readonly Run[] };

export interface XfsInode {
  readonly number: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly links: number;
  readonly data: XfsData;
  /** The real-time bitmap has a flag of its own. */
  readonly flags?: number;
}

export const INODE_HEADER = 176;
/** Bytes of data that fit into an inode without attributes. */
export const LOCAL_SIZE = INODE - INODE_HEADER;
export const EXTENT_SIZE = 16;
/** Extents that fit into an inode. */
export const MOST_EXTENTS = Math.floor(LOCAL_SIZE / EXTENT_SIZE);
export const FLAG_NEW_BITMAP = 0x4;

const TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;
const FORMAT = { local: 1, blocks: 2 } as const;
const LARGE_TIMES = 0x8n;
/** Seconds by which the count of nanoseconds begins before 1970. */
const TIME_BIAS = 2n ** 31n;

export function modeOf(type: keyof typeof TYPE_BITS, permissions: number): number {
  return TYPE_BITS[type] | (permissions & 0o7777);
}

/** The type that a mode says, if it is one of those that are written. */
export function typeOf(mode: number): keyof typeof TYPE_BITS | undefined {
  const bits = mode & 0o170000;
  return (['file', 'directory', 'symlink'] as const).find((type) => TYPE_BITS[type] === bits);
}

/** Types of directory entries (`XFS_DIR3_FT_*`). */
export const ENTRY_TYPE: Readonly<Partial<Record<TreeEntry['type'], number>>> = {
  file: 1,
  directory: 2,
  symlink: 7,
};

/** The 512 bytes of an inode of version 3 that is used. `time` in seconds; owner and group are root. */
export function inodeBytes(geometry: XfsGeometry, uuid: Uint8Array, time: number, inode: XfsInode): Buffer {
  const { data } = inode;
  const bytes = emptyInode(inode.number, uuid);
  bytes.writeUInt16BE(inode.mode, 2);
  bytes.writeUInt8(FORMAT[data.kind], 5);
  bytes.writeUInt32BE(inode.links, 16);
  const stamp = (BigInt(time) + TIME_BIAS) * 1_000_000_000n;
  for (const offset of [32, 40, 48, 144]) bytes.writeBigUInt64BE(stamp, offset);
  bytes.writeUInt8(FORMAT.blocks, 83); // attributes, of which there are none
  bytes.writeUInt16BE(inode.flags ?? 0, 90);
  bytes.writeBigUInt64BE(1n, 104);
  bytes.writeBigUInt64BE(LARGE_TIMES, 120);
  if (data.kind === 'local') {
    bytes.writeBigUInt64BE(BigInt(data.bytes.length), 56);
    bytes.set(data.bytes, INODE_HEADER);
  } else {
    bytes.writeBigUInt64BE(BigInt(data.size), 56);
    bytes.writeBigUInt64BE(BigInt(data.runs.reduce((sum, run) => sum + run.count, 0)), 64);
    bytes.writeUInt32BE(data.runs.length, 76);
    let fileBlock = 0;
    for (const [i, run] of data.runs.entries()) {
      writeExtent(bytes, INODE_HEADER + i * EXTENT_SIZE, fileBlock, geometry, run);
      fileBlock += run.count;
    }
  }
  return seal(bytes, 100);
}

/** An inode that is free. */
export function freeInodeBytes(number: number, uuid: Uint8Array): Buffer {
  return seal(emptyInode(number, uuid), 100);
}

function emptyInode(number: number, uuid: Uint8Array): Buffer {
  const bytes = Buffer.alloc(INODE);
  bytes.write('IN');
  bytes.writeUInt8(3, 4);
  bytes.writeUInt32BE(0xffffffff, 96);
  bytes.writeBigUInt64BE(BigInt(number), 152);
  bytes.set(uuid, 160);
  return bytes;
}

/** 1 bit of state, 54 of the file's block, 52 of the disk's, 21 of the count. */
function writeExtent(bytes: Buffer, at: number, fileBlock: number, geometry: XfsGeometry, run: Run): void {
  const block = BigInt(blockNumber(geometry, run.group, run.block));
  const record = (BigInt(fileBlock) << 73n) | (block << 21n) | BigInt(run.count);
  bytes.writeBigUInt64BE(record >> 64n, at);
  bytes.writeBigUInt64BE(record & (2n ** 64n - 1n), at + 8);
}
