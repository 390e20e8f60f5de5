import type { Blob } from '../../blob/blob.ts';
import { readRange } from '../../blob/consume.ts';
import type { TreeEntry } from '../tree.ts';
import { type ListedName, readListing } from './directory-reader.ts';
import { BlockReader, fileContent } from './file-content.ts';
import { readInode, type StoredDirectory, type StoredInode } from './inode-reader.ts';
import { MetadataReader, type MetadataTable, type ReaderContext } from './metadata-reader.ts';
import { invalidSquashfs, parseSuperblock, type Superblock } from './superblock.ts';
import { type BlockDecompressor, SUPERBLOCK_SIZE } from './types.ts';
import { XattrReader } from './xattr-reader.ts';

export interface SquashfsReadLimits {
  /** Names in all directories that are read; a million when absent. */
  readonly entries?: number;
  /** Bytes of content of all files given; 64 GiB when absent. */
  readonly content?: number;
}

export interface SquashfsEntriesOptions {
  /** Only this path and what is below; `''`, everything, when absent. Nothing is given when it does not exist. */
  readonly under?: string;
  readonly signal?: AbortSignal;
}

/** PATH_MAX of Linux; also bounds the depth. */
const PATH_LIMIT = 4096;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * A squashfs 4.0 file system in a blob. Nothing but the superblock has been read; what is read is checked, and a
 * hostile file system gives an error, not a loop or more memory than its blocks.
 */
export class SquashfsImage {
  readonly superblock: Superblock;
  readonly #context: ReaderContext;
  readonly #metadata: MetadataReader;
  readonly #blocks: BlockReader;
  readonly #xattrs: XattrReader;
  readonly #inodeTable: MetadataTable;
  readonly #directoryTable: MetadataTable;
  readonly #limits: SquashfsReadLimits;

  constructor(context: ReaderContext, superblock: Superblock, limits: SquashfsReadLimits) {
    this.superblock = superblock;
    this.#context = context;
    this.#limits = limits;
    this.#metadata = new MetadataReader(context);
    const { inodeTable, directoryTable, fragmentTable, fragments, xattrTable, bytesUsed } = superblock;
    this.#blocks = new BlockReader(context, this.#metadata, Number(fragmentTable), fragments);
    this.#xattrs = new XattrReader(context, this.#metadata, xattrTable);
    this.#inodeTable = { start: Number(inodeTable), end: Number(directoryTable) };
    // The blocks of the fragment table follow, but they cannot be told apart without reading it.
    this.#directoryTable = { start: Number(directoryTable), end: bytesUsed };
  }

  /**
   * The entries in tree order, the root first. File contents are blobs into the image. Throws `SQUASHFS_INVALID`
   * for a damaged file system, one beyond the limits, and names that are not UTF-8.
   */
  async *entries({ under = '', signal }: SquashfsEntriesOptions = {}): AsyncIterable<TreeEntry> {
    const { rootInode } = this.superblock;
    const root = { name: '', block: Number(rootInode >> 16n), offset: Number(rootInode & 0xffffn) };
    const wanted = under === '' ? [] : under.split('/');
    const budget = {
      entries: this.#limits.entries ?? 1_000_000,
      content: this.#limits.content ?? 64 * 2 ** 30,
    };
    const directories = new Set<string>();
    const stack: { readonly path: string; readonly listed: ListedName; readonly depth: number }[] = [
      { path: '', listed: root, depth: 0 },
    ];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      signal?.throwIfAborted();
      const { path, listed, depth } = next;
      const inode = await this.#inode(listed, budget.content, signal);
      if (depth === 0 && inode.type !== 'directory') throw invalidSquashfs('the root is not a directory');
      if (depth >= wanted.length) {
        if (inode.type === 'file') budget.content -= inode.size;
        yield await this.#entry(path, inode, signal);
      }
      if (inode.type !== 'directory') continue;
      const place = `${listed.block}:${listed.offset}`;
      if (directories.has(place))
        throw invalidSquashfs(`the directory ${JSON.stringify(path)} is there twice`);
      directories.add(place);
      const names = await this.#list(inode, budget.entries, signal);
      budget.entries -= names.length;
      for (const child of names.reverse()) {
        if (depth < wanted.length && child.name !== wanted[depth]) continue;
        const childPath = path === '' ? child.name : `${path}/${child.name}`;
        if (Buffer.byteLength(childPath) >= PATH_LIMIT) throw invalidSquashfs('a path is too long');
        stack.push({ path: childPath, listed: child, depth: depth + 1 });
      }
    }
  }

  async #inode(listed: ListedName, sizeLimit: number, signal?: AbortSignal): Promise<StoredInode> {
    const cursor = this.#metadata.cursor(this.#inodeTable, listed.block, listed.offset, signal);
    return readInode(cursor, this.#context.blockSize, sizeLimit);
  }

  async #list(directory: StoredDirectory, limit: number, signal?: AbortSignal): Promise<ListedName[]> {
    if (directory.size === 0) return [];
    const cursor = this.#metadata.cursor(this.#directoryTable, directory.block, directory.offset, signal);
    return readListing(cursor, directory.size, limit);
  }

  async #entry(path: string, inode: StoredInode, signal?: AbortSignal): Promise<TreeEntry> {
    const xattrs = await this.#xattrs.get(inode.xattr, signal);
    const base = { path, mode: inode.mode, ...(xattrs === undefined ? {} : { xattrs }) };
    switch (inode.type) {
      case 'file':
        return { ...base, type: 'file', content: fileContent(this.#blocks, inode) };
      case 'directory':
        return { ...base, type: 'directory' };
      case 'symlink':
        return { ...base, type: 'symlink', target: decodeTarget(inode.target) };
      case 'block-device':
      case 'character-device':
        return { ...base, type: inode.type, major: inode.major, minor: inode.minor };
      case 'fifo':
      case 'socket':
        return { ...base, type: inode.type };
    }
  }
}

/** Throws `invalid` `SQUASHFS_INVALID` when the blob holds no whole squashfs 4.0 of gzip, xz or zstd. */
export async function openSquashfs(
  blob: Blob,
  decompress: BlockDecompressor,
  options: { readonly limits?: SquashfsReadLimits; readonly signal?: AbortSignal } = {},
): Promise<SquashfsImage> {
  if (blob.size < SUPERBLOCK_SIZE) throw invalidSquashfs('there is no superblock');
  const superblock = parseSuperblock(await readRange(blob, 0, SUPERBLOCK_SIZE, options.signal));
  const { bytesUsed, blockSize, compression, inodeTable, directoryTable } = superblock;
  if (bytesUsed > blob.size)
    throw invalidSquashfs(`it has ${bytesUsed} bytes, of which ${blob.size} are there`);
  if (inodeTable < SUPERBLOCK_SIZE || inodeTable >= directoryTable || directoryTable > bytesUsed) {
    throw invalidSquashfs('its tables are not in order');
  }
  const context: ReaderContext = { blob, decompress, compression, bytesUsed, blockSize };
  return new SquashfsImage(context, superblock, options.limits ?? {});
}

function decodeTarget(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalidSquashfs('a link target that is not UTF-8');
  }
}
