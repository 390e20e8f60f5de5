/** Bytes of a logical block, which we always take to be the sector of a CD. */
export const BLOCK = 2048;

export function blocks(size: number): number {
  return Math.ceil(size / BLOCK);
}

/** A 16-bit number in both byte orders (ECMA-119 §7.2.3). */
export function writeBoth16(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt16LE(value, at);
  bytes.writeUInt16BE(value, at + 2);
}

/** A 32-bit number in both byte orders (ECMA-119 §7.3.3). */
export function writeBoth32(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value, at);
  bytes.writeUInt32BE(value, at + 4);
}

/** Text padded with blanks to its field. */
export function writeText(bytes: Buffer, text: string, at: number, length: number): void {
  if (!/^[\x20-\x7e]*$/.test(text) || text.length > length)
    throw new RangeError(`${JSON.stringify(text)} does not fit into ${length} characters`);
  bytes.write(text.padEnd(length), at, 'latin1');
}

/** The date of a directory record, UTC (ECMA-119 §9.1.5): 7 bytes. `seconds` since the epoch. */
export function recordDate(seconds: number): Uint8Array {
  const when = new Date(seconds * 1000);
  return Uint8Array.of(
    when.getUTCFullYear() - 1900,
    when.getUTCMonth() + 1,
    when.getUTCDate(),
    when.getUTCHours(),
    when.getUTCMinutes(),
    when.getUTCSeconds(),
    0,
  );
}

/** The date of a volume descriptor (ECMA-119 §8.4.26.1): 16 digits and the offset from UTC; 17 bytes. */
export function volumeDate(seconds: number | undefined): Uint8Array {
  const digits = seconds === undefined ? '0'.repeat(16) : `${utcDigits(seconds)}00`;
  return Buffer.concat([Buffer.from(digits), Buffer.alloc(1)]);
}

/** `YYYYMMDDhhmmss` in UTC. */
function utcDigits(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replaceAll(/\D/g, '').slice(0, 14);
}

/** The identifier that blkid and GRUB's `search --fs-uuid` make of the modification date: `YYYY-MM-DD-hh-mm-ss-cc`. */
export function isoUuid(seconds: number): string {
  const digits = `${utcDigits(seconds)}00`;
  return digits.replace(/^(....)(..)(..)(..)(..)(..)(..)$/, '$1-$2-$3-$4-$5-$6-$7');
}
