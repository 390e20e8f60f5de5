import { chmod, link, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ImageTree } from '../../artifacts/image-tree.ts';
import { writeBlob } from '../../blob/consume.ts';
import type { FileEntry } from '../../formats/tree.ts';
import { badOverlay } from './errors.ts';
import { follow } from './tree-links.ts';

/** Names the form that trees are written in: raised when it changes. */
export const TREE_FORM = 1;
const MOST_ENTRIES = 50_000;
const MOST_BYTES = 2 * 2 ** 30;
/** Directories in directories; also what ends a link to a directory above it. */
const DEEPEST = 64;

/**
 * Writes the files of an overlay image below `directory` for its installer, which is a program and reads files by
 * name. Modes become 0755 and 0644, whatever odd ones the image has, and symbolic links what they lead to, as in
 * installer images (`spec/outputs-installer.md` §1.3): a link to a file becomes a hard link, a link to a directory a
 * directory. Links that lead nowhere are left out, as are devices. Throws `upstream` `OVERLAY_TREE_INVALID`.
 */
export async function writeOverlayTree(
  tree: ImageTree,
  overlay: string,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const children = childrenOf(tree);
  /** Where the content of a file of the image was written first. */
  const written = new Map<string, string>();
  let entries = 0;
  let bytes = 0;

  const writeFile = async (file: FileEntry, target: string): Promise<void> => {
    const first = written.get(file.path);
    if (first !== undefined) return link(first, target);
    bytes += file.content.size;
    if (bytes > MOST_BYTES) throw tooLarge(overlay, `more than ${MOST_BYTES} bytes`);
    await writeBlob(file.content, target, signal);
    await chmod(target, (file.mode & 0o111) === 0 ? 0o644 : 0o755);
    written.set(file.path, target);
  };

  const writeDirectory = async (path: string, target: string, depth: number): Promise<void> => {
    if (depth > DEEPEST) throw tooLarge(overlay, `more than ${DEEPEST} directories in one another`);
    // Not by mkdir's mode, which the umask changes: another user may be the one who reads.
    await mkdir(target);
    await chmod(target, 0o755);
    for (const name of children.get(path) ?? []) {
      signal.throwIfAborted();
      entries++;
      if (entries > MOST_ENTRIES) throw tooLarge(overlay, `more than ${MOST_ENTRIES} files`);
      const entry = follow(tree, path === '' ? name : `${path}/${name}`);
      if (entry?.type === 'directory') await writeDirectory(entry.path, join(target, name), depth + 1);
      else if (entry?.type === 'file') await writeFile(entry, join(target, name));
    }
  };

  await writeDirectory('', directory, 0);
}

/** Names in each directory, in tree order. */
function childrenOf(tree: ImageTree): ReadonlyMap<string, readonly string[]> {
  const children = new Map<string, string[]>();
  for (const { path } of tree.entries) {
    if (path === '') continue;
    const parent = dirname(path) === '.' ? '' : dirname(path);
    const names = children.get(parent);
    const name = path.slice(parent === '' ? 0 : parent.length + 1);
    if (names === undefined) children.set(parent, [name]);
    else names.push(name);
  }
  return children;
}

function tooLarge(overlay: string, what: string) {
  return badOverlay(overlay, 'OVERLAY_TREE_INVALID', `its image has ${what}, links followed`);
}
