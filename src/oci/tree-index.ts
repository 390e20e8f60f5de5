import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageTree } from '../artifacts/image-tree.ts';
import { type Blob, type LeafBlob, leafExtents } from '../blob/blob.ts';
import { sliceBlob } from '../blob/compose.ts';
import { openFileBlob } from '../blob/file.ts';
import { FactoryError } from '../errors.ts';
import type { TreeEntry } from '../formats/tree.ts';
import type { FlatNode } from './flat-tree.ts';
import { type Digest, isDigest } from './names.ts';

/** The two files that a flattened image is kept in. */
export const CONTENT_FILE = 'content';
export const INDEX_FILE = 'index.json';

/** One entry as it stands in the index. */
interface IndexedEntry {
  readonly path: string;
  readonly type: TreeEntry['type'];
  readonly mode: number;
  readonly offset?: number;
  readonly size?: number;
  readonly sha256?: string;
  readonly packed?: true;
  readonly target?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

interface TreeIndex {
  readonly version: 1;
  readonly digest: Digest;
  readonly entries: readonly IndexedEntry[];
}

/** The index of a flattened image: the same nodes give the same bytes. */
export function formatTreeIndex(digest: Digest, nodes: readonly FlatNode[]): string {
  const index: TreeIndex = { version: 1, digest, entries: nodes.map(indexed) };
  return JSON.stringify(index);
}

function indexed({ path, facts }: FlatNode): IndexedEntry {
  const xattrs = Object.fromEntries(
    [...facts.xattrs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  );
  const common = {
    path,
    type: facts.type,
    mode: facts.mode,
    ...(facts.xattrs.size === 0 ? {} : { xattrs }),
  };
  switch (facts.type) {
    case 'directory':
      return common;
    case 'symlink':
      return { ...common, target: facts.target };
    case 'file': {
      if (facts.content === undefined) throw damaged(`${path} has no content`);
      const { offset, size, sha256, isPacked } = facts.content;
      return { ...common, offset, size, sha256, ...(isPacked ? { packed: true } : {}) };
    }
    default:
      return { ...common, major: facts.major, minor: facts.minor };
  }
}

/**
 * The entries of a flattened image from its two files. The blobs read from `content`; their keys are
 * `sha256:<hex>` of the file. Throws `OCI_TREE_INVALID`.
 */
export function readTree(
  content: Blob,
  indexJson: Uint8Array | string,
): { readonly digest: Digest; readonly entries: readonly TreeEntry[] } {
  let index: TreeIndex;
  try {
    index = JSON.parse(typeof indexJson === 'string' ? indexJson : Buffer.from(indexJson).toString('utf8'));
  } catch (cause) {
    throw damaged('its index is not JSON', cause);
  }
  if (index?.version !== 1 || !isDigest(String(index.digest)) || !Array.isArray(index.entries)) {
    throw damaged('its index is of another version');
  }
  return { digest: index.digest, entries: index.entries.map((entry) => treeEntry(content, entry)) };
}

function treeEntry(content: Blob, entry: IndexedEntry): TreeEntry {
  const { path, type, mode } = entry;
  if (typeof path !== 'string' || !Number.isInteger(mode)) throw damaged('an entry without a path or mode');
  const xattrs =
    entry.xattrs === undefined
      ? {}
      : {
          xattrs: new Map(
            Object.entries(entry.xattrs).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
          ),
        };
  const common = { path, mode, ...xattrs };
  switch (type) {
    case 'directory':
      return { ...common, type };
    case 'symlink':
      return { ...common, type, target: entry.target ?? '' };
    case 'file':
      return { ...common, type, content: contentOf(content, entry) };
    case 'character-device':
    case 'block-device':
    case 'fifo':
    case 'socket':
      return { ...common, type, major: entry.major ?? 0, minor: entry.minor ?? 0 };
    default:
      throw damaged(`${path} is of unknown type ${JSON.stringify(type satisfies never)}`);
  }
}

function contentOf(content: Blob, { path, offset, size, sha256, packed }: IndexedEntry): LeafBlob {
  if (offset === undefined || size === undefined || sha256 === undefined || offset + size > content.size) {
    throw damaged(`the content of ${path} is not inside of its file`);
  }
  const part = sliceBlob(content, offset, size);
  const file = 'file' in content ? (content as LeafBlob).file : undefined;
  const leaf: LeafBlob = {
    size,
    nature: packed === true ? 'packed' : 'plain',
    key: `sha256:${sha256}`,
    ...(file === undefined ? {} : { file: { path: file.path, offset: file.offset + offset, size } }),
    read: (at, length, signal) => part.read(at, length, signal),
    extents: () => leafExtents(leaf),
  };
  return leaf;
}

/**
 * Opens a directory that `flattenInto` has written. `release` is called when the tree is disposed (for the pin of
 * the store's entry). Throws `OCI_TREE_INVALID`, and what reading the files throws.
 */
export async function openImageTree(directory: string, release: () => void = () => {}): Promise<ImageTree> {
  const [content, index] = await Promise.all([
    openFileBlob(join(directory, CONTENT_FILE)),
    readFile(join(directory, INDEX_FILE)),
  ]);
  const { digest, entries } = readTree(content, index);
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  return {
    digest,
    directory,
    entries,
    get: (path) => byPath.get(path),
    [Symbol.dispose]: release,
  };
}

function damaged(why: string, cause?: unknown): FactoryError {
  return new FactoryError(
    'internal',
    'OCI_TREE_INVALID',
    `a flattened image in the local store is damaged: ${why}; remove it, it will be fetched again`,
    cause === undefined ? {} : { cause },
  );
}
