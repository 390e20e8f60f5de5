import type { MetadataPosition, MetadataWriter } from './metadata-writer.ts';
import { RecordWriter } from './record.ts';
import { METADATA_SIZE } from './types.ts';

export interface DirectoryItem {
  readonly name: Uint8Array;
  /** Basic inode type. */
  readonly type: number;
  readonly number: number;
  readonly inode: MetadataPosition;
}

/** A place in a long listing where a search for `name` or what follows it may begin. */
export interface DirectoryIndexEntry {
  /** Bytes from the start of the listing. */
  readonly offset: number;
  /** Start of the metadata block, from the start of the directory table. */
  readonly block: number;
  readonly name: Uint8Array;
}

export interface WrittenDirectory {
  readonly position: MetadataPosition;
  readonly size: number;
  readonly index: readonly DirectoryIndexEntry[];
}

/** Entries under one header at most (kernel fs/squashfs/squashfs_fs.h, SQUASHFS_DIR_COUNT). */
const RUN_LIMIT = 256;
/** The count of index entries is 16 bits wide. */
const INDEX_LIMIT = 0xffff;

/**
 * Writes the listing of `items`, sorted by name. Runs of entries share a header: those whose inodes are in one
 * metadata block and have near numbers. A run also ends at the first entry that reaches into the next metadata
 * block, so that the next header can stand in the index.
 */
export async function writeDirectory(
  table: MetadataWriter,
  items: readonly DirectoryItem[],
): Promise<WrittenDirectory> {
  const position = table.position;
  const index: DirectoryIndexEntry[] = [];
  let indexed = position.block;
  let size = 0;
  for (let next = 0; next < items.length; ) {
    const first = items[next];
    if (first === undefined) break;
    const at = table.position;
    if (at.block !== indexed && index.length < INDEX_LIMIT) {
      index.push({ offset: size, block: at.block, name: first.name });
      indexed = at.block;
    }
    const run = runFrom(items, next, first, METADATA_SIZE - at.offset);
    await table.write(run.bytes);
    size += run.bytes.length;
    next += run.count;
  }
  return { position, size, index };
}

function runFrom(
  items: readonly DirectoryItem[],
  from: number,
  first: DirectoryItem,
  room: number,
): { readonly bytes: Uint8Array; readonly count: number } {
  const record = new RecordWriter();
  let length = 12;
  let count = 0;
  for (let i = from; i < items.length && count < RUN_LIMIT && length < room; i++) {
    const item = items[i];
    if (item === undefined || item.inode.block !== first.inode.block) break;
    const distance = item.number - first.number;
    if (distance < -0x8000 || distance > 0x7fff) break;
    record
      .u16(item.inode.offset)
      .i16(distance)
      .u16(item.type, item.name.length - 1)
      .bytes(item.name);
    length += 8 + item.name.length;
    count++;
  }
  // With no room for an entry beside the header, one goes into the next block.
  if (count === 0) return runFrom(items, from, first, room + METADATA_SIZE);
  const header = new RecordWriter().u32(count - 1, first.inode.block, first.number).finish();
  return { bytes: Buffer.concat([header, record.finish()]), count };
}
