import type { Blob } from '../../blob/blob.ts';
import { concatBlobs, sliceBlob } from '../../blob/compose.ts';
import { readAll, readRange } from '../../blob/consume.ts';
import { FactoryError } from '../../errors.ts';
import { crc32c } from '../crc32c.ts';
import type { TreeEntry } from '../tree.ts';
import { BLOCK, INODE, INODES_PER_BLOCK } from './geometry.ts';
import { EXTENT_SIZE, INODE_HEADER, LOCAL_SIZE, MOST_EXTENTS, typeOf } from './inode.ts';

export interface XfsVolumeContent {
  readonly label: string;
  readonly uuid: string;
  readonly sectorSize: number;
  /** Bytes. */
  readonly freeSpace: number;
  /** Without the root; parents before children, in the order of the directories. */
  readonly entries: readonly TreeEntry[];
}

interface Place {
  readonly blocks: number;
  readonly groupBlocks: number;
  readonly groupBits: number;
}

interface Named {
  readonly name: string;
  readonly inode: number;
}

interface ReadInode {
  readonly type: ReturnType<typeof typeOf>;
  readonly mode: number;
  readonly content: Blob;
  /** Whether the content lies in the inode itself. */
  readonly local: boolean;
}

const MOST_ENTRIES = 65536;
const DEEPEST = 32;
const LONGEST_NAME = 255;

/**
 * Reads a small XFS of version 5, as `xfsImage` writes it: blocks of 4096 bytes, directories of at most one block,
 * files of few extents. Contents refer to `image`. Throws `invalid` `XFS_INVALID`, also for what is beyond that.
 */
export async function readXfs(image: Blob, signal?: AbortSignal): Promise<XfsVolumeContent> {
  if (image.size < BLOCK) throw xfsError('too short');
  const head = Buffer.from(await readRange(image, 0, BLOCK, signal));
  if (head.toString('latin1', 0, 4) !== 'XFSB') throw xfsError('no superblock');
  const sectorSize = head.readUInt16BE(102);
  if (sectorSize !== 512 && sectorSize !== 4096) throw xfsError(`sectors of ${sectorSize} bytes`);
  requireSum(head.subarray(0, sectorSize), 224, 'superblock');
  if (head.readUInt32BE(4) !== BLOCK || head.readUInt16BE(104) !== INODE)
    throw xfsError('other sizes of blocks or inodes than 4096 and 512 bytes');
  const place = {
    blocks: Number(head.readBigUInt64BE(8)),
    groupBlocks: head.readUInt32BE(84),
    groupBits: head.readUInt8(124),
  };
  if (place.blocks * BLOCK > image.size || place.groupBlocks === 0 || place.groupBits > 31)
    throw xfsError('larger than its partition');
  const reader = new TreeReader(image, place, signal);
  await reader.walk(Number(head.readBigUInt64BE(56)), '', 0);
  const uuid = head.toString('hex', 32, 48);
  return {
    label: head.toString('latin1', 108, 120).split('\0', 1)[0] ?? '',
    uuid: uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    sectorSize,
    freeSpace: Number(head.readBigUInt64BE(144)) * BLOCK,
    entries: reader.entries,
  };
}

class TreeReader {
  readonly entries: TreeEntry[] = [];
  readonly #image: Blob;
  readonly #place: Place;
  readonly #signal: AbortSignal | undefined;

  constructor(image: Blob, place: Place, signal: AbortSignal | undefined) {
    this.#image = image;
    this.#place = place;
    this.#signal = signal;
  }

