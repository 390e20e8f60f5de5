import { TAR_BLOCK } from './tar-header.ts';

/** A part of a file that is in the archive; between the parts there are zeros. */
export interface SparsePart {
  readonly offset: number;
  readonly length: number;
}

export interface GnuHeaderFields {
  /** At most 100 bytes. */
  readonly name: string;
  readonly mode: number;
  /** Bytes of content in the archive. */
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
}

export interface SparseHeaderFields extends GnuHeaderFields {
  /** Bytes of the file when its holes are in it. */
  readonly realSize: number;
  readonly map: readonly SparsePart[];
}

/** Where things stand in the header of GNU tar's own format (its manual, "Basic Tar Format", `oldgnu_header`). */
const TYPE_AT = 156;
const MAP_AT = 386;
const EXTENDED_AT = 482;
const REAL_SIZE_AT = 483;
const PART_SIZE = 24;
const FIRST_PARTS = 4;
/** In the blocks that continue the map. */
const FURTHER_PARTS = 21;
const FURTHER_EXTENDED_AT = FURTHER_PARTS * PART_SIZE;

/** The header block of a file of owner 0:0, without names of users. */
export function gnuTarHeader(fields: GnuHeaderFields): Uint8Array {
  return withChecksum(basicHeader(fields, '0'));
}

/** The header of a sparse file with all blocks of its map; the parts follow, each padded to a block. */
export function gnuSparseHeader(fields: SparseHeaderFields): Uint8Array {
  const { map } = fields;
  const header = basicHeader(fields, 'S');
  putParts(header, MAP_AT, map.slice(0, FIRST_PARTS));
  if (map.length > FIRST_PARTS) header[EXTENDED_AT] = 1;
  putNumber(header, fields.realSize, REAL_SIZE_AT, 12);
  const blocks = [withChecksum(header)];
  for (let from = FIRST_PARTS; from < map.length; from += FURTHER_PARTS) {
    const block = Buffer.alloc(TAR_BLOCK);
    putParts(block, 0, map.slice(from, from + FURTHER_PARTS));
    if (from + FURTHER_PARTS < map.length) block[FURTHER_EXTENDED_AT] = 1;
    blocks.push(block);
  }
  return Buffer.concat(blocks);
}

function basicHeader(fields: GnuHeaderFields, type: '0' | 'S'): Buffer {
  const name = Buffer.from(fields.name);
  if (name.length === 0 || name.length > 100) throw new RangeError(`${fields.name} is no name of 100 bytes`);
  const header = Buffer.alloc(TAR_BLOCK);
  header.set(name);
  putNumber(header, fields.mode, 100, 8);
  putNumber(header, 0, 108, 8);
  putNumber(header, 0, 116, 8);
  putNumber(header, fields.size, 124, 12);
  putNumber(header, fields.mtime, 136, 12);
  header.write(type, TYPE_AT, 'latin1');
  header.write('ustar  \0', 257, 'latin1');
  return header;
}

function putParts(block: Buffer, at: number, parts: readonly SparsePart[]): void {
  for (const [i, { offset, length }] of parts.entries()) {
    putNumber(block, offset, at + i * PART_SIZE, 12);
    putNumber(block, length, at + i * PART_SIZE + 12, 12);
  }
}

/** Octal digits and NUL; what does not fit, binary with the first bit set (8 GiB and more). */
function putNumber(block: Buffer, value: number, at: number, width: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no number for a header`);
  const digits = value.toString(8);
  if (digits.length < width) {
    block.write(`${digits.padStart(width - 1, '0')}\0`, at, 'latin1');
    return;
  }
  if (width < 12) throw new RangeError(`${value} does not fit in ${width} bytes`);
  block[at] = 0x80;
  block.writeBigUInt64BE(BigInt(value), at + width - 8);
}

/** The sum of all bytes with its own field as blanks. */
function withChecksum(header: Buffer): Buffer {
  header.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}
