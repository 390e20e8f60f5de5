import { FactoryError } from '../../errors.ts';
import {
  compareTreePaths,
  type DirectoryEntry,
  type FileEntry,
  type SymlinkEntry,
  type TreeEntry,
} from '../tree.ts';
import { LOCAL_SIZE } from './inode.ts';

/** An entry with its children, in the order in which inodes are given. */
export interface XfsNode {
  readonly entry: DirectoryEntry | FileEntry | SymlinkEntry;
  readonly name: Uint8Array;
  readonly children: XfsNode[];
  readonly parent: XfsNode | undefined;
}

const LONGEST_NAME = 255;
const NUL = '\0';

/**
 * The nodes of a tree, the root first, parents before children, sorted. Parents that are not listed are made, with
 * mode 0755. Throws `invalid` `XFS_ENTRY_INVALID`.
 */
export function buildXfsTree(entries: readonly TreeEntry[]): readonly XfsNode[] {
  const listed = entries.filter((entry) => entry.path === '');
  const [top = { type: 'directory', path: '', mode: 0o755 }] = listed;
  if (top.type !== 'directory' || listed.length > 1) throw invalid('/', 'the root is one directory');
  const root: XfsNode = {
    entry: top,
    name: new Uint8Array(0),
    children: [],
    parent: undefined,
  };
  const nodes = new Map<string, XfsNode>([['', root]]);
  const add = (entry: XfsNode['entry']): XfsNode => {
    const slash = entry.path.lastIndexOf('/');
    const above = slash < 0 ? '' : entry.path.slice(0, slash);
    const parent = nodes.get(above) ?? add({ type: 'directory', path: above, mode: 0o755 });
    if (parent.entry.type !== 'directory') throw invalid(entry.path, `${above} is no directory`);
    const name = Buffer.from(entry.path.slice(slash + 1));
    checkName(entry.path, name);
    const node = { entry, name, children: [], parent };
    parent.children.push(node);
    nodes.set(entry.path, node);
    return node;
  };
  for (const entry of entries.toSorted((a, b) => compareTreePaths(a.path, b.path))) {
    if (entry.type !== 'directory' && entry.type !== 'file' && entry.type !== 'symlink')
      throw invalid(entry.path, `a ${entry.type} is of no use there`);
    if (entry.type === 'symlink' && Buffer.byteLength(entry.target) > LOCAL_SIZE)
      throw invalid(entry.path, `its target is longer than ${LOCAL_SIZE} bytes`);
    if (entry.path === '') continue;
    if (nodes.has(entry.path)) throw invalid(entry.path, 'it is there twice');
    add(entry);
  }
  return [...walk(root)];
}

function* walk(node: XfsNode): Iterable<XfsNode> {
  yield node;
  for (const child of node.children) yield* walk(child);
}

function checkName(path: string, name: Buffer): void {
  if (name.length === 0 || name.length > LONGEST_NAME)
    throw invalid(path, `a name has between 1 and ${LONGEST_NAME} bytes`);
  if (path.includes(NUL) || ['.', '..'].includes(name.toString())) throw invalid(path, 'no such name can be');
}

function invalid(path: string, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'XFS_ENTRY_INVALID',
    `XFS cannot hold ${JSON.stringify(path)}: ${reason}`,
  );
}
