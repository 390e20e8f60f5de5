import type { MetadataCursor } from './metadata-reader.ts';
import { invalidSquashfs } from './superblock.ts';
import { EXTENDED, INODE_TYPES, NONE_32 } from './types.ts';

interface InodeBase {
  readonly mode: number;
  /** Number of a set of extended attributes, or `NONE_32`. */
  readonly xattr: number;
}

export interface StoredFile extends InodeBase {
  readonly type: 'file';
  readonly size: number;
  /** Position of the first block. */
  readonly start: number;
  /** Sizes on disk, as `FileLayout` has them; with the last, short block when there is no fragment. */
  readonly blocks: Uint32Array;
  readonly fragment: number;
  readonly fragmentOffset: number;
}

export interface StoredDirectory extends InodeBase {
  readonly type: 'directory';
  /** Of the listing, in the directory table. */
  readonly block: number;
  readonly offset: number;
  /** Bytes of the listing. */
  readonly size: number;
}

export interface StoredSymlink extends InodeBase {
  readonly type: 'symlink';
  readonly target: Uint8Array;
}

export interface StoredSpecial extends InodeBase {
  readonly type: 'character-device' | 'block-device' | 'fifo' | 'socket';
  readonly major: number;
  readonly minor: number;
}

export type StoredInode = StoredFile | StoredDirectory | StoredSymlink | StoredSpecial;

const TYPES = new Map<number, StoredInode['type']>([
  [INODE_TYPES.directory, 'directory'],
  [INODE_TYPES.file, 'file'],
  [INODE_TYPES.symlink, 'symlink'],
  [INODE_TYPES['block-device'], 'block-device'],
  [INODE_TYPES['character-device'], 'character-device'],
  [INODE_TYPES.fifo, 'fifo'],
  [INODE_TYPES.socket, 'socket'],
]);
/** PATH_MAX of Linux. */
const TARGET_LIMIT = 4096;

/** The inode at a cursor. Files may be as large as `sizeLimit` bytes. Throws `SQUASHFS_INVALID`. */
export async function readInode(
  cursor: MetadataCursor,
  blockSize: number,
  sizeLimit: number,
): Promise<StoredInode> {
  const head = await cursor.view(16);
  const number = head.getUint16(0, true);
  const extended = number > EXTENDED;
  const type = TYPES.get(extended ? number - EXTENDED : number);
  const mode = head.getUint16(2, true) & 0o7777;
  switch (type) {
    case 'file':
      return { type, mode, ...(await readFile(cursor, extended, blockSize, sizeLimit)) };
    case 'directory':
      return { type, mode, ...(await readDirectoryInode(cursor, extended)) };
    case 'symlink':
      return { type, mode, ...(await readSymlink(cursor, extended)) };
    case 'block-device':
    case 'character-device': {
      const view = await cursor.view(extended ? 12 : 8);
      const device = view.getUint32(4, true);
      // The kernel's new_encode_dev (include/linux/kdev_t.h).
      const major = (device >> 8) & 0xfff;
      const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
      return { type, mode, major, minor, xattr: extended ? view.getUint32(8, true) : NONE_32 };
    }
    case 'fifo':
    case 'socket': {
      const view = await cursor.view(extended ? 8 : 4);
      return { type, mode, major: 0, minor: 0, xattr: extended ? view.getUint32(4, true) : NONE_32 };
    }
    case undefined:
      throw invalidSquashfs(`an inode of type ${number}`);
  }
}

async function readFile(
  cursor: MetadataCursor,
  extended: boolean,
  blockSize: number,
  sizeLimit: number,
): Promise<Omit<StoredFile, 'type' | 'mode'>> {
  const view = await cursor.view(extended ? 40 : 16);
  const tail = extended
    ? {
        fragment: view.getUint32(28, true),
        fragmentOffset: view.getUint32(32, true),
        xattr: view.getUint32(36, true),
      }
    : { fragment: view.getUint32(4, true), fragmentOffset: view.getUint32(8, true), xattr: NONE_32 };
  const start = extended ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true);
  const size = extended ? Number(view.getBigUint64(8, true)) : view.getUint32(12, true);
  if (size > sizeLimit) throw invalidSquashfs(`a file of ${size} bytes, the limit is ${sizeLimit}`);
  const count = tail.fragment === NONE_32 ? Math.ceil(size / blockSize) : Math.floor(size / blockSize);
  const list = await cursor.view(count * 4);
  const blocks = new Uint32Array(count);
  for (let i = 0; i < count; i++) blocks[i] = list.getUint32(4 * i, true);
  return { size, start, blocks, ...tail };
}

async function readDirectoryInode(
  cursor: MetadataCursor,
  extended: boolean,
): Promise<Omit<StoredDirectory, 'type' | 'mode'>> {
  const view = await cursor.view(extended ? 24 : 16);
  const fields = extended
    ? {
        size: view.getUint32(4, true),
        block: view.getUint32(8, true),
        offset: view.getUint16(18, true),
        xattr: view.getUint32(20, true),
      }
    : {
        size: view.getUint16(8, true),
        block: view.getUint32(0, true),
        offset: view.getUint16(10, true),
        xattr: NONE_32,
      };
  // The size counts `.` and `..` with 3 bytes; some writers leave 0 for an empty directory.
  return { ...fields, size: Math.max(0, fields.size - 3) };
}

async function readSymlink(
  cursor: MetadataCursor,
  extended: boolean,
): Promise<Omit<StoredSymlink, 'type' | 'mode'>> {
  const length = (await cursor.view(8)).getUint32(4, true);
  if (length === 0 || length >= TARGET_LIMIT) throw invalidSquashfs(`a link target of ${length} bytes`);
  const target = await cursor.take(length);
  const xattr = extended ? (await cursor.view(4)).getUint32(0, true) : NONE_32;
  return { target, xattr };
}
