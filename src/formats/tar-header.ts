/** POSIX.1-2017 pax, "ustar Interchange Format", with the extensions of GNU tar (its manual, "Basic Tar Format"). */
export const TAR_BLOCK = 512;

/** Fields as they stand in one header block; strings up to their first NUL. */
export interface TarHeader {
  readonly name: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One Latin-1 character. */
  readonly typeflag: string;
  readonly linkName: Uint8Array;
  readonly devMajor: number;
  readonly devMinor: number;
}

/**
 * Throws `RangeError` for a wrong checksum or a number that is none. Numbers are octal, or base-256 when the
 * first bit is set (GNU); sizes are checked by the caller.
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  const bytes = Buffer.from(block.buffer, block.byteOffset, TAR_BLOCK);
  checkSum(bytes);
  const magic = bytes.toString('latin1', 257, 265);
  // GNU's magic is `ustar  \0`; it keeps times, not a prefix, in the last fields.
  const prefix = magic.startsWith('ustar\0') ? text(bytes.subarray(345, 500)) : new Uint8Array(0);
  const name = text(bytes.subarray(0, 100));
  const extended = magic.startsWith('ustar');
  return {
    name: prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]),
    mode: number(bytes.subarray(100, 108), 'mode') & 0o7777,
    uid: number(bytes.subarray(108, 116), 'uid'),
    gid: number(bytes.subarray(116, 124), 'gid'),
    size: number(bytes.subarray(124, 136), 'size'),
    mtime: number(bytes.subarray(136, 148), 'mtime'),
    typeflag: bytes.toString('latin1', 156, 157),
    linkName: text(bytes.subarray(157, 257)),
    devMajor: extended ? number(bytes.subarray(329, 337), 'devmajor') : 0,
    devMinor: extended ? number(bytes.subarray(337, 345), 'devminor') : 0,
  };
}

export interface TarHeaderFields {
  /** At most 100 bytes. */
  readonly name: string;
  /** At most 155 bytes; goes before the name with a `/` between. */
  readonly prefix?: string;
  readonly mode: number;
  /** Bytes, below 8 GiB. */
  readonly size: number;
  readonly mtime: number;
  readonly typeflag: string;
  /** At most 100 bytes. */
  readonly linkName?: string;
}

/** A ustar header block of owner 0:0. Throws `RangeError` when a field does not fit. */
export function formatTarHeader(fields: TarHeaderFields): Uint8Array {
  const bytes = Buffer.alloc(TAR_BLOCK);
  const put = (value: string, offset: number, length: number): void => {
    if (Buffer.byteLength(value) > length)
      throw new RangeError(`${JSON.stringify(value)} is longer than ${length}`);
    bytes.write(value, offset, 'utf8');
  };
  const octal = (value: number, offset: number, length: number): void => {
    if (!Number.isInteger(value) || value < 0) throw new RangeError(`${value} is no octal number`);
    put(value.toString(8).padStart(length - 1, '0'), offset, length - 1);
  };
  put(fields.name, 0, 100);
  octal(fields.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(fields.size, 124, 12);
  octal(fields.mtime, 136, 12);
  put('        ', 148, 8);
  put(fields.typeflag, 156, 1);
  put(fields.linkName ?? '', 157, 100);
  put('ustar\x0000', 257, 8);
  octal(0, 329, 8);
  octal(0, 337, 8);
  put(fields.prefix ?? '', 345, 155);
  let sum = 0;
  for (const byte of bytes) sum += byte;
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The sum of all bytes with the field itself as blanks; old programs summed signed bytes. */
function checkSum(bytes: Buffer): void {
  const wanted = number(bytes.subarray(148, 156), 'checksum');
  let unsigned = 8 * 0x20;
  let signed = 8 * 0x20;
  for (let i = 0; i < TAR_BLOCK; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = bytes[i] ?? 0;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  if (wanted !== unsigned && wanted !== signed) throw new RangeError('a header has a wrong checksum');
}

function text(field: Uint8Array): Uint8Array {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

function number(field: Buffer, what: string): number {
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) return base256(field, what);
  const digits = field
    .toString('latin1')
    .replace(/^[ \0]+/, '')
    .replace(/[ \0].*$/s, '');
  if (!/^[0-7]*$/.test(digits)) throw new RangeError(`${what} is not a number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Big-endian two's complement without the marking first bit. */
function base256(field: Buffer, what: string): number {
  let value = BigInt((field[0] ?? 0) & 0x7f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  if (((field[0] ?? 0) & 0x40) !== 0) value -= 1n << BigInt(field.length * 8 - 1);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw new RangeError(`${what} is too large`);
  return result;
}
