import type { Blob } from '../blob/blob.ts';

/**
 * An entry of a file tree: what archive and file system writers take and their readers give.
 * `path` is relative, `/`-separated, without `.` or `..` or a leading slash; the root itself is `''`
 * and always a directory. Times and owners are parameters of the writers, not of the tree.
 */
export type TreeEntry = FileEntry | DirectoryEntry | SymlinkEntry | SpecialEntry;

interface EntryBase {
  readonly path: string;
  /** Permission bits with setuid, setgid and sticky: 0..0o7777. */
  readonly mode: number;
  /** Extended attributes by full name (`security.selinux`), values as bytes. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

export interface FileEntry extends EntryBase {
  readonly type: 'file';
  readonly content: Blob;
}

export interface DirectoryEntry extends EntryBase {
  readonly type: 'directory';
}

export interface SymlinkEntry extends EntryBase {
  readonly type: 'symlink';
  readonly target: string;
}

/** What a reader may meet and a writer refuses, unless it says otherwise. */
export interface SpecialEntry extends EntryBase {
  readonly type: 'character-device' | 'block-device' | 'fifo' | 'socket';
  readonly major?: number;
  readonly minor?: number;
}

/** Byte order of UTF-8 paths with `/` sorting before everything: a directory, then its content, then its siblings. */
export function compareTreePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a.replaceAll('/', '\0')), Buffer.from(b.replaceAll('/', '\0')));
}
