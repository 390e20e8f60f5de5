import { crc32 } from 'node:zlib';
import { bytesBlob } from '../blob/bytes.ts';
import type { Placed } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';
import { efiGuidBytes } from './guid.ts';
import { protectiveMbr } from './mbr.ts';

/** A partition in its place; addresses in sectors, both ends included. */
export interface GptPartition {
  readonly name: string;
  /** GUIDs as text. */
  readonly typeGuid: string;
  readonly guid: string;
  readonly firstLba: number;
  readonly lastLba: number;
  /** Bit 2 (value 4): legacy BIOS bootable (UEFI 2.10 table 5.8). */
  readonly attributes: bigint;
}

/** A partition table (UEFI 2.10 §5.3) of 128 entries; addresses in sectors. */
export interface GptTable {
  readonly sectorSize: 512 | 4096;
  /** Of the disk. */
  readonly lastLba: number;
  readonly diskGuid: string;
  /** Where the primary entries begin: 2 or later. */
  readonly entriesLba: number;
  readonly firstUsableLba: number;
  readonly lastUsableLba: number;
  readonly partitions: readonly GptPartition[];
}

/** A partition that wants a place. */
export interface PartitionRequest {
  readonly name: string;
  readonly typeGuid: string;
  readonly guid: string;
  /** Bytes, or all that is left, rounded down to whole MiB. */
  readonly size: number | 'rest';
  readonly attributes?: bigint;
}

export interface DiskSpec {
  /** Bytes. */
  readonly size: number;
  readonly sectorSize: 512 | 4096;
  readonly diskGuid: string;
  /** Sectors left free between the header and its entries, for boot code that a board wants there. */
  readonly skip?: number;
  readonly partitions: readonly PartitionRequest[];
}

const ENTRIES = 128;
const ENTRY_SIZE = 128;
const HEADER_SIZE = 92;
const MIB = 1 << 20;

/** Sectors of the array of entries. */
function entrySectors(sectorSize: number): number {
  return (ENTRIES * ENTRY_SIZE) / sectorSize;
}

/**
 * Places partitions one after the other, each at a whole MiB (`spec/outputs-disk.md` §2.3).
 * Throws `invalid` `PARTITION_NO_ROOM`.
 */
export function layoutDisk(spec: DiskSpec): GptTable {
  const lastLba = Math.floor(spec.size / spec.sectorSize) - 1;
  const alignment = MIB / spec.sectorSize;
  const entriesLba = 2 + (spec.skip ?? 0);
  const firstUsableLba = Math.ceil((entriesLba + entrySectors(spec.sectorSize)) / alignment) * alignment;
  const lastUsableLba = lastLba - entrySectors(spec.sectorSize) - 1;
  const partitions: GptPartition[] = [];
  let next = firstUsableLba;
  for (const request of spec.partitions) {
    const last =
      request.size === 'rest'
        ? Math.floor(lastUsableLba / alignment) * alignment - 1
        : next + Math.ceil(request.size / spec.sectorSize) - 1;
    if (last < next || last > lastUsableLba)
      throw new FactoryError(
        'invalid',
        'PARTITION_NO_ROOM',
        `failed to allocate partition ${request.name}: no allocatable range found`,
      );
    partitions.push({
      name: request.name,
      typeGuid: request.typeGuid,
      guid: request.guid,
      firstLba: next,
      lastLba: last,
      attributes: request.attributes ?? 0n,
    });
    next = Math.ceil((last + 1) / alignment) * alignment;
  }
  const { sectorSize, diskGuid } = spec;
  return { sectorSize, lastLba, diskGuid, entriesLba, firstUsableLba, lastUsableLba, partitions };
}

/**
 * The table as parts of a disk (offsets in bytes): protective MBR with `bootCode` (446 bytes at most), primary
 * header, primary entries, and the secondary pair at the end.
 */
export function gptParts(table: GptTable, bootCode?: Uint8Array): readonly Placed[] {
  const { sectorSize, lastLba } = table;
  const entries = entryArray(table.partitions);
  const secondaryEntriesLba = lastLba - entrySectors(sectorSize);
  const part = (lba: number, bytes: Uint8Array): Placed => ({
    offset: lba * sectorSize,
    blob: bytesBlob(bytes),
  });
  return [
    part(0, protectiveMbr(lastLba, bootCode)),
    part(1, header(table, entries, 1, lastLba, table.entriesLba)),
    part(table.entriesLba, entries),
    part(secondaryEntriesLba, entries),
    part(lastLba, header(table, entries, lastLba, 1, secondaryEntriesLba)),
  ];
}

function entryArray(partitions: readonly GptPartition[]): Uint8Array {
  if (partitions.length > ENTRIES) throw new RangeError(`${partitions.length} partitions`);
  const bytes = Buffer.alloc(ENTRIES * ENTRY_SIZE);
  for (const [i, partition] of partitions.entries()) {
    const at = i * ENTRY_SIZE;
    const name = Buffer.from(partition.name, 'utf16le');
    if (name.length > 72) throw new RangeError(`partition name ${JSON.stringify(partition.name)}`);
    bytes.set(efiGuidBytes(partition.typeGuid), at);
    bytes.set(efiGuidBytes(partition.guid), at + 16);
    bytes.writeBigUInt64LE(BigInt(partition.firstLba), at + 32);
    bytes.writeBigUInt64LE(BigInt(partition.lastLba), at + 40);
    bytes.writeBigUInt64LE(partition.attributes, at + 48);
    bytes.set(name, at + 56);
  }
  return bytes;
}

function header(
  table: GptTable,
  entries: Uint8Array,
  ownLba: number,
  otherLba: number,
  entriesLba: number,
): Uint8Array {
  const bytes = Buffer.alloc(table.sectorSize);
  bytes.write('EFI PART');
  bytes.writeUInt32LE(0x00010000, 8);
  bytes.writeUInt32LE(HEADER_SIZE, 12);
  bytes.writeBigUInt64LE(BigInt(ownLba), 24);
  bytes.writeBigUInt64LE(BigInt(otherLba), 32);
  bytes.writeBigUInt64LE(BigInt(table.firstUsableLba), 40);
  bytes.writeBigUInt64LE(BigInt(table.lastUsableLba), 48);
  bytes.set(efiGuidBytes(table.diskGuid), 56);
  bytes.writeBigUInt64LE(BigInt(entriesLba), 72);
  bytes.writeUInt32LE(ENTRIES, 80);
  bytes.writeUInt32LE(ENTRY_SIZE, 84);
  bytes.writeUInt32LE(crc32(entries), 88);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_SIZE)), 16);
  return bytes;
}