  async walk(directory: number, path: string, depth: number): Promise<void> {
    if (depth > DEEPEST) throw xfsError('directories nested too deep');
    const { type, content, local } = await this.#inode(directory);
    if (type !== 'directory') throw xfsError(`inode ${directory} is no directory`);
    if (content.size > BLOCK) throw xfsError(`the directory /${path} has more than one block`);
    const bytes = Buffer.from(await readAll(content, BLOCK, this.#signal));
    for (const { name, inode } of local ? localEntries(bytes) : blockEntries(bytes)) {
      if (this.entries.length >= MOST_ENTRIES) throw xfsError('too many files');
      await this.#add(path === '' ? name : `${path}/${name}`, inode, depth);
    }
  }

  async #add(path: string, number: number, depth: number): Promise<void> {
    const { type, mode, content } = await this.#inode(number);
    switch (type) {
      case 'file':
        this.entries.push({ type, path, mode, content });
        break;
      case 'symlink': {
        const target = Buffer.from(await readAll(content, BLOCK, this.#signal)).toString();
        this.entries.push({ type, path, mode, target });
        break;
      }
      case 'directory':
        this.entries.push({ type, path, mode });
        await this.walk(number, path, depth + 1);
        break;
      default:
        throw xfsError(`${path} is of an unknown type`);
    }
  }

  async #inode(number: number): Promise<ReadInode> {
    const block = this.#offset(Math.floor(number / INODES_PER_BLOCK), 1);
    const offset = block + (number % INODES_PER_BLOCK) * INODE;
    const bytes = Buffer.from(await readRange(this.#image, offset, INODE, this.#signal));
    if (bytes.toString('latin1', 0, 2) !== 'IN' || bytes.readBigUInt64BE(152) !== BigInt(number))
      throw xfsError(`no inode ${number}`);
    requireSum(bytes, 100, `inode ${number}`);
    const mode = bytes.readUInt16BE(2);
    const size = Number(bytes.readBigUInt64BE(56));
    const local = bytes.readUInt8(5) === 1;
    return {
      type: typeOf(mode),
      mode: mode & 0o7777,
      content: this.#content(bytes, offset, size, local),
      local,
    };
  }

  #content(bytes: Buffer, offset: number, size: number, local: boolean): Blob {
    if (local) {
      if (size > LOCAL_SIZE) throw xfsError('an inode with more data than fits');
      return sliceBlob(this.#image, offset + INODE_HEADER, size);
    }
    if (bytes.readUInt8(5) !== 2) throw xfsError('an inode with a tree of extents');
    const count = bytes.readUInt32BE(76);
    if (count > MOST_EXTENTS) throw xfsError('an inode with more extents than fit');
    const parts: Blob[] = [];
    let next = 0n;
    for (let i = 0; i < count; i++) {
      const at = INODE_HEADER + i * EXTENT_SIZE;
      const record = (bytes.readBigUInt64BE(at) << 64n) | bytes.readBigUInt64BE(at + 8);
      const blocks = Number(record & 0x1fffffn);
      if ((record >> 73n) % 2n ** 54n !== next) throw xfsError('a file with holes');
      next += BigInt(blocks);
      const start = this.#offset(Number((record >> 21n) % 2n ** 52n), blocks);
      parts.push(sliceBlob(this.#image, start, blocks * BLOCK));
    }
    const all = concatBlobs(parts);
    if (size > all.size) throw xfsError('a file with fewer blocks than bytes');
    return sliceBlob(all, 0, size);
  }

  /** Byte offset of blocks by their number in the whole file system. */
  #offset(number: number, count: number): number {
    const { blocks, groupBlocks, groupBits } = this.#place;
    const group = Math.floor(number / 2 ** groupBits);
    const block = group * groupBlocks + (number % 2 ** groupBits);
    if (block + count > blocks) throw xfsError(`block ${number} is beyond the end`);
    return block * BLOCK;
  }
}

function localEntries(bytes: Buffer): readonly Named[] {
  const entries: Named[] = [];
  if (bytes.length < 6 || bytes.readUInt8(1) !== 0) throw xfsError('a directory with large inode numbers');
  let at = 6;
  for (let i = 0; i < bytes.readUInt8(0); i++) {
    const length = at < bytes.length ? bytes.readUInt8(at) : LONGEST_NAME;
    const end = at + 8 + length;
    if (end > bytes.length) throw xfsError('a directory that ends early');
    entries.push({
      name: nameOf(bytes.subarray(at + 3, at + 3 + length)),
      inode: bytes.readUInt32BE(end - 4),
    });
    at = end;
  }
  return entries;
}

function blockEntries(bytes: Buffer): readonly Named[] {
  if (bytes.length !== BLOCK || bytes.toString('latin1', 0, 4) !== 'XDB3')
    throw xfsError('no directory block');
  requireSum(bytes, 4, 'directory block');
  const count = bytes.readUInt32BE(BLOCK - 8);
  const leaf = BLOCK - 8 - count * 8;
  const entries: Named[] = [];
  let at = 64;
  while (at < leaf) {
    const unused = bytes.readUInt16BE(at) === 0xffff;
    const length = bytes.readUInt8(at + 8);
    const size = unused ? bytes.readUInt16BE(at + 2) : Math.ceil((12 + length) / 8) * 8;
    if (size < 8 || at + size > leaf) throw xfsError('a directory block that ends early');
    const name = bytes.subarray(at + 9, at + 9 + length);
    const isDot = name.toString('latin1') === '.' || name.toString('latin1') === '..';
    if (!unused && !isDot) entries.push({ name: nameOf(name), inode: Number(bytes.readBigUInt64BE(at)) });
    at += size;
  }
  return entries;
}

function nameOf(bytes: Buffer): string {
  const name = bytes.toString();
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
    throw xfsError(`the name ${JSON.stringify(name)}`);
  return name;
}

function requireSum(structure: Buffer, offset: number, what: string): void {
  const copy = Buffer.from(structure);
  copy.writeUInt32LE(0, offset);
  if (crc32c(copy) !== structure.readUInt32LE(offset)) throw xfsError(`wrong checksum of the ${what}`);
}

function xfsError(message: string): FactoryError {
  return new FactoryError('invalid', 'XFS_INVALID', `no valid XFS file system: ${message}`);
}
