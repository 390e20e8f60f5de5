import type { Blob } from '../../blob/blob.ts';
import { FactoryError } from '../../errors.ts';
import type { TreeEntry } from '../tree.ts';
import { contentKeys, DataWriter, type FileLayout } from './data-writer.ts';
import { type DirectoryItem, writeDirectory } from './directory-writer.ts';
import { directoryInode, fileInode, type InodeCommon, symlinkInode } from './inode-writer.ts';
import { type MetadataPosition, MetadataWriter } from './metadata-writer.ts';
import { RecordWriter } from './record.ts';
import { formatSuperblock } from './superblock.ts';
import { type TreeNode, treeNodes, walkNodes } from './tree-nodes.ts';
import {
  FLAGS,
  INODE_TYPES,
  NONE_64,
  type PositionedSink,
  type SquashfsSummary,
  type SquashfsWriteOptions,
  STORED_METADATA,
  SUPERBLOCK_SIZE,
} from './types.ts';
import { XattrWriter } from './xattr-writer.ts';

/** mksquashfs pads to this, because loop devices are read in whole pages. */
const PADDING = 4096;

/**
 * Writes a squashfs 4.0 file system (kernel Documentation/filesystems/squashfs.rst) of a tree: everything owned by
 * 0:0, every time `mtime`, equal contents kept once, tails of files packed into fragments. The same tree,
 * compressor and options give the same bytes. File contents are streamed; what is held is the metadata and
 * `compressor.concurrency` blocks. Throws `SQUASHFS_TREE_INVALID`, `SQUASHFS_XATTR_UNSUPPORTED`.
 */
export async function writeSquashfs(
  entries: readonly TreeEntry[],
  options: SquashfsWriteOptions,
  sink: PositionedSink,
): Promise<SquashfsSummary> {
  const { compressor, mtime, signal } = options;
  const blockSize = options.blockSize ?? 128 * 1024;
  checkBlockSize(blockSize);
  const { root, count } = treeNodes(entries);
  const output = new Output(sink, SUPERBLOCK_SIZE);

  if (compressor.options !== undefined) {
    const header = new RecordWriter().u16(compressor.options.length | STORED_METADATA).finish();
    await output.append(Buffer.concat([header, compressor.options]));
  }
  const data = new DataWriter({ compressor, blockSize, start: output.position, sink, signal });
  const { layouts, duplicates } = await writeContents(root, data, signal);
  const { fragments, end } = await data.finish();
  output.position = end;

  const xattrs = new XattrWriter();
  const tables = new InodeTables(options, layouts, xattrs, count);
  const rootInode = await tables.write(root);
  const inodeTable = output.position;
  await output.appendAll((await tables.inodes.finish()).blocks);
  const directoryTable = output.position;
  await output.appendAll((await tables.directories.finish()).blocks);

  const table = async (bytes: Uint8Array): Promise<number> => {
    const blocks = new MetadataWriter(compressor, signal);
    await blocks.write(bytes);
    return output.appendTable(blocks);
  };
  const fragmentTable = await table(fragmentRecords(fragments));
  const exportTable =
    options.exportable === true ? await table(new RecordWriter().u64s(tables.references).finish()) : NONE_64;
  const idTable = await table(new RecordWriter().u32(0).finish());
  const xattrTable = await xattrs.finish(compressor, output.position, signal);
  if (xattrTable !== undefined) await output.appendAll(xattrTable.chunks);

  const bytesUsed = output.position;
  await output.append(new Uint8Array(-bytesUsed & (PADDING - 1)));
  const superblock = formatSuperblock({
    inodes: count,
    mtime,
    blockSize,
    fragments: fragments.length,
    compression: compressor.name,
    flags:
      FLAGS.alwaysFragments |
      FLAGS.duplicates |
      (options.exportable === true ? FLAGS.exportable : 0) |
      (compressor.options === undefined ? 0 : FLAGS.compressorOptions),
    ids: 1,
    rootInode: reference(rootInode),
    bytesUsed,
    idTable: BigInt(idTable),
    xattrTable: xattrTable === undefined ? NONE_64 : BigInt(xattrTable.start),
    inodeTable: BigInt(inodeTable),
    directoryTable: BigInt(directoryTable),
    fragmentTable: BigInt(fragmentTable),
    exportTable: BigInt(exportTable),
  });
  await sink(superblock, 0);
  return { size: output.position, inodes: count, fragments: fragments.length, duplicates };
}

