import type { Blob } from '../blob/blob.ts';
import { concatBlobs, sliceBlob } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import { type BootEntry, PLATFORM } from './el-torito.ts';
import { FLAG } from './iso9660-directory.ts';
import { BLOCK } from './iso9660-fields.ts';
import type { TreeEntry } from './tree.ts';

export interface IsoContents {
  readonly volumeId: string;
  readonly volumeSetId: string;
  /** 16 digits: `YYYYMMDDhhmmsscc`, UTC. */
  readonly modified: string;
  /** Blocks. */
  readonly blocks: number;
  /** With Rock Ridge names, modes and links; parents before children, in the order of the directories. */
  readonly entries: readonly TreeEntry[];
  readonly boot: readonly BootEntry[];
}

interface Row {
  readonly identifier: string;
  readonly flags: number;
  readonly lba: number;
  readonly size: number;
  readonly systemUse: Buffer;
}

interface RockRidge {
  readonly name: string | undefined;
  readonly mode: number | undefined;
  readonly target: string | undefined;
}

const MOST_ENTRIES = 65536;
const DEEPEST = 64;
const LARGEST_DIRECTORY = 16 << 20;
const MOST_CONTINUATIONS = 64;

function isoError(message: string): FactoryError {
  return new FactoryError('invalid', 'ISO_INVALID', `no valid ISO 9660 volume: ${message}`);
}

/** Reads a volume; contents refer to it. Throws `invalid` `ISO_INVALID`. */
export async function readIso(image: Blob, signal?: AbortSignal): Promise<IsoContents> {
  const reader = new IsoReader(image, signal);
  const primary = await reader.block(16);
  if (primary.toString('latin1', 0, 6) !== '\u0001CD001') throw isoError('no primary volume descriptor');
  if (primary.readUInt16LE(128) !== BLOCK) throw isoError('its blocks do not have 2048 bytes');
  await reader.walk(primary.readUInt32LE(158), primary.readUInt32LE(166), '', 0);
  return {
    volumeId: primary.toString('latin1', 40, 72).trimEnd(),
    volumeSetId: primary.toString('latin1', 190, 318).trimEnd(),
    modified: primary.toString('latin1', 830, 846),
    blocks: primary.readUInt32LE(80),
    entries: reader.entries,
    boot: await reader.boot(),
  };
}

class IsoReader {
  readonly entries: TreeEntry[] = [];
  readonly #image: Blob;
  readonly #signal: AbortSignal | undefined;

  constructor(image: Blob, signal: AbortSignal | undefined) {
    this.#image = image;
    this.#signal = signal;
  }

