import { FactoryError } from '../../errors.ts';
import { seal } from './checksum.ts';
import { BLOCK } from './geometry.ts';
import { LOCAL_SIZE } from './inode.ts';

export interface XfsDirectory {
  readonly path: string;
  readonly inode: number;
  readonly parent: number;
  readonly entries: readonly XfsDirectoryEntry[];
}

export interface XfsDirectoryEntry {
  readonly name: Uint8Array;
  readonly inode: number;
  readonly type: number;
}

/** Of a directory in a block: what its header takes. */
const HEADER = 64;
const LEAF_ENTRY = 8;
const TAIL = 8;
const TYPE_DIRECTORY = 2;

/** Bytes of a directory in its inode, or `undefined` when it is too long for that. */
export function localDirectory(directory: XfsDirectory): Uint8Array | undefined {
  const size = directory.entries.reduce((sum, entry) => sum + 8 + entry.name.length, 6);
  if (size > LOCAL_SIZE) return undefined;
  const bytes = Buffer.alloc(size);
  bytes.writeUInt8(directory.entries.length, 0);
  bytes.writeUInt32BE(directory.parent, 2);
  let at = 6;
  // Entries carry the place that they would have in a block, after `.` and `..`.
  let place = HEADER + entrySize(1) + entrySize(2);
  for (const entry of directory.entries) {
    bytes.writeUInt8(entry.name.length, at);
    bytes.writeUInt16BE(place, at + 1);
    bytes.set(entry.name, at + 3);
    bytes.writeUInt8(entry.type, at + 3 + entry.name.length);
    bytes.writeUInt32BE(entry.inode, at + 4 + entry.name.length);
    at += 8 + entry.name.length;
    place += entrySize(entry.name.length);
  }
  return bytes;
}

/**
 * A directory of one block: entries, free space, then their hashes in order. `sector` is the block's address in
 * units of 512 bytes. Throws `invalid` `XFS_DIRECTORY_TOO_LARGE`.
 */
export function blockDirectory(directory: XfsDirectory, uuid: Uint8Array, sector: bigint): Uint8Array {
  const dots = [
    { name: Buffer.from('.'), inode: directory.inode, type: TYPE_DIRECTORY },
    { name: Buffer.from('..'), inode: directory.parent, type: TYPE_DIRECTORY },
  ];
  const entries = [...dots, ...directory.entries];
  const leaf = BLOCK - TAIL - entries.length * LEAF_ENTRY;
  const used = entries.reduce((sum, entry) => sum + entrySize(entry.name.length), HEADER);
  if (used > leaf)
    throw new FactoryError(
      'invalid',
      'XFS_DIRECTORY_TOO_LARGE',
      `the directory /${directory.path} has ${directory.entries.length} entries, more than fit into one block`,
    );
  const block = Buffer.alloc(BLOCK);
  block.write('XDB3');
  block.writeBigUInt64BE(sector, 8);
  block.set(uuid, 24);
  block.writeBigUInt64BE(BigInt(directory.inode), 40);
  const hashes: { readonly hash: number; readonly place: number }[] = [];
  let at = HEADER;
  for (const entry of entries) {
    const size = entrySize(entry.name.length);
    block.writeBigUInt64BE(BigInt(entry.inode), at);
    block.writeUInt8(entry.name.length, at + 8);
    block.set(entry.name, at + 9);
    block.writeUInt8(entry.type, at + 9 + entry.name.length);
    block.writeUInt16BE(at, at + size - 2);
    hashes.push({ hash: nameHash(entry.name), place: at / 8 });
    at += size;
  }
  if (at < leaf) {
    block.writeUInt16BE(at, 48);
    block.writeUInt16BE(leaf - at, 50);
    block.writeUInt16BE(0xffff, at);
    block.writeUInt16BE(leaf - at, at + 2);
    block.writeUInt16BE(at, leaf - 2);
  }
  hashes.sort((a, b) => a.hash - b.hash || a.place - b.place);
  for (const [i, { hash, place }] of hashes.entries()) {
    block.writeUInt32BE(hash, leaf + i * LEAF_ENTRY);
    block.writeUInt32BE(place, leaf + i * LEAF_ENTRY + 4);
  }
  block.writeUInt32BE(entries.length, BLOCK - TAIL);
  return seal(block, 4);
}

/** Of an entry in a block: inode, length, name, type and its own place, in whole units of 8 bytes. */
export function entrySize(nameLength: number): number {
  return Math.ceil((8 + 1 + nameLength + 1 + 2) / 8) * 8;
}

/** Hash of a name: four bytes of seven bits at a time (XFS Algorithms & Data Structures, ch. 20). */
export function nameHash(name: Uint8Array): number {
  let hash = 0;
  let at = 0;
  const byte = (i: number): number => name[at + i] ?? 0;
  for (; name.length - at >= 4; at += 4)
    hash = (byte(0) << 21) ^ (byte(1) << 14) ^ (byte(2) << 7) ^ byte(3) ^ rotate(hash, 28);
  switch (name.length - at) {
    case 3:
      hash = (byte(0) << 14) ^ (byte(1) << 7) ^ byte(2) ^ rotate(hash, 21);
      break;
    case 2:
      hash = (byte(0) << 7) ^ byte(1) ^ rotate(hash, 14);
      break;
    case 1:
      hash = byte(0) ^ rotate(hash, 7);
      break;
  }
  return hash >>> 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
