import { FactoryError } from '../../errors.ts';
import type { DirectoryEntry, FileEntry, SymlinkEntry, TreeEntry } from '../tree.ts';

export interface TreeNode {
  readonly name: Uint8Array;
  readonly entry: FileEntry | DirectoryEntry | SymlinkEntry;
  /** From 1; those of a directory's children follow one another. */
  readonly number: number;
  /** The root's is one more than there are inodes, as mksquashfs has it. */
  readonly parent: number;
  /** In byte order of their names; empty for what is no directory. */
  readonly children: readonly TreeNode[];
}

/** SQUASHFS_NAME_LEN is 256, but Linux has no name above 255. */
const NAME_LIMIT = 255;
const PATH_LIMIT = 4096;

interface Draft {
  readonly name: Uint8Array;
  readonly entry: TreeNode['entry'];
  readonly children: Draft[];
}

/**
 * The tree that `entries` (in any order) describe; a root of mode 0755 when there is none among them.
 * Throws `SQUASHFS_TREE_INVALID` for an entry without its directory, twice the same path, a path that is not
 * clean, and what is no file, directory or symbolic link.
 */
export function treeNodes(entries: readonly TreeEntry[]): {
  readonly root: TreeNode;
  readonly count: number;
} {
  const drafts = new Map<string, Draft>();
  for (const entry of entries) {
    if (entry.type !== 'file' && entry.type !== 'directory' && entry.type !== 'symlink') {
      throw invalid(entry.path, `a ${entry.type} cannot be packed`);
    }
    if (drafts.has(entry.path)) throw invalid(entry.path, 'it is there twice');
    checkEntry(entry);
    const name = Buffer.from(entry.path.slice(entry.path.lastIndexOf('/') + 1));
    drafts.set(entry.path, { name, entry, children: [] });
  }
  const rootEntry: TreeNode['entry'] = { type: 'directory', path: '', mode: 0o755 };
  const root = drafts.get('') ?? { name: new Uint8Array(0), entry: rootEntry, children: [] };
  if (root.entry.type !== 'directory') throw invalid('', 'the root has to be a directory');
  for (const [path, draft] of drafts) {
    if (path === '') continue;
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? root : drafts.get(path.slice(0, slash));
    if (parent?.entry.type !== 'directory') throw invalid(path, 'its directory is missing');
    parent.children.push(draft);
  }
  const count = drafts.size + (drafts.has('') ? 0 : 1);
  let next = 2;
  const number = (draft: Draft, own: number, parent: number): TreeNode => {
    draft.children.sort((a, b) => Buffer.compare(a.name, b.name));
    const first = next;
    next += draft.children.length;
    const children = draft.children.map((child, i) => number(child, first + i, own));
    return { name: draft.name, entry: draft.entry, number: own, parent, children };
  };
  return { root: number(root, 1, count + 1), count };
}

/** A node and all below it, parents before children, siblings in order. */
export function* walkNodes(node: TreeNode): Iterable<TreeNode> {
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    yield next;
    for (const child of next.children.toReversed()) stack.push(child);
  }
}

function checkEntry(entry: TreeNode['entry']): void {
  const { path } = entry;
  if (Buffer.byteLength(path) >= PATH_LIMIT) throw invalid(path, 'the path is too long');
  if (path.includes('\0')) throw invalid(path, 'a path cannot contain NUL');
  for (const part of path === '' ? [] : path.split('/')) {
    if (part === '' || part === '.' || part === '..') throw invalid(path, 'the path is not clean');
    if (Buffer.byteLength(part) > NAME_LIMIT)
      throw invalid(path, `a name is longer than ${NAME_LIMIT} bytes`);
  }
  if (!Number.isInteger(entry.mode) || entry.mode < 0 || entry.mode > 0o7777)
    throw invalid(path, 'the mode is wrong');
  if (entry.type !== 'symlink') return;
  const length = Buffer.byteLength(entry.target);
  if (length === 0 || length >= PATH_LIMIT) throw invalid(path, 'a link has a target of 1 to 4095 bytes');
}

function invalid(path: string, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'SQUASHFS_TREE_INVALID',
    `cannot write ${JSON.stringify(path.slice(0, 300))} into a squashfs: ${reason}`,
  );
}
