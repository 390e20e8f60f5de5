import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';
import { formatTarHeader, TAR_BLOCK } from './tar-header.ts';
import { formatPax, PAX_XATTR } from './tar-pax.ts';
import type { DirectoryEntry, FileEntry, SymlinkEntry, TreeEntry } from './tree.ts';

export interface TarOptions {
  /** Seconds since the epoch, of every member. */
  readonly mtime: number;
}

const TYPEFLAGS = { file: '0', symlink: '2', directory: '5' } as const;
/** What eleven octal digits hold. */
const SIZE_LIMIT = 0o77777777777;

/**
 * A tar archive (ustar; POSIX pax extended headers only where ustar cannot say it: long or non-ASCII names, 8 GiB
 * and more, extended attributes) of `entries` in their order, all of owner 0:0. Contents are referred to, not
 * copied. The root, when given, is written as `./`. Throws `TAR_ENTRY_UNSUPPORTED` for devices, fifos, sockets.
 */
export function tarArchive(entries: readonly TreeEntry[], options: TarOptions): Blob {
  const parts: Blob[] = [];
  for (const entry of entries) {
    if (entry.type !== 'file' && entry.type !== 'directory' && entry.type !== 'symlink') {
      throw unsupported(entry.path, `a ${entry.type} cannot be packed`);
    }
    if (entry.path.includes('\0')) throw unsupported(entry.path, 'a name cannot contain NUL');
    parts.push(bytesBlob(memberHeader(entry, options.mtime)));
    if (entry.type === 'file') parts.push(entry.content, zeroBlob(-entry.content.size & (TAR_BLOCK - 1)));
  }
  parts.push(zeroBlob(2 * TAR_BLOCK));
  return concatBlobs(parts);
}

function memberHeader(entry: FileEntry | DirectoryEntry | SymlinkEntry, mtime: number): Uint8Array {
  const path = entry.type === 'directory' ? `${entry.path === '' ? '.' : entry.path}/` : entry.path;
  const size = entry.type === 'file' ? entry.content.size : 0;
  const target = entry.type === 'symlink' ? entry.target : '';
  const records = new Map<string, Uint8Array>();
  const split = splitName(path);
  if (split === undefined) records.set('path', Buffer.from(path));
  const linkFits = isAscii(target) && target.length <= 100;
  if (!linkFits) records.set('linkpath', Buffer.from(target));
  if (size > SIZE_LIMIT) records.set('size', Buffer.from(String(size)));
  for (const [name, value] of entry.xattrs ?? []) records.set(PAX_XATTR + name, value);
  const header = formatTarHeader({
    ...(split ?? { name: fallback(path) }),
    mode: entry.mode,
    size: size > SIZE_LIMIT ? 0 : size,
    mtime,
    typeflag: TYPEFLAGS[entry.type],
    linkName: linkFits ? target : fallback(target),
  });
  return records.size === 0 ? header : Buffer.concat([extendedHeader(entry.path, records), header]);
}

function extendedHeader(path: string, records: ReadonlyMap<string, Uint8Array>): Uint8Array {
  let body: Uint8Array;
  try {
    body = formatPax(records);
  } catch (cause) {
    throw unsupported(path, 'an extended attribute has "=" in its name', cause);
  }
  const name = `PaxHeaders.0/${fallback(path.slice(path.lastIndexOf('/') + 1))}`.slice(0, 100);
  const header = formatTarHeader({ name, mode: 0o644, size: body.length, mtime: 0, typeflag: 'x' });
  return Buffer.concat([header, body, new Uint8Array(-body.length & (TAR_BLOCK - 1))]);
}

/** As `name`, or `prefix` and `name` parted at a slash; `undefined` when ustar cannot hold it. */
function splitName(path: string): { readonly name: string; readonly prefix?: string } | undefined {
  if (!isAscii(path)) return undefined;
  if (path.length <= 100) return { name: path };
  // The first slash that leaves a name of 100 at most; a directory's own last slash does not count.
  const slash = path.indexOf('/', path.length - 101);
  if (slash <= 0 || slash > 155 || slash === path.length - 1) return undefined;
  return { name: path.slice(slash + 1), prefix: path.slice(0, slash) };
}

/** For readers without pax: ASCII, and short enough. */
function fallback(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, '_').slice(0, 100);
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

function unsupported(path: string, reason: string, cause?: unknown): FactoryError {
  return new FactoryError(
    'invalid',
    'TAR_ENTRY_UNSUPPORTED',
    `cannot write ${JSON.stringify(path.slice(0, 200))} into a tar archive: ${reason}`,
    { cause },
  );
}
