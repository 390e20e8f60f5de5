import type { MetadataCursor } from './metadata-reader.ts';
import { invalidSquashfs } from './superblock.ts';

/** A name in a directory and where its inode is. */
export interface ListedName {
  readonly name: string;
  /** Start of the metadata block in the inode table. */
  readonly block: number;
  readonly offset: number;
}

const RUN_LIMIT = 256;
const NAME_LIMIT = 255;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The names of a listing of `size` bytes, at most `limit` of them. Throws `SQUASHFS_INVALID` for names that no
 * directory can have (`..`, `/` in it, not UTF-8) and for names that are not sorted, so none is there twice.
 */
export async function readListing(
  cursor: MetadataCursor,
  size: number,
  limit: number,
): Promise<ListedName[]> {
  const names: ListedName[] = [];
  let last: Uint8Array = new Uint8Array(0);
  for (let left = size; left > 0; ) {
    if (left < 12) throw invalidSquashfs('a directory with a wrong size');
    const header = await cursor.view(12);
    left -= 12;
    const count = header.getUint32(0, true) + 1;
    if (count > RUN_LIMIT) throw invalidSquashfs(`a run of ${count} directory entries`);
    const block = header.getUint32(4, true);
    for (let i = 0; i < count; i++) {
      const entry = await cursor.view(8);
      const length = entry.getUint16(6, true) + 1;
      left -= 8 + length;
      if (length > NAME_LIMIT || left < 0) throw invalidSquashfs('a directory with a wrong size');
      const bytes = await cursor.take(length);
      if (Buffer.compare(last, bytes) >= 0) throw invalidSquashfs('a directory that is not sorted');
      last = bytes;
      if (names.length >= limit) throw invalidSquashfs('more entries than allowed');
      names.push({ name: decodeName(bytes), block, offset: entry.getUint16(0, true) });
    }
  }
  return names;
}

function decodeName(bytes: Uint8Array): string {
  let name: string;
  try {
    name = utf8.decode(bytes);
  } catch {
    throw invalidSquashfs(`a name that is not UTF-8: ${Buffer.from(bytes).toString('hex')}`);
  }
  if (name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw invalidSquashfs(`the name ${JSON.stringify(name)} in a directory`);
  }
  return name;
}
