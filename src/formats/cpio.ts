import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';
import type { TreeEntry } from './tree.ts';

export interface CpioOptions {
  /** Seconds since the epoch, of every member. */
  readonly mtime: number;
  /** The archive ends with zero bytes up to a multiple of this; 512 when absent, 4 for none but the format's own. */
  readonly blockSize?: number;
}

export const CPIO_MAGIC = '070701';
export const CPIO_TRAILER = 'TRAILER!!!';
export const CPIO_HEADER_SIZE = 110;
/** PATH_MAX of Linux: the kernel's unpacker skips members with longer names (init/initramfs.c). */
export const CPIO_NAME_LIMIT = 4096;
/** Sizes are 32 bits wide. */
const SIZE_LIMIT = 0xffffffff;

const FILE_TYPES = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/**
 * A cpio archive in the `newc` format (Linux Documentation/driver-api/early-userspace/buffer-format.rst) of
 * `entries` in their order, byte-equal to that of `cpio -H newc --reproducible -R +0:+0`. The root is left out;
 * extended attributes have no place in the format and are dropped. Contents are referred to, not copied, and
 * every one starts at a multiple of 4. Throws `CPIO_ENTRY_UNSUPPORTED` for devices, fifos, sockets, files of
 * 4 GiB and names that are too long.
 */
export function cpioArchive(entries: readonly TreeEntry[], options: CpioOptions): Blob {
  const parts: Blob[] = [];
  let ino = 0;
  for (const entry of entries) {
    if (entry.path === '') continue;
    if (entry.type !== 'file' && entry.type !== 'directory' && entry.type !== 'symlink') {
      throw unsupported(entry.path, `a ${entry.type} cannot be packed`);
    }
    const content = memberContent(entry);
    if (content.size > SIZE_LIMIT) throw unsupported(entry.path, 'a member has to be smaller than 4 GiB');
    const header = memberHeader(entry.path, {
      ino: ino++,
      mode: FILE_TYPES[entry.type] | entry.mode,
      // 2 or more on a file would make the kernel look for hard links.
      nlink: entry.type === 'directory' ? 2 : 1,
      mtime: options.mtime,
      size: content.size,
    });
    parts.push(bytesBlob(header), content, zeroBlob(-content.size & 3));
  }
  parts.push(bytesBlob(memberHeader(CPIO_TRAILER, { ino: 0, mode: 0, nlink: 1, mtime: 0, size: 0 })));
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const blockSize = options.blockSize ?? 512;
  parts.push(zeroBlob((blockSize - (size % blockSize)) % blockSize));
  return concatBlobs(parts);
}

function memberContent(entry: TreeEntry & { readonly type: 'file' | 'directory' | 'symlink' }): Blob {
  switch (entry.type) {
    case 'file':
      return entry.content;
    case 'symlink':
      return textBlob(entry.target);
    case 'directory':
      return zeroBlob(0);
  }
}

interface HeaderFields {
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly size: number;
}

/** Header and name, padded to 4. */
function memberHeader(name: string, fields: HeaderFields): Uint8Array {
  const nameSize = Buffer.byteLength(name) + 1;
  if (nameSize > CPIO_NAME_LIMIT) throw unsupported(name, `names have at most ${CPIO_NAME_LIMIT - 1} bytes`);
  if (name.includes('\0')) throw unsupported(name, 'a name cannot contain NUL');
  const { ino, mode, nlink, mtime, size } = fields;
  const numbers = [ino, mode, 0, 0, nlink, mtime, size, 0, 0, 0, 0, nameSize, 0];
  const header = CPIO_MAGIC + numbers.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('');
  const bytes = new Uint8Array((CPIO_HEADER_SIZE + nameSize + 3) & ~3);
  const view = Buffer.from(bytes.buffer);
  view.write(header, 0, 'latin1');
  view.write(name, CPIO_HEADER_SIZE, 'utf8');
  return bytes;
}

function unsupported(name: string, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'CPIO_ENTRY_UNSUPPORTED',
    `cannot write ${JSON.stringify(name.slice(0, 200))} into a cpio archive: ${reason}`,
  );
}
