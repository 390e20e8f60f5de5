import { crc32 } from 'node:zlib';
import { FactoryError } from '../errors.ts';

/** The .xz file format 1.2.0 (tukaani.org/xz/xz-file-format.txt): sections 2.1 Stream, 3 Block, 4 Index. */
export const XZ_MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
const FOOTER_MAGIC = Uint8Array.of(0x59, 0x5a);
/** Of the stream header and of the footer. */
const END_SIZE = 12;
/** §2.1.1.2: bytes of the check after a block, by its number. */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/** What the index has of a block (§4.3). */
export interface XzRecord {
  /** Without the padding. */
  readonly unpaddedSize: number;
  readonly uncompressedSize: number;
}

/** One block of a stream. */
export interface XzBlock extends XzRecord {
  /** From the block's header to its end, padded to 4. */
  readonly bytes: Uint8Array;
}

export interface XzStream {
  /** §2.1.1.2: 0 none, 1 CRC32, 4 CRC64, 10 SHA-256. */
  readonly check: number;
  readonly blocks: readonly XzBlock[];
}

/**
 * The blocks of exactly one stream, found by its index; their content is not looked at.
 * Throws `invalid` `XZ_INVALID` when headers, index and footer do not agree.
 */
export function parseXzStream(stream: Uint8Array): XzStream {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  if (stream.length < 2 * END_SIZE + 8 || stream.length % 4 !== 0) throw invalid('a wrong length');
  if (!startsWith(stream, XZ_MAGIC) || !startsWith(stream.subarray(-2), FOOTER_MAGIC))
    throw invalid('a wrong magic');
  const check = stream[7] ?? 0;
  const footer = stream.length - END_SIZE;
  if (stream[6] !== 0 || check > 15 || view.getUint32(8, true) !== crc32(stream.subarray(6, 8))) {
    throw invalid('a wrong stream header');
  }
  if (
    view.getUint16(footer + 8, true) !== view.getUint16(6, true) ||
    view.getUint32(footer, true) !== crc32(stream.subarray(footer + 4, footer + 10))
  ) {
    throw invalid('a wrong stream footer');
  }
  const indexStart = footer - (view.getUint32(footer + 4, true) + 1) * 4;
  if (indexStart < END_SIZE) throw invalid('a wrong size of the index');
  const index = stream.subarray(indexStart, footer);
  if (view.getUint32(footer - 4, true) !== crc32(index.subarray(0, -4))) throw invalid('a wrong index');
  return { check, blocks: cutBlocks(stream.subarray(END_SIZE, indexStart), parseIndex(index), check) };
}

/** The stream of some blocks, which have to come from streams of the same `check`. */
export function formatXzStream({ check, blocks }: XzStream): Uint8Array {
  return Buffer.concat([
    xzStreamStart(check),
    ...blocks.map((block) => block.bytes),
    xzStreamEnd(check, blocks),
  ]);
}

/** What a stream begins with (§2.1.1). */
export function xzStreamStart(check: number): Uint8Array {
  const flags = Uint8Array.of(0, check);
  return Buffer.concat([XZ_MAGIC, flags, littleEndian32(crc32(flags))]);
}

/** What follows the blocks: index and footer (§4, §2.1.2). */
export function xzStreamEnd(check: number, blocks: readonly XzRecord[]): Uint8Array {
  const index = formatIndex(blocks);
  const backward = Buffer.alloc(6);
  backward.writeUInt32LE(index.length / 4 - 1);
  backward.set(Uint8Array.of(0, check), 4);
  return Buffer.concat([index, littleEndian32(crc32(backward)), backward, FOOTER_MAGIC]);
}

function cutBlocks(area: Uint8Array, records: readonly XzRecord[], check: number): XzBlock[] {
  const blocks: XzBlock[] = [];
  let at = 0;
  for (const record of records) {
    const end = at + Math.ceil(record.unpaddedSize / 4) * 4;
    // A header of 8 bytes, one byte of data and the check are the least (§4.3).
    if (record.unpaddedSize < 9 + (CHECK_SIZES[check] ?? 0) || end > area.length)
      throw invalid('a wrong block size');
    blocks.push({ ...record, bytes: area.subarray(at, end) });
    at = end;
  }
  if (at !== area.length) throw invalid('blocks that are not in the index');
  return blocks;
}

/** §4.1 to §4.4: 0, the number of records, the records, padding; then a CRC32, which was checked. */
function parseIndex(index: Uint8Array): XzRecord[] {
  if (index[0] !== 0) throw invalid('a wrong index');
  const end = index.length - 4;
  let at = 1;
  const integer = (): number => {
    let value = 0;
    for (let shift = 0; at < end && shift < 49; shift += 7) {
      const byte = index[at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw invalid('a wrong number in the index');
  };
  const count = integer();
  if (count > end / 2) throw invalid('a wrong number of blocks');
  const records: XzRecord[] = [];
  for (let i = 0; i < count; i++) records.push({ unpaddedSize: integer(), uncompressedSize: integer() });
  if (end - at > 3 || index.subarray(at, end).some((byte) => byte !== 0))
    throw invalid('a wrong end of the index');
  return records;
}

function formatIndex(blocks: readonly XzRecord[]): Uint8Array {
  const bytes: number[] = [0];
  const integer = (value: number): void => {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
  };
  integer(blocks.length);
  for (const { unpaddedSize, uncompressedSize } of blocks) {
    integer(unpaddedSize);
    integer(uncompressedSize);
  }
  while (bytes.length % 4 !== 0) bytes.push(0);
  const index = Uint8Array.from(bytes);
  return Buffer.concat([index, littleEndian32(crc32(index))]);
}

function littleEndian32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}

function invalid(reason: string): FactoryError {
  return new FactoryError('invalid', 'XZ_INVALID', `invalid .xz stream: it has ${reason}`);
}
