import { FactoryError } from '../errors.ts';
import { StreamReader } from './stream-reader.ts';
import { parseTarHeader, TAR_BLOCK, type TarHeader } from './tar-header.ts';
import { PAX_XATTR, parsePax } from './tar-pax.ts';

/** A member as it stands in the archive; consumers confine `name` and a hard link's `linkName` (`confinePath`). */
export interface TarMember {
  readonly name: string;
  readonly type: TarMemberType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch; fractions are dropped. */
  readonly mtime: number;
  /** Bytes of content; 0 for what is no file. */
  readonly size: number;
  /** Target of a symbolic link; name of an earlier member for a hard link. */
  readonly linkName: string;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Once, and before the next member is asked for; what was not read then is passed over. */
  readonly content: AsyncIterable<Uint8Array>;
}

export type TarMemberType =
  | 'file'
  | 'hard-link'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'directory'
  | 'fifo';

export interface TarReadLimits {
  /** Members; a million when absent. */
  readonly members?: number;
  /** Bytes of content of all members together; 64 GiB when absent. */
  readonly content?: number;
}

const TYPES: Readonly<Record<string, TarMemberType>> = {
  '0': 'file',
  '\0': 'file',
  // "Contiguous file": an ordinary one everywhere.
  '7': 'file',
  '1': 'hard-link',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
};
/** Bytes of one extended header or long name. */
const EXTENSION_LIMIT = 1 << 20;
/** Bytes of a name (PATH_MAX of Linux). */
const NAME_LIMIT = 4096;

/**
 * The members of a tar archive: v7, ustar, pax (also global, with `SCHILY.xattr.*`), GNU long names and base-256
 * numbers. The stream is read to its end, also after the end of the archive, so that whoever checks its digest
 * sees all of it. Throws `invalid` `TAR_INVALID` for what is damaged, cut off or beyond the limits, and
 * `TAR_UNSUPPORTED` (naming the member) for sparse and multi-volume members.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  limits: TarReadLimits = {},
): AsyncIterable<TarMember> {
  await using reader = new StreamReader(source);
  const extensions = new Extensions();
  let membersLeft = limits.members ?? 1_000_000;
  let contentLeft = limits.content ?? 64 * 2 ** 30;
  for (;;) {
    const at = reader.position;
    const block = await reader.take(TAR_BLOCK);
    if (block.length === 0 || block.every((byte) => byte === 0)) break;
    if (block.length !== TAR_BLOCK) throw invalid(at, 'it ends within a header');
    const header = guarded(at, () => parseTarHeader(block));
    if (header.size < 0) throw invalid(at, 'a negative size');
    if ('xgLK'.includes(header.typeflag)) {
      const body = await extensionBody(reader, header, at);
      guarded(at, () => extensions.add(header.typeflag, body));
      continue;
    }
    const member = guarded(at, () => extensions.apply(header));
    if (--membersLeft < 0) throw invalid(at, `there are more than ${limits.members ?? 1_000_000} members`);
    contentLeft -= member.size;
    if (contentLeft < 0)
      throw invalid(at, `the members are larger than ${limits.content ?? 64 * 2 ** 30} bytes`);
    const end = reader.position + member.size;
    yield { ...member, content: contentUntil(reader, end, member.name) };
    const left = end - reader.position;
    const padding = -member.size & (TAR_BLOCK - 1);
    if ((await reader.skip(left)) !== left || (await reader.skip(padding)) !== padding)
      throw cutOff(member.name);
  }
  await reader.skip(Number.MAX_SAFE_INTEGER);
}

async function* contentUntil(reader: StreamReader, end: number, name: string): AsyncIterable<Uint8Array> {
  while (reader.position < end) {
    const bytes = await reader.some(end - reader.position);
    if (bytes === undefined) throw cutOff(name);
    yield bytes;
  }
}

async function extensionBody(reader: StreamReader, header: TarHeader, at: number): Promise<Uint8Array> {
  if (header.size > EXTENSION_LIMIT) throw invalid(at, `an extended header of ${header.size} bytes`);
  const padded = header.size + (-header.size & (TAR_BLOCK - 1));
  const body = await reader.take(padded);
  if (body.length !== padded) throw invalid(at, 'it ends within an extended header');
  return body.subarray(0, header.size);
}

/** What extended headers say of the next member (`x`, `L`, `K`) and of all that follow (`g`). */
class Extensions {
  readonly #global = new Map<string, Uint8Array>();
  #next = new Map<string, Uint8Array>();
  #longName: Uint8Array | undefined;
  #longLink: Uint8Array | undefined;