  async block(lba: number): Promise<Buffer> {
    return Buffer.from(await readRange(this.#extent(lba, BLOCK), 0, BLOCK, this.#signal));
  }

  #extent(lba: number, size: number): Blob {
    if (lba * BLOCK + size > this.#image.size) throw isoError(`block ${lba} lies beyond the end`);
    return sliceBlob(this.#image, lba * BLOCK, size);
  }

  async boot(): Promise<readonly BootEntry[]> {
    const record = await this.block(17);
    if (!record.toString('latin1', 0, 39).startsWith('\0CD001\u0001EL TORITO SPECIFICATION')) return [];
    const catalog = await this.block(record.readUInt32LE(71));
    let sum = 0;
    for (let at = 0; at < 32; at += 2) sum += catalog.readUInt16LE(at);
    if (catalog.readUInt8(0) !== 1 || (sum & 0xffff) !== 0 || catalog.readUInt16BE(30) !== 0x55aa)
      throw isoError('its boot catalog has no valid validation entry');
    const entry = (at: number, platform: number): BootEntry => ({
      platform: platform === PLATFORM.efi ? 'efi' : 'bios',
      lba: catalog.readUInt32LE(at + 8),
      sectors: catalog.readUInt16LE(at + 6),
    });
    const boot = [entry(32, catalog.readUInt8(1))];
    for (let at = 64; at + 64 <= BLOCK; at += 64) {
      const indicator = catalog.readUInt8(at);
      if (indicator !== 0x90 && indicator !== 0x91) break;
      boot.push(entry(at + 32, catalog.readUInt8(at + 1)));
      if (indicator === 0x91) break;
    }
    return boot;
  }

  async walk(lba: number, size: number, path: string, depth: number): Promise<void> {
    if (size > LARGEST_DIRECTORY || depth > DEEPEST) throw isoError(`directory /${path} is too large`);
    const directory = this.#extent(lba, size);
    const rows = [...records(Buffer.from(await readRange(directory, 0, size, this.#signal)))].slice(2);
    let pieces: Blob[] = [];
    for (const row of rows) {
      if (this.entries.length >= MOST_ENTRIES) throw isoError('too many files');
      const rockRidge = await this.#rockRidge(row.systemUse);
      const name = rockRidge.name ?? row.identifier.replace(/\.?;\d+$/, '');
      if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name))
        throw isoError(`file name ${JSON.stringify(name)}`);
      const entryPath = path === '' ? name : `${path}/${name}`;
      const mode = rockRidge.mode === undefined ? undefined : rockRidge.mode & 0o7777;
      if (row.flags & FLAG.directory) {
        this.entries.push({ type: 'directory', path: entryPath, mode: mode ?? 0o755 });
        await this.walk(row.lba, row.size, entryPath, depth + 1);
      } else if (rockRidge.target !== undefined) {
        this.entries.push({
          type: 'symlink',
          path: entryPath,
          mode: mode ?? 0o777,
          target: rockRidge.target,
        });
      } else {
        pieces.push(this.#extent(row.size === 0 ? 0 : row.lba, row.size));
        if (row.flags & FLAG.multiExtent) continue;
        this.entries.push({
          type: 'file',
          path: entryPath,
          mode: mode ?? 0o644,
          content: concatBlobs(pieces),
        });
        pieces = [];
      }
    }
  }

  async #rockRidge(first: Buffer): Promise<RockRidge> {
    let name: string | undefined;
    let mode: number | undefined;
    let link: Buffer | undefined;
    let area: Buffer | undefined = first;
    for (let i = 0; area !== undefined; i++) {
      if (i > MOST_CONTINUATIONS) throw isoError('a continuation leads to itself');
      let next: Buffer | undefined;
      for (let at = 0; at + 4 <= area.length; ) {
        const length = area.readUInt8(at + 2);
        if (length < 4 || at + length > area.length) break;
        const content = area.subarray(at + 4, at + length);
        const signature = area.toString('latin1', at, at + 2);
        if (signature === 'PX' && content.length >= 32) mode = content.readUInt32LE(0);
        else if (signature === 'NM' && content.length >= 1) name = (name ?? '') + content.toString('utf8', 1);
        else if (signature === 'SL' && content.length >= 1)
          link = Buffer.concat([link ?? Buffer.alloc(0), content.subarray(1)]);
        else if (signature === 'CE' && content.length >= 24) next = await this.#continued(content);
        at += length;
      }
      area = next;
    }
    return { name, mode, target: link === undefined ? undefined : linkTarget(link) };
  }

  async #continued(pointer: Buffer): Promise<Buffer> {
    const [lba, offset, length] = [
      pointer.readUInt32LE(0),
      pointer.readUInt32LE(8),
      pointer.readUInt32LE(16),
    ];
    if (offset + length > BLOCK) throw isoError('a continuation is not in one block');
    return (await this.block(lba)).subarray(offset, offset + length);
  }
}

function* records(bytes: Buffer): Iterable<Row> {
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt8(at);
    if (length === 0) {
      // The rest of a block into which the next record did not fit.
      at = (Math.floor(at / BLOCK) + 1) * BLOCK;
      continue;
    }
    if (length < 34 || at + length > bytes.length) throw isoError('a directory record is cut off');
    const identifierEnd = 33 + bytes.readUInt8(at + 32);
    if (identifierEnd > length) throw isoError('a directory record is cut off');
    yield {
      lba: bytes.readUInt32LE(at + 2),
      size: bytes.readUInt32LE(at + 10),
      flags: bytes.readUInt8(at + 25),
      identifier: bytes.toString('latin1', at + 33, at + identifierEnd),
      systemUse: bytes.subarray(Math.min(at + identifierEnd + (identifierEnd % 2), at + length), at + length),
    };
    at += length;
  }
}

function linkTarget(components: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; at + 2 <= components.length; ) {
    const flags = components.readUInt8(at);
    const length = components.readUInt8(at + 1);
    if (flags & 0x02) parts.push('.');
    else if (flags & 0x04) parts.push('..');
    else if (flags & 0x08) parts.push('');
    else parts.push(components.toString('utf8', at + 2, at + 2 + length));
    at += 2 + length;
  }
  return parts.length === 1 && parts[0] === '' ? '/' : parts.join('/');
}
