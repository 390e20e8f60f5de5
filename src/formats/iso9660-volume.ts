import { type Extent, rootRecord } from './iso9660-directory.ts';
import { BLOCK, volumeDate, writeBoth16, writeBoth32, writeText } from './iso9660-fields.ts';

export interface VolumeFields {
  readonly volumeId: string;
  readonly volumeSetId: string;
  /** Seconds since the epoch. */
  readonly time: number;
  /** Blocks of the whole volume. */
  readonly blocks: number;
  readonly root: Extent;
  /** Bytes. */
  readonly pathTableSize: number;
  /** Of the table with little-endian numbers, and of the one with big-endian ones. */
  readonly pathTableLba: readonly [little: number, big: number];
}

/** The primary volume descriptor (ECMA-119 §8.4). */
export function primaryDescriptor(fields: VolumeFields): Uint8Array {
  const bytes = Buffer.alloc(BLOCK);
  bytes.write('\u0001CD001\u0001', 0, 'latin1');
  writeText(bytes, '', 8, 32);
  writeText(bytes, fields.volumeId, 40, 32);
  writeBoth32(bytes, fields.blocks, 80);
  writeBoth16(bytes, 1, 120);
  writeBoth16(bytes, 1, 124);
  writeBoth16(bytes, BLOCK, 128);
  writeBoth32(bytes, fields.pathTableSize, 132);
  bytes.writeUInt32LE(fields.pathTableLba[0], 140);
  bytes.writeUInt32BE(fields.pathTableLba[1], 148);
  bytes.set(rootRecord(fields.root, fields.time), 156);
  writeText(bytes, fields.volumeSetId, 190, 128);
  // Publisher, preparer, application, and three names of files that are not there.
  writeText(bytes, '', 318, 495);
  bytes.set(volumeDate(fields.time), 813);
  bytes.set(volumeDate(fields.time), 830);
  bytes.set(volumeDate(undefined), 847);
  bytes.set(volumeDate(undefined), 864);
  bytes.writeUInt8(1, 881);
  return bytes;
}

/** The set terminator (ECMA-119 §8.3). */
export function setTerminator(): Uint8Array {
  const bytes = Buffer.alloc(BLOCK);
  bytes.write('\u00ffCD001\u0001', 0, 'latin1');
  return bytes;
}

export interface PathTableEntry {
  /** `\0` for the root. */
  readonly identifier: string;
  readonly lba: number;
  /** Number of the directory above, from 1 on; the root's own is 1. */
  readonly parent: number;
}

/** The path table (ECMA-119 §9.4), with numbers of either byte order. */
export function pathTable(entries: readonly PathTableEntry[], order: 'little' | 'big'): Uint8Array {
  const bytes = Buffer.alloc(pathTableSize(entries.map((entry) => entry.identifier)));
  let at = 0;
  for (const { identifier, lba, parent } of entries) {
    bytes.writeUInt8(identifier.length, at);
    if (order === 'little') {
      bytes.writeUInt32LE(lba, at + 2);
      bytes.writeUInt16LE(parent, at + 6);
    } else {
      bytes.writeUInt32BE(lba, at + 2);
      bytes.writeUInt16BE(parent, at + 6);
    }
    bytes.write(identifier, at + 8, 'latin1');
    at += 8 + identifier.length + (identifier.length % 2);
  }
  return bytes;
}

export function pathTableSize(identifiers: readonly string[]): number {
  return identifiers.reduce((sum, { length }) => sum + 8 + length + (length % 2), 0);
}
