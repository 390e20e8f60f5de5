import { FactoryError } from '../errors.ts';
import { recordDate, writeBoth32 } from './iso9660-fields.ts';
import type { TreeEntry } from './tree.ts';

/** Entries of the System Use Sharing Protocol (IEEE P1281), of which Rock Ridge (IEEE P1282) is one set. */
export type SystemUse = readonly Uint8Array[];

export const CONTINUATION_SIZE = 28;
/** Content of one entry: the length field has one byte, the head four to five bytes. */
const LONGEST_PART = 248;
const LONGEST_TARGET = 1024;

const FILE_TYPES: Readonly<Record<TreeEntry['type'], number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  'character-device': 0o020000,
  'block-device': 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};

function entry(signature: string, content: Uint8Array, version = 1): Uint8Array {
  const head = Buffer.from([0, 0, content.length + 4, version]);
  head.write(signature, 'latin1');
  return Buffer.concat([head, content]);
}

/** `SP`: this volume uses the protocol (first entry of the root). */
export function sharingIndicator(): Uint8Array {
  return entry('SP', Uint8Array.of(0xbe, 0xef, 0));
}

/** `ER`: the set of entries is Rock Ridge. */
export function rockRidgeReference(): Uint8Array {
  const identifier = 'RRIP_1991A';
  const description = 'THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS';
  const source =
    'PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.';
  const lengths = Uint8Array.of(identifier.length, description.length, source.length, 1);
  return entry('ER', Buffer.concat([lengths, Buffer.from(identifier + description + source)]));
}

/** `CE`: more entries are at `offset` in the block `lba`. */
export function continuation(lba: number, offset: number, length: number): Uint8Array {
  const content = Buffer.alloc(24);
  writeBoth32(content, lba, 0);
  writeBoth32(content, offset, 8);
  writeBoth32(content, length, 16);
  return entry('CE', content);
}

/** `PX`: type, permissions, links; owner and group 0. */
export function posixAttributes(type: TreeEntry['type'], mode: number, links: number): Uint8Array {
  const content = Buffer.alloc(32);
  writeBoth32(content, FILE_TYPES[type] | mode, 0);
  writeBoth32(content, links, 8);
  return entry('PX', content);
}

/** `TF`: times of modification, access and attribute change, all the same. */
export function timestamps(seconds: number): Uint8Array {
  const date = recordDate(seconds);
  return entry('TF', Buffer.concat([Uint8Array.of(0x0e), date, date, date]));
}

/** `NM`: the real name, in several entries when it is long. */
export function alternateName(name: string): SystemUse {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.length > 255 || name.includes('\0') || !name.isWellFormed())
    throw new FactoryError(
      'invalid',
      'ISO_NAME_INVALID',
      `file name ${JSON.stringify(name)} cannot be on an ISO`,
    );
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += LONGEST_PART) {
    const part = bytes.subarray(at, at + LONGEST_PART);
    const more = at + LONGEST_PART < bytes.length ? 1 : 0;
    entries.push(entry('NM', Buffer.concat([Uint8Array.of(more), part])));
  }
  return entries;
}

/** `SL`: the target of a symbolic link, in several entries when it is long. */
export function symbolicLink(target: string): SystemUse {
  const components = linkComponents(target);
  const groups: Uint8Array[][] = [[]];
  let size = 0;
  for (const component of components) {
    if (size + component.length > LONGEST_PART + 2) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(component);
    size += component.length;
  }
  return groups.map((group, i) =>
    entry('SL', Buffer.concat([Uint8Array.of(i < groups.length - 1 ? 1 : 0), ...group])),
  );
}

function linkComponents(target: string): readonly Uint8Array[] {
  const parts = target.split('/').filter((part, i) => part !== '' || i === 0);
  const tooLong =
    Buffer.byteLength(target) > LONGEST_TARGET ||
    parts.some((part) => Buffer.byteLength(part) > LONGEST_PART);
  if (target === '' || tooLong || target.includes('\0'))
    throw new FactoryError(
      'invalid',
      'ISO_NAME_INVALID',
      `link target ${JSON.stringify(target)} cannot be on an ISO`,
    );
  return parts.map((part, i) => {
    if (part === '' && i === 0) return Uint8Array.of(0x08, 0);
    if (part === '.') return Uint8Array.of(0x02, 0);
    if (part === '..') return Uint8Array.of(0x04, 0);
    const bytes = Buffer.from(part);
    return Buffer.concat([Uint8Array.of(0, bytes.length), bytes]);
  });
}