  /** Throws `RangeError`. */
  add(typeflag: string, body: Uint8Array): void {
    if (typeflag === 'L') this.#longName = untilNul(body);
    else if (typeflag === 'K') this.#longLink = untilNul(body);
    else if (typeflag === 'x') this.#next = parsePax(body);
    else {
      for (const [keyword, value] of parsePax(body)) {
        if (value.length === 0) this.#global.delete(keyword);
        else this.#global.set(keyword, value);
      }
      if (this.#global.size > 1000) throw new RangeError('more than 1000 global records');
    }
  }

  /** The member that `header` and all before it describe. Throws `RangeError` or `TAR_UNSUPPORTED`. */
  apply(header: TarHeader): Omit<TarMember, 'content'> {
    const records = new Map([...this.#global, ...this.#next]);
    const rawName = value(records, 'path') ?? this.#longName ?? header.name;
    const rawLink = value(records, 'linkpath') ?? this.#longLink ?? header.linkName;
    this.#next = new Map();
    this.#longName = undefined;
    this.#longLink = undefined;
    const name = decodeName(rawName);
    const sparse = [...records.keys()].some((keyword) => keyword.startsWith('GNU.sparse.'));
    if (sparse || header.typeflag === 'S') throw unsupported(name, 'sparse members are not supported');
    const type = TYPES[header.typeflag];
    if (type === undefined)
      throw unsupported(name, `members of type ${JSON.stringify(header.typeflag)} are not supported`);
    // Before ustar a directory was a file whose name ends with a slash.
    const directory = type === 'file' && name.endsWith('/');
    const size = decimal(records, 'size') ?? header.size;
    return {
      name,
      type: directory ? 'directory' : type,
      mode: header.mode,
      uid: decimal(records, 'uid') ?? header.uid,
      gid: decimal(records, 'gid') ?? header.gid,
      mtime: decimal(records, 'mtime') ?? header.mtime,
      // Only files have content; others may state a size nevertheless, that of a link's target for example.
      size: type === 'file' ? size : 0,
      linkName: type === 'symlink' || type === 'hard-link' ? decodeName(rawLink) : '',
      devMajor: header.devMajor,
      devMinor: header.devMinor,
      xattrs: xattrsOf(records),
    };
  }
}

function xattrsOf(records: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  for (const [keyword, content] of records) {
    if (!keyword.startsWith(PAX_XATTR) || content.length === 0) continue;
    xattrs.set(keyword.slice(PAX_XATTR.length), content);
  }
  return xattrs;
}

/** An empty value takes back what was said before. */
function value(records: ReadonlyMap<string, Uint8Array>, keyword: string): Uint8Array | undefined {
  const bytes = records.get(keyword);
  return bytes === undefined || bytes.length === 0 ? undefined : bytes;
}

function decimal(records: ReadonlyMap<string, Uint8Array>, keyword: string): number | undefined {
  const bytes = value(records, keyword);
  if (bytes === undefined) return undefined;
  const text = Buffer.from(bytes).toString('latin1');
  const pattern = keyword === 'mtime' ? /^-?[0-9]+(?:\.[0-9]*)?$/ : /^[0-9]+$/;
  const result = Math.floor(Number(text));
  if (!pattern.test(text) || !Number.isSafeInteger(result))
    throw new RangeError(`${keyword} is not a number`);
  return result;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeName(bytes: Uint8Array): string {
  if (bytes.length >= NAME_LIMIT) throw new RangeError(`a name of ${bytes.length} bytes`);
  if (bytes.includes(0)) throw new RangeError('a name with NUL');
  try {
    return utf8.decode(bytes);
  } catch {
    throw new RangeError('a name that is not UTF-8');
  }
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function guarded<T>(at: number, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof RangeError) throw invalid(at, error.message);
    throw error;
  }
}

function cutOff(name: string): FactoryError {
  return new FactoryError(
    'invalid',
    'TAR_INVALID',
    `invalid tar archive: it ends within ${JSON.stringify(name)}`,
  );
}

function unsupported(name: string, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'TAR_UNSUPPORTED',
    `cannot read ${JSON.stringify(name)} of a tar archive: ${reason}`,
  );
}

function invalid(at: number, reason: string): FactoryError {
  return new FactoryError('invalid', 'TAR_INVALID', `invalid tar archive at offset ${at}: ${reason}`);
}
