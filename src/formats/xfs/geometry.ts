import { FactoryError } from '../../errors.ts';

/** Where things are in an XFS of four allocation groups (XFS Algorithms & Data Structures, 3rd edition, ch. 13). Blocks. */
export interface XfsGeometry {
  /** Bytes. */
  readonly sectorSize: 512 | 4096;
  readonly blocks: number;
  readonly groups: number;
  /** Of a group; the last one may be shorter. */
  readonly groupBlocks: number;
  /** Bits of a block's number inside its group. */
  readonly groupBits: number;
  /** Roots of the group's trees, by their blocks inside of it. */
  readonly roots: Readonly<Record<TreeName, number>>;
  /** The first block of a group after its headers and roots. */
  readonly firstFree: number;
  readonly logGroup: number;
  readonly logBlocks: number;
  /** Of the inodes, in the first group. */
  readonly inodeBlock: number;
}

export type TreeName = 'freeByBlock' | 'freeBySize' | 'inodes' | 'freeInodes' | 'references';

export const BLOCK = 4096;
export const BLOCK_BITS = 12;
export const INODE = 512;
export const INODES_PER_BLOCK = BLOCK / INODE;
/** Inodes are made in chunks of 64, which begin at multiples of their size. */
export const CHUNK_INODES = 64;
export const CHUNK_BLOCKS = CHUNK_INODES / INODES_PER_BLOCK;
/** Blocks that every group keeps for its own trees to grow: what two trees of one level need. */
export const RESERVE_BLOCKS = 4;

const GROUPS = 4;
/** 64 MiB, what mkfs.xfs takes for file systems up to 128 GiB. */
const LOG_BLOCKS = 16384;
/** The smallest and largest file systems that four groups make sense for: 300 MiB is also mkfs.xfs's limit. */
const SMALLEST = 300 << 20;
const LARGEST = 2 ** 40;

/** `size` in bytes. Throws `invalid` `XFS_SIZE_INVALID`. */
export function xfsGeometry(size: number, sectorSize: 512 | 4096): XfsGeometry {
  if (!(size >= SMALLEST && size <= LARGEST))
    throw new FactoryError(
      'invalid',
      'XFS_SIZE_INVALID',
      `no XFS of ${size} bytes: it has to be between ${SMALLEST} and ${LARGEST} bytes`,
    );
  const blocks = Math.floor(size / BLOCK);
  const groupBlocks = Math.ceil(blocks / GROUPS);
  const headers = Math.ceil((4 * sectorSize) / BLOCK);
  const firstFree = headers + 5;
  return {
    sectorSize,
    blocks,
    groups: GROUPS,
    groupBlocks,
    groupBits: Math.ceil(Math.log2(groupBlocks)),
    roots: {
      freeByBlock: headers,
      freeBySize: headers + 1,
      inodes: headers + 2,
      freeInodes: headers + 3,
      references: headers + 4,
    },
    firstFree,
    logGroup: GROUPS / 2,
    logBlocks: LOG_BLOCKS,
    // Where the root directory has to be: xfs_repair looks for it in the first chunk after headers and reserve.
    inodeBlock: Math.ceil((firstFree + RESERVE_BLOCKS) / CHUNK_BLOCKS) * CHUNK_BLOCKS,
  };
}

export function groupLength(geometry: XfsGeometry, group: number): number {
  return Math.min(geometry.groupBlocks, geometry.blocks - group * geometry.groupBlocks);
}

/** Byte offset of a block of a group. */
export function blockOffset(geometry: XfsGeometry, group: number, block: number): number {
  return (group * geometry.groupBlocks + block) * BLOCK;
}

/** A block's number in the whole file system: the group's number and the block's in it, side by side. */
export function blockNumber(geometry: XfsGeometry, group: number, block: number): number {
  return group * 2 ** geometry.groupBits + block;
}

/** Number of the `index`th inode. */
export function inodeNumber(geometry: XfsGeometry, index: number): number {
  return geometry.inodeBlock * INODES_PER_BLOCK + index;
}
