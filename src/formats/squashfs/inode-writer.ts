import type { FileLayout } from './data-writer.ts';
import type { DirectoryIndexEntry } from './directory-writer.ts';
import type { MetadataPosition } from './metadata-writer.ts';
import { RecordWriter } from './record.ts';
import { EXTENDED, INODE_TYPES, NONE_32 } from './types.ts';

/** What all inodes begin with; owners are number 0 of the id table. */
export interface InodeCommon {
  readonly mode: number;
  readonly mtime: number;
  readonly number: number;
  /** Number of a set of extended attributes, or `NONE_32`. */
  readonly xattr: number;
}

export interface DirectoryInode extends InodeCommon {
  readonly nlink: number;
  readonly parent: number;
  /** Of the listing in the directory table. */
  readonly position: MetadataPosition;
  /** Bytes of the listing. */
  readonly size: number;
  readonly index: readonly DirectoryIndexEntry[];
}

/** The size of a directory counts 3 bytes for `.` and `..`, which are not in its listing. */
export const DIRECTORY_SIZE_EXTRA = 3;

export function fileInode(common: InodeCommon, layout: FileLayout): Uint8Array {
  const { start, size, sparse, fragment, fragmentOffset } = layout;
  if (common.xattr === NONE_32 && start <= NONE_32 && size <= NONE_32 && sparse === 0) {
    return head(INODE_TYPES.file, common)
      .u32(start, fragment, fragmentOffset, size)
      .u32s(layout.blocks)
      .finish();
  }
  return head(INODE_TYPES.file + EXTENDED, common)
    .u64(start, size, sparse)
    .u32(1, fragment, fragmentOffset, common.xattr)
    .u32s(layout.blocks)
    .finish();
}

export function symlinkInode(common: InodeCommon, target: Uint8Array): Uint8Array {
  const extended = common.xattr !== NONE_32;
  const record = head(INODE_TYPES.symlink + (extended ? EXTENDED : 0), common)
    .u32(1, target.length)
    .bytes(target);
  return (extended ? record.u32(common.xattr) : record).finish();
}

export function directoryInode(inode: DirectoryInode): Uint8Array {
  const { nlink, parent, position, index } = inode;
  const size = inode.size + DIRECTORY_SIZE_EXTRA;
  if (inode.xattr === NONE_32 && index.length === 0 && size <= 0xffff) {
    return head(INODE_TYPES.directory, inode)
      .u32(position.block, nlink)
      .u16(size, position.offset)
      .u32(parent)
      .finish();
  }
  const record = head(INODE_TYPES.directory + EXTENDED, inode)
    .u32(nlink, size, position.block, parent)
    .u16(index.length, position.offset)
    .u32(inode.xattr);
  for (const { offset, block, name } of index) {
    record.u32(offset, block, name.length - 1).bytes(name);
  }
  return record.finish();
}

function head(type: number, { mode, mtime, number }: InodeCommon): RecordWriter {
  return new RecordWriter().u16(type, mode, 0, 0).u32(mtime, number);
}
