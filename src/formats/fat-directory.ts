import { DIRECTORY_ENTRY_SIZE } from './fat-geometry.ts';
import { type FatName, shortNameChecksum } from './fat-names.ts';

export const ATTRIBUTE = {
  readOnly: 0x01,
  volumeId: 0x08,
  directory: 0x10,
  archive: 0x20,
  longName: 0x0f,
} as const;

/** Characters of a name in one long name entry. */
export const LONG_NAME_PART = 13;
/** Where the 13 UTF-16 characters are in a long name entry (FAT specification §7.1). */
export const LONG_NAME_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;

export interface DirectoryRecord {
  readonly name: FatName;
  readonly attributes: number;
  readonly cluster: number;
  readonly size: number;
}

/** Bytes that the record of a name takes, its long name entries included. */
export function recordSize(name: FatName): number {
  const parts = name.long === undefined ? 0 : Math.ceil(name.long.length / LONG_NAME_PART);
  return (parts + 1) * DIRECTORY_ENTRY_SIZE;
}

/** One entry after the other, all with the same time (seconds since the epoch, as UTC). */
export function directoryBytes(records: readonly DirectoryRecord[], time: number): Uint8Array {
  const bytes = Buffer.alloc(records.reduce((sum, record) => sum + recordSize(record.name), 0));
  const stamp = fatTime(time);
  let at = 0;
  for (const record of records) {
    if (record.name.long !== undefined) at = writeLongName(bytes, at, record.name.long, record.name.short);
    bytes.write(record.name.short, at, 'latin1');
    bytes.writeUInt8(record.attributes, at + 11);
    bytes.writeUInt8(record.name.caseFlags, at + 12);
    bytes.writeUInt8(stamp.tenths, at + 13);
    bytes.writeUInt16LE(stamp.time, at + 14);
    bytes.writeUInt16LE(stamp.date, at + 16);
    bytes.writeUInt16LE(stamp.date, at + 18);
    bytes.writeUInt16LE(record.cluster >>> 16, at + 20);
    bytes.writeUInt16LE(stamp.time, at + 22);
    bytes.writeUInt16LE(stamp.date, at + 24);
    bytes.writeUInt16LE(record.cluster & 0xffff, at + 26);
    bytes.writeUInt32LE(record.size, at + 28);
    at += DIRECTORY_ENTRY_SIZE;
  }
  return bytes;
}

/** The parts of a long name precede its short one, the last part first. Gives the offset after them. */
function writeLongName(bytes: Buffer, start: number, long: string, short: string): number {
  const checksum = shortNameChecksum(short);
  const parts = Math.ceil(long.length / LONG_NAME_PART);
  let at = start;
  for (let part = parts; part >= 1; part--) {
    bytes.writeUInt8(part | (part === parts ? 0x40 : 0), at);
    bytes.writeUInt8(ATTRIBUTE.longName, at + 11);
    bytes.writeUInt8(checksum, at + 13);
    for (const [i, offset] of LONG_NAME_OFFSETS.entries()) {
      const index = (part - 1) * LONG_NAME_PART + i;
      const unit = index < long.length ? long.charCodeAt(index) : index === long.length ? 0 : 0xffff;
      bytes.writeUInt16LE(unit, at + offset);
    }
    at += DIRECTORY_ENTRY_SIZE;
  }
  return at;
}

/** Date and time as FAT stores them, from 1980 on; steps of two seconds and a rest in hundredths. */
function fatTime(seconds: number): { readonly date: number; readonly time: number; readonly tenths: number } {
  const when = new Date(seconds * 1000);
  const year = Math.min(Math.max(when.getUTCFullYear(), 1980), 2107);
  return {
    date: ((year - 1980) << 9) | ((when.getUTCMonth() + 1) << 5) | when.getUTCDate(),
    time: (when.getUTCHours() << 11) | (when.getUTCMinutes() << 5) | (when.getUTCSeconds() >> 1),
    tenths: (when.getUTCSeconds() % 2) * 100,
  };
}
