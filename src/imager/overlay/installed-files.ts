import { chmod, lstat, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { compareTreePaths } from '../../formats/tree.ts';

/** A file or directory that an installer left, by its path below the directory that was looked at. */
export type InstalledEntry =
  | { readonly type: 'directory'; readonly path: string }
  | {
      readonly type: 'file';
      readonly path: string;
      readonly executable: boolean;
      readonly size: number;
      /** Where its content can be read. */
      readonly source: string;
    };

export interface InstalledLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Directories in one another. */
const DEEPEST = 64;

/** Why what an installer left cannot be used. */
export class UnusableFiles extends Error {
  override readonly name = 'UnusableFiles';
}

/**
 * Lists what an installer that runs no more has left below `directory` (no link), in tree order. A symbolic link to a file
 * within becomes that file (a FAT file system has no links), any other is refused, as are devices and names that are
 * not UTF-8. What its writer made unreadable is made readable. Throws `UnusableFiles`.
 */
export async function installedFiles(
  directory: string,
  limits: InstalledLimits,
): Promise<readonly InstalledEntry[]> {
  const found: InstalledEntry[] = [];
  let bytes = 0;

  const add = (entry: InstalledEntry): void => {
    found.push(entry);
    if (found.length > limits.entries) throw new UnusableFiles(`it made more than ${limits.entries} files`);
    bytes += entry.type === 'file' ? entry.size : 0;
    if (bytes > limits.bytes) throw new UnusableFiles(`its files have more than ${limits.bytes} bytes`);
  };

  const addFile = async (path: string, source: string): Promise<void> => {
    const { mode, size } = await lstat(source);
    await chmod(source, mode | 0o444);
    add({ type: 'file', path, executable: (mode & 0o111) !== 0, size, source });
  };

  const addLink = async (path: string, link: string): Promise<void> => {
    const target = await realpath(link).catch(() => undefined);
    const inside = target?.startsWith(root + sep) === true;
    if (target === undefined || !inside || !(await lstat(target)).isFile()) {
      throw new UnusableFiles(`it made a symbolic link that does not lead to a file of its own: ${path}`);
    }
    await addFile(path, target);
  };

  const walk = async (below: string, depth = 0): Promise<void> => {
    if (depth > DEEPEST) throw new UnusableFiles(`it made more than ${DEEPEST} directories in one another`);
    const at = join(directory, below);
    await chmod(at, 0o755);
    for (const item of await readdir(at, { withFileTypes: true })) {
      // What U+FFFD stands for cannot be found again by its name.
      if (item.name.includes('\ufffd')) throw new UnusableFiles('it made a file whose name is not UTF-8');
      const path = below === '' ? item.name : `${below}/${item.name}`;
      if (item.isDirectory()) {
        add({ type: 'directory', path });
        await walk(path, depth + 1);
      } else if (item.isFile()) await addFile(path, join(directory, path));
      else if (item.isSymbolicLink()) await addLink(path, join(directory, path));
      else throw new UnusableFiles(`it made something that is neither file nor directory: ${path}`);
    }
  };

  const root = await realpath(directory);
  await walk('');
  return found.sort((a, b) => compareTreePaths(a.path, b.path));
}

/** Bytes that a directory takes on the disk, as far as they are no more than `limits.bytes`, and its entries. */
export async function usage(
  directory: string,
  limits: InstalledLimits,
): Promise<{ readonly bytes: number; readonly entries: number }> {
  let bytes = 0;
  let entries = 0;
  const walk = async (at: string): Promise<void> => {
    for (const item of await readdir(at, { withFileTypes: true }).catch(() => [])) {
      entries++;
      const path = join(at, item.name);
      // It may be gone again: the one who writes is at work.
      bytes += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * 512;
      if (bytes > limits.bytes || entries > limits.entries) return;
      if (item.isDirectory()) await walk(path);
    }
  };
  await walk(directory);
  return { bytes, entries };
}
