/** An entry of an archive made for tests; directories above a file have to be listed when they shall exist. */
export type ArchiveEntry = ArchiveFile | ArchiveDirectory | ArchiveLink;

interface ArchiveBase {
  readonly path: string;
  readonly mode?: number;
}
export interface ArchiveFile extends ArchiveBase {
  readonly type: 'file';
  readonly content: Uint8Array | string;
  /** Written as PAX record `SCHILY.xattr.security.selinux`. */
  readonly selinux?: string;
}
export interface ArchiveDirectory extends ArchiveBase {
  readonly type: 'directory';
}
export interface ArchiveLink extends ArchiveBase {
  readonly type: 'symlink' | 'hardlink';
  readonly target: string;
}

const BLOCK = 512;
const TYPE = { file: '0', hardlink: '1', symlink: '2', directory: '5', pax: 'x' } as const;

/** Shorthands for tables of entries. */
export const file = (path: string, content: Uint8Array | string, mode = 0o644): ArchiveFile => ({
  type: 'file',
  path,
  content,
  mode,
});
export const directory = (path: string, mode = 0o755): ArchiveDirectory => ({
  type: 'directory',
  path,
  mode,
});
export const symlink = (path: string, target: string): ArchiveLink => ({ type: 'symlink', path, target });
export const hardlink = (path: string, target: string): ArchiveLink => ({ type: 'hardlink', path, target });

/**
 * A tar archive (POSIX.1-1988 ustar, PAX records where needed) with owner 0:0 and time 0, entries in the order
 * given. Kept apart from `formats/tar.ts`, so that what the tests feed the reader is not made by its own writer.
 * Throws `RangeError` for a path that does not fit into 100 bytes.
 */
export function tarArchive(entries: readonly ArchiveEntry[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  const add = (head: Uint8Array, content: Uint8Array): void => {
    chunks.push(head, content, new Uint8Array((BLOCK - (content.length % BLOCK)) % BLOCK));
  };
  for (const entry of entries) {
    const content = entry.type === 'file' ? Buffer.from(entry.content) : Buffer.alloc(0);
    if (entry.type === 'file' && entry.selinux !== undefined) {
      const records = Buffer.from(paxRecord('SCHILY.xattr.security.selinux', entry.selinux));
      add(header('PaxHeaders/entry', TYPE.pax, 0o644, records.length, ''), records);
    }
    const path = entry.type === 'directory' ? `${entry.path}/` : entry.path;
    const target = 'target' in entry ? entry.target : '';
    const mode =
      entry.mode ?? (entry.type === 'directory' ? 0o755 : entry.type === 'symlink' ? 0o777 : 0o644);
    add(header(path, TYPE[entry.type], mode, content.length, target), content);
  }
  chunks.push(new Uint8Array(2 * BLOCK));
  return Buffer.concat(chunks);
}

function header(path: string, type: string, mode: number, size: number, target: string): Uint8Array {
  if (Buffer.byteLength(path) > 100 || Buffer.byteLength(target) > 100) {
    throw new RangeError(`path does not fit into a ustar header: ${path}`);
  }
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  };
  block.write(path, 0, 'utf8');
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(0, 136, 11);
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write(target, 157, 'utf8');
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts itself (POSIX.1-2001 pax, extended header). */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (String(length).length + Buffer.byteLength(rest) !== length) {
    length = String(length).length + Buffer.byteLength(rest);
  }
  return `${length}${rest}`;
}