async function writeContents(
  root: TreeNode,
  data: DataWriter,
  signal: AbortSignal | undefined,
): Promise<{ readonly layouts: ReadonlyMap<TreeNode, FileLayout>; readonly duplicates: number }> {
  const files: { readonly node: TreeNode; readonly content: Blob }[] = [];
  for (const node of walkNodes(root)) {
    if (node.entry.type === 'file') files.push({ node, content: node.entry.content });
  }
  const keys = await contentKeys(
    files.map(({ content }) => content),
    signal,
  );
  const layouts = new Map<TreeNode, FileLayout>();
  const known = new Map<string, FileLayout>();
  let duplicates = 0;
  for (const { node, content } of files) {
    const key = keys.get(content);
    const same = key === undefined ? undefined : known.get(key);
    const layout = same ?? (await data.add(content));
    if (same !== undefined) duplicates++;
    else if (key !== undefined) known.set(key, layout);
    layouts.set(node, layout);
  }
  return { layouts, duplicates };
}

/** The inode and directory tables, written bottom up because listings refer to inodes and inodes to listings. */
class InodeTables {
  readonly inodes: MetadataWriter;
  readonly directories: MetadataWriter;
  /** By inode number less one. */
  readonly references: bigint[];
  readonly #mtime: number;
  readonly #layouts: ReadonlyMap<TreeNode, FileLayout>;
  readonly #xattrs: XattrWriter;

  constructor(
    { compressor, mtime, signal }: SquashfsWriteOptions,
    layouts: ReadonlyMap<TreeNode, FileLayout>,
    xattrs: XattrWriter,
    count: number,
  ) {
    this.inodes = new MetadataWriter(compressor, signal);
    this.directories = new MetadataWriter(compressor, signal);
    this.references = new Array<bigint>(count);
    this.#mtime = mtime;
    this.#layouts = layouts;
    this.#xattrs = xattrs;
  }

  /** Writes everything below `node` and its own inode; gives the place of that. */
  async write(node: TreeNode): Promise<MetadataPosition> {
    const { entry } = node;
    const common: InodeCommon = {
      mode: entry.mode,
      mtime: this.#mtime,
      number: node.number,
      xattr: this.#xattrs.add(entry.path, entry.xattrs),
    };
    switch (entry.type) {
      case 'file': {
        const layout = this.#layouts.get(node);
        if (layout === undefined) throw new TypeError(`${entry.path} has no layout`);
        return this.#add(node, fileInode(common, layout));
      }
      case 'symlink':
        return this.#add(node, symlinkInode(common, Buffer.from(entry.target)));
      case 'directory': {
        const items: DirectoryItem[] = [];
        for (const child of node.children) {
          const inode = await this.write(child);
          items.push({ name: child.name, type: INODE_TYPES[child.entry.type], number: child.number, inode });
        }
        const listing = await writeDirectory(this.directories, items);
        const subdirectories = node.children.filter((child) => child.entry.type === 'directory').length;
        return this.#add(
          node,
          directoryInode({ ...common, ...listing, nlink: 2 + subdirectories, parent: node.parent }),
        );
      }
    }
  }

  async #add(node: TreeNode, inode: Uint8Array): Promise<MetadataPosition> {
    const position = this.inodes.position;
    await this.inodes.write(inode);
    this.references[node.number - 1] = reference(position);
    return position;
  }
}

/** Writes in order and knows where it is. */
class Output {
  readonly #sink: PositionedSink;
  position: number;

  constructor(sink: PositionedSink, position: number) {
    this.#sink = sink;
    this.position = position;
  }

  async append(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    await this.#sink(chunk, this.position);
    this.position += chunk.length;
  }

  async appendAll(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) await this.append(chunk);
  }

  /** Metadata blocks and the list of their positions, whose own position is the table's. */
  async appendTable(table: MetadataWriter): Promise<number> {
    const { blocks, starts } = await table.finish();
    const first = this.position;
    await this.appendAll(blocks);
    const position = this.position;
    await this.append(new RecordWriter().u64s(starts.map((start) => first + start)).finish());
    return position;
  }
}

function fragmentRecords(
  fragments: readonly { readonly start: number; readonly size: number }[],
): Uint8Array {
  const record = new RecordWriter();
  for (const { start, size } of fragments) record.u64(start).u32(size, 0);
  return record.finish();
}

/** 32 bits of block start above 16 bits of offset. */
function reference({ block, offset }: MetadataPosition): bigint {
  return (BigInt(block) << 16n) | BigInt(offset);
}

function checkBlockSize(size: number): void {
  if (!Number.isInteger(Math.log2(size)) || size < 4096 || size > 1 << 20) {
    throw new FactoryError(
      'internal',
      'SQUASHFS_BLOCK_SIZE_INVALID',
      `a squashfs has blocks of 4 KiB to 1 MiB, a power of two, not of ${size} bytes`,
    );
  }
}
