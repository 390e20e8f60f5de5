import { crc32 } from 'node:zlib';
import type { Blob } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import type { GptPartition, GptTable } from './gpt.ts';
import { efiGuidText } from './guid.ts';

const UNUSED = '00000000-0000-0000-0000-000000000000';

function gptError(message: string): FactoryError {
  return new FactoryError('invalid', 'GPT_INVALID', `no valid GPT: ${message}`);
}

/**
 * The primary partition table of a disk; the secondary one must agree with it. Throws `invalid` `GPT_INVALID`.
 */
export async function readGpt(disk: Blob, sectorSize: 512 | 4096, signal?: AbortSignal): Promise<GptTable> {
  const primary = await readTable(disk, sectorSize, 1, signal);
  const secondary = await readTable(disk, sectorSize, primary.lastLba, signal);
  if (JSON.stringify(secondary.partitions, plain) !== JSON.stringify(primary.partitions, plain))
    throw gptError('primary and secondary entries differ');
  return primary;
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

async function readTable(
  disk: Blob,
  sectorSize: 512 | 4096,
  lba: number,
  signal: AbortSignal | undefined,
): Promise<GptTable> {
  const sectors = Math.floor(disk.size / sectorSize);
  if (lba >= sectors) throw gptError(`its header at sector ${lba} is beyond the end`);
  const header = Buffer.from(await readRange(disk, lba * sectorSize, sectorSize, signal));
  if (header.toString('latin1', 0, 8) !== 'EFI PART') throw gptError(`no header at sector ${lba}`);
  const size = header.readUInt32LE(12);
  if (size < 92 || size > sectorSize) throw gptError(`header of ${size} bytes`);
  const sum = header.readUInt32LE(16);
  header.writeUInt32LE(0, 16);
  if (crc32(header.subarray(0, size)) !== sum)
    throw gptError(`wrong checksum of the header at sector ${lba}`);
  const count = header.readUInt32LE(80);
  const entrySize = header.readUInt32LE(84);
  if (entrySize < 128 || entrySize > 4096 || count > 1024)
    throw gptError(`${count} entries of ${entrySize} bytes`);
  const entriesLba = address(header, 72, sectors);
  const length = count * entrySize;
  if (entriesLba * sectorSize + length > disk.size) throw gptError('its entries lie beyond the end');
  const entries = Buffer.from(await readRange(disk, entriesLba * sectorSize, length, signal));
  if (crc32(entries) !== header.readUInt32LE(88)) throw gptError('wrong checksum of the entries');
  const own = address(header, 24, sectors);
  const other = address(header, 32, sectors);
  if (own !== lba) throw gptError(`the header at sector ${lba} says that it is at ${own}`);
  const partitions: GptPartition[] = [];
  for (let at = 0; at < length; at += entrySize) {
    const typeGuid = efiGuidText(entries.subarray(at, at + 16));
    if (typeGuid === UNUSED) continue;
    partitions.push({
      typeGuid,
      guid: efiGuidText(entries.subarray(at + 16, at + 32)),
      firstLba: address(entries, at + 32, sectors),
      lastLba: address(entries, at + 40, sectors),
      attributes: entries.readBigUInt64LE(at + 48),
      name: entries.toString('utf16le', at + 56, at + 128).split('\0', 1)[0] ?? '',
    });
  }
  return {
    sectorSize,
    lastLba: Math.max(own, other),
    diskGuid: efiGuidText(header.subarray(56, 72)),
    entriesLba,
    firstUsableLba: address(header, 40, sectors),
    lastUsableLba: address(header, 48, sectors),
    partitions,
  };
}

function address(bytes: Buffer, at: number, sectors: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value >= BigInt(sectors)) throw gptError(`sector ${value} is beyond the end of the disk`);
  return Number(value);
}
