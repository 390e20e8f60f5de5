import type { Blob } from '../blob/blob.ts';
import { FactoryError } from '../errors.ts';
import { compareIdentifiers, isoIdentifiers } from './iso9660-names.ts';
import { compareTreePaths, type TreeEntry } from './tree.ts';

interface NodeBase {
  readonly path: string;
  readonly name: string;
  readonly mode: number;
  /** Set once all names of its directory are known. */
  identifier: string;
}

export interface IsoDirectory extends NodeBase {
  readonly type: 'directory';
  readonly parent: IsoDirectory | undefined;
  /** In the order of their identifiers. */
  readonly children: IsoNode[];
}

export interface IsoFile extends NodeBase {
  readonly type: 'file';
  readonly content: Blob;
}

export interface IsoLink extends NodeBase {
  readonly type: 'symlink';
  readonly target: string;
}

export type IsoNode = IsoDirectory | IsoFile | IsoLink;

/** Mode of directories that are not listed. */
const IMPLIED_MODE = 0o755;
/** Path tables number directories with 16 bits. */
const MOST_DIRECTORIES = 65535;

/** The tree with an identifier for each name. Gives the root. */
export function buildIsoTree(entries: readonly TreeEntry[]): IsoDirectory {
  const sorted = entries.toSorted((a, b) => compareTreePaths(a.path, b.path));
  const rootMode = sorted[0]?.path === '' ? sorted[0].mode : IMPLIED_MODE;
  const root: IsoDirectory = {
    type: 'directory',
    path: '',
    name: '',
    mode: rootMode,
    identifier: '\0',
    parent: undefined,
    children: [],
  };
  const nodes = new Map<string, IsoNode>([['', root]]);
  const add = (node: IsoNode, parent: IsoDirectory): void => {
    parent.children.push(node);
    nodes.set(node.path, node);
  };
  const directory = (path: string, mode: number): IsoDirectory => {
    const known = nodes.get(path);
    if (known?.type === 'directory') return known;
    if (known !== undefined) throw conflict(path);
    const { name, parent } = place(path);
    const node: IsoDirectory = { type: 'directory', path, name, mode, identifier: '', parent, children: [] };
    add(node, parent);
    return node;
  };
  const place = (path: string): { readonly name: string; readonly parent: IsoDirectory } => {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (name === '' || name === '.' || name === '..')
      throw new FactoryError(
        'invalid',
        'ISO_NAME_INVALID',
        `path ${JSON.stringify(path)} cannot be on an ISO`,
      );
    return { name, parent: directory(slash < 0 ? '' : path.slice(0, slash), IMPLIED_MODE) };
  };
  for (const entry of sorted) {
    if (entry.type === 'directory') {
      directory(entry.path, entry.mode);
      continue;
    }
    if (nodes.has(entry.path)) throw conflict(entry.path);
    const { name, parent } = place(entry.path);
    const base = { path: entry.path, name, mode: entry.mode, identifier: '' };
    if (entry.type === 'file') add({ ...base, type: 'file', content: entry.content }, parent);
    else if (entry.type === 'symlink') add({ ...base, type: 'symlink', target: entry.target }, parent);
    else
      throw new FactoryError(
        'invalid',
        'ISO_ENTRY_UNSUPPORTED',
        `${entry.path}: a ${entry.type} is not written to ISOs`,
      );
  }
  for (const node of nodes.values()) if (node.type === 'directory') identify(node);
  return root;
}

/** All directories as the path table wants them (ECMA-119 §6.9.1): by depth, then by parent, then by identifier. */
export function isoDirectories(root: IsoDirectory): readonly IsoDirectory[] {
  const all: IsoDirectory[] = [root];
  // What is appended is visited later: breadth first.
  for (const directory of all)
    for (const child of directory.children) if (child.type === 'directory') all.push(child);
  if (all.length > MOST_DIRECTORIES)
    throw new FactoryError(
      'invalid',
      'ISO_ENTRY_UNSUPPORTED',
      `${all.length} directories are too many for an ISO`,
    );
  return all;
}

function identify(directory: IsoDirectory): void {
  const identifiers = isoIdentifiers(
    directory.children.map((child) => ({ name: child.name, isDirectory: child.type === 'directory' })),
  );
  for (const [i, child] of directory.children.entries()) child.identifier = identifiers[i] ?? '';
  directory.children.sort((a, b) => compareIdentifiers(a.identifier, b.identifier));
}

function conflict(path: string): FactoryError {
  return new FactoryError('invalid', 'ISO_NAME_CONFLICT', `${path} is there twice`);
}
