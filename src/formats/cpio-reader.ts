import { FactoryError } from '../errors.ts';
import { CPIO_HEADER_SIZE, CPIO_NAME_LIMIT, CPIO_TRAILER } from './cpio.ts';
import { StreamReader } from './stream-reader.ts';

/** A member as it stands in the archive: the name is not confined, numbers are not judged. */
export interface CpioMember {
  readonly name: string;
  /** File type and permissions, `S_IFMT` and all. */
  readonly mode: number;
  readonly ino: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Bytes. */
  readonly size: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Which archive of a concatenation, from 0. */
  readonly archive: number;
  /** Once, and before the next member is asked for; what was not read then is passed over. */
  readonly content: AsyncIterable<Uint8Array>;
}

export interface CpioReadLimits {
  /** Members in all archives; a million when absent. */
  readonly members?: number;
}

/**
 * The members of one or more `newc` archives, one after the other with zero bytes between them (as the kernel
 * takes an initramfs), until the stream ends. Trailers are not given. Throws `invalid` `CPIO_INVALID` for what
 * is no archive, is cut off, has no trailer, or has more members than allowed.
 */
export async function* readCpio(
  source: AsyncIterable<Uint8Array>,
  limits: CpioReadLimits = {},
): AsyncIterable<CpioMember> {
  await using reader = new StreamReader(source);
  const most = limits.members ?? 1_000_000;
  let members = 0;
  for (let archive = 0; await toNextArchive(reader); archive++) {
    for (;;) {
      const at = reader.position;
      const fields = parseHeader(await exactly(reader, CPIO_HEADER_SIZE, at), at);
      const name = parseName(await exactly(reader, fields.nameSize, at), at);
      await pad(reader, CPIO_HEADER_SIZE + fields.nameSize, at);
      if (name === CPIO_TRAILER) {
        if (fields.size !== 0) throw invalid(at, 'the trailer has content');
        break;
      }
      if (++members > most) throw invalid(at, `there are more than ${most} members`);
      const end = reader.position + fields.size;
      yield { ...fields, name, archive, content: contentUntil(reader, end, name) };
      const left = end - reader.position;
      if ((await reader.skip(left)) !== left) throw cutOff(name);
      await pad(reader, fields.size, at);
    }
  }
}

/** Passes over zero bytes between archives and gives the next header's first byte back, if there is one. */
async function toNextArchive(reader: StreamReader): Promise<boolean> {
  for (;;) {
    const bytes = await reader.some(1 << 16);
    if (bytes === undefined) return false;
    const start = bytes.findIndex((byte) => byte !== 0);
    if (start < 0) continue;
    reader.putBack(bytes.subarray(start));
    if (reader.position % 4 !== 0) throw invalid(reader.position, 'an archive does not start 4-byte aligned');
    return true;
  }
}

async function* contentUntil(reader: StreamReader, end: number, name: string): AsyncIterable<Uint8Array> {
  while (reader.position < end) {
    const bytes = await reader.some(end - reader.position);
    if (bytes === undefined) throw cutOff(name);
    yield bytes;
  }
}

function parseHeader(bytes: Uint8Array, at: number) {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  // 070702 is the same with a checksum of the content, which Linux ignores too.
  if (!/^07070[12][0-9A-Fa-f]{104}$/.test(text)) throw invalid(at, 'there is no newc header');
  const field = (index: number): number => Number.parseInt(text.slice(6 + index * 8, 14 + index * 8), 16);
  const nameSize = field(11);
  if (nameSize < 1 || nameSize > CPIO_NAME_LIMIT) throw invalid(at, `a name of ${nameSize} bytes`);
  return {
    ino: field(0),
    mode: field(1),
    uid: field(2),
    gid: field(3),
    nlink: field(4),
    mtime: field(5),
    size: field(6),
    rdevMajor: field(9),
    rdevMinor: field(10),
    nameSize,
  };
}

function parseName(bytes: Uint8Array, at: number): string {
  if (bytes.indexOf(0) !== bytes.length - 1) throw invalid(at, 'a name does not end with NUL');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - 1).toString('utf8');
}

async function exactly(reader: StreamReader, length: number, at: number): Promise<Uint8Array> {
  const bytes = await reader.take(length);
  if (bytes.length !== length) throw invalid(at, 'the archive ends before its trailer');
  return bytes;
}

async function pad(reader: StreamReader, length: number, at: number): Promise<void> {
  const bytes = await exactly(reader, -length & 3, at);
  if (bytes.some((byte) => byte !== 0)) throw invalid(at, 'padding is not zero');
}

function cutOff(name: string): FactoryError {
  return new FactoryError(
    'invalid',
    'CPIO_INVALID',
    `invalid cpio archive: it ends within ${JSON.stringify(name)}`,
  );
}

function invalid(at: number, reason: string): FactoryError {
  return new FactoryError('invalid', 'CPIO_INVALID', `invalid cpio archive at offset ${at}: ${reason}`);
}
