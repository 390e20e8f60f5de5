import type { Blob } from '../blob/blob.ts';
import { concatBlobs, sliceBlob } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import { ATTRIBUTE, LONG_NAME_OFFSETS, LONG_NAME_PART } from './fat-directory.ts';
import {
  clusterOffset,
  clusterSize,
  DIRECTORY_ENTRY_SIZE,
  type FatGeometry,
  type FatType,
  FIRST_CLUSTER,
} from './fat-geometry.ts';
import { shortNameChecksum, shortNameText } from './fat-names.ts';
import type { TreeEntry } from './tree.ts';

export interface FatVolume {
  readonly geometry: FatGeometry;
  readonly label: string;
  readonly volumeId: number;
  /** Parents before children, in the order of the directories; read-only files have mode 0o444. */
  readonly entries: readonly TreeEntry[];
}

interface Found {
  readonly name: string;
  readonly attributes: number;
  readonly cluster: number;
  readonly size: number;
}

const MOST_ENTRIES = 65536;
const DEEPEST = 32;
const LARGEST_DIRECTORY = 65536 * DIRECTORY_ENTRY_SIZE;
/** Of a table: 64 MiB holds the chains of 64 GiB in clusters of 4 KiB. */
const LARGEST_TABLE = 64 << 20;

function fatError(message: string): FactoryError {
  return new FactoryError('invalid', 'FAT_INVALID', `no valid FAT file system: ${message}`);
}

/** Reads a FAT file system; contents refer to it. Throws `invalid` `FAT_INVALID`. */
export async function readFat(image: Blob, signal?: AbortSignal): Promise<FatVolume> {
  if (image.size < 512) throw fatError('too short');
  const boot = Buffer.from(await readRange(image, 0, 512, signal));
  const geometry = readGeometry(boot, image.size);
  const extended = geometry.type === 32 ? 64 : 36;
  const table = await readTable(image, geometry, signal);
  const volume = new VolumeReader(image, geometry, table, signal);
  const rootOffset = (geometry.firstDataSector - rootSectors(geometry)) * geometry.sectorSize;
  const rootSize = geometry.rootEntries * DIRECTORY_ENTRY_SIZE;
  const root =
    geometry.type === 32 ? volume.chain(boot.readUInt32LE(44)) : sliceBlob(image, rootOffset, rootSize);
  await volume.walk(root, '', 0);
  return {
    geometry,
    label: boot.toString('latin1', extended + 7, extended + 18).trimEnd(),
    volumeId: boot.readUInt32LE(extended + 3),
    entries: volume.entries,
  };
}

function rootSectors(geometry: FatGeometry): number {
  return Math.ceil((geometry.rootEntries * DIRECTORY_ENTRY_SIZE) / geometry.sectorSize);
}

function readGeometry(boot: Buffer, size: number): FatGeometry {
  if (boot.readUInt16BE(510) !== 0x55aa) throw fatError('no boot sector');
  const sectorSize = boot.readUInt16LE(11);
  const sectorsPerCluster = boot.readUInt8(13);
  const reservedSectors = boot.readUInt16LE(14);
  const fats = boot.readUInt8(16);
  const rootEntries = boot.readUInt16LE(17);
  const totalSectors = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  const fatSectors = boot.readUInt16LE(22) || boot.readUInt32LE(36);
  const power = (value: number): boolean => value > 0 && (value & (value - 1)) === 0;
  if (!power(sectorSize) || sectorSize < 512 || sectorSize > 4096 || !power(sectorsPerCluster))
    throw fatError(`clusters of ${sectorsPerCluster} sectors of ${sectorSize} bytes`);
  if (fats === 0 || reservedSectors === 0 || fatSectors === 0) throw fatError('no allocation table');
  const root = Math.ceil((rootEntries * DIRECTORY_ENTRY_SIZE) / sectorSize);
  const firstDataSector = reservedSectors + fats * fatSectors + root;
  if (totalSectors * sectorSize > size || firstDataSector >= totalSectors) throw fatError('it is cut off');
  const clusters = Math.floor((totalSectors - firstDataSector) / sectorsPerCluster);
  // A FAT32 that has too few clusters is one all the same when it has no 16-bit size of its table, as Linux reads it.
  const type: FatType = boot.readUInt16LE(22) === 0 ? 32 : clusters <= 4084 ? 12 : 16;
  return {
    type,
    sectorSize,
    sectorsPerCluster,
    totalSectors,
    reservedSectors,
    fatSectors,
    rootEntries,
    firstDataSector,
    clusters,
  };
}

async function readTable(
  image: Blob,
  geometry: FatGeometry,
  signal: AbortSignal | undefined,
): Promise<(cluster: number) => number> {
  const size = Math.ceil(((geometry.clusters + FIRST_CLUSTER) * geometry.type) / 8);
  if (size > geometry.fatSectors * geometry.sectorSize) throw fatError('its table is too short');
  if (size > LARGEST_TABLE) throw fatError('its table is too large');
  const bytes = Buffer.from(
    await readRange(image, geometry.reservedSectors * geometry.sectorSize, size, signal),
  );
  switch (geometry.type) {
    case 32:
      return (cluster) => bytes.readUInt32LE(cluster * 4) & 0x0fffffff;
    case 16:
      return (cluster) => bytes.readUInt16LE(cluster * 2);
    case 12:
      return (cluster) => {
        const at = cluster + (cluster >> 1);
        const pair = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
        return cluster % 2 === 0 ? pair & 0xfff : pair >> 4;
      };
  }
}

class VolumeReader {
  readonly entries: TreeEntry[] = [];
  readonly #image: Blob;
  readonly #geometry: FatGeometry;
  readonly #next: (cluster: number) => number;
  readonly #signal: AbortSignal | undefined;

  constructor(
    image: Blob,
    geometry: FatGeometry,
    next: (cluster: number) => number,
    signal: AbortSignal | undefined,
  ) {
    this.#image = image;
    this.#geometry = geometry;
    this.#next = next;
    this.#signal = signal;
  }

  /** The clusters from `first` on, neighbours joined. */
  chain(first: number): Blob {
    const size = clusterSize(this.#geometry);
    const end = this.#geometry.clusters + FIRST_CLUSTER;
    const last = this.#geometry.type === 32 ? 0x0ffffff8 : 2 ** this.#geometry.type - 8;
    const runs: { start: number; count: number }[] = [];
    let length = 0;
    for (let cluster = first; cluster < last; cluster = this.#next(cluster)) {
      if (cluster < FIRST_CLUSTER || cluster >= end) throw fatError(`a chain leads to cluster ${cluster}`);
      if (++length > this.#geometry.clusters) throw fatError('a chain leads to itself');
      const run = runs.at(-1);
      if (run !== undefined && run.start + run.count === cluster) run.count++;
      else runs.push({ start: cluster, count: 1 });
    }
    return concatBlobs(
      runs.map(({ start, count }) =>
        sliceBlob(this.#image, clusterOffset(this.#geometry, start), count * size),
      ),
    );
  }

  async walk(directory: Blob, path: string, depth: number): Promise<void> {
    if (directory.size > LARGEST_DIRECTORY || depth > DEEPEST)
      throw fatError(`directory /${path} is too large`);
    const bytes = Buffer.from(await readRange(directory, 0, directory.size, this.#signal));
    for (const found of records(bytes)) {
      if (this.entries.length >= MOST_ENTRIES) throw fatError('too many files');
      const entryPath = path === '' ? found.name : `${path}/${found.name}`;
      if (found.attributes & ATTRIBUTE.directory) {
        this.entries.push({ type: 'directory', path: entryPath, mode: 0o755 });
        await this.walk(this.chain(found.cluster), entryPath, depth + 1);
        continue;
      }
      const clusters = found.size === 0 ? concatBlobs([]) : this.chain(found.cluster);
      if (clusters.size < found.size) throw fatError(`${entryPath} is shorter than it says`);
      const mode = found.attributes & ATTRIBUTE.readOnly ? 0o444 : 0o644;
      this.entries.push({ type: 'file', path: entryPath, mode, content: sliceBlob(clusters, 0, found.size) });
    }
  }
}

/** The files and directories of a directory: `.`, `..`, labels and deleted ones left out. */
function* records(bytes: Buffer): Iterable<Found> {
  let long: { text: string; checksum: number } | undefined;
  for (let at = 0; at + DIRECTORY_ENTRY_SIZE <= bytes.length; at += DIRECTORY_ENTRY_SIZE) {
    const first = bytes.readUInt8(at);
    if (first === 0) return;
    const attributes = bytes.readUInt8(at + 11);
    if (first === 0xe5) long = undefined;
    else if ((attributes & 0x3f) === ATTRIBUTE.longName) {
      const checksum = bytes.readUInt8(at + 13);
      const rest = first & 0x40 ? '' : long?.checksum === checksum ? long.text : undefined;
      long = rest === undefined ? undefined : { text: longNamePart(bytes, at) + rest, checksum };
    } else {
      const short = bytes.toString('latin1', at, at + 11);
      const name =
        long?.checksum === shortNameChecksum(short)
          ? long.text
          : shortNameText(short, bytes.readUInt8(at + 12));
      long = undefined;
      if (attributes & ATTRIBUTE.volumeId || first === 0x2e) continue;
      if (name === '' || /[/\0]/.test(name) || name === '.' || name === '..')
        throw fatError(`file name ${JSON.stringify(name)}`);
      yield {
        name,
        attributes,
        cluster: bytes.readUInt16LE(at + 26) | (bytes.readUInt16LE(at + 20) << 16),
        size: bytes.readUInt32LE(at + 28),
      };
    }
  }
}

function longNamePart(bytes: Buffer, at: number): string {
  let text = '';
  for (const offset of LONG_NAME_OFFSETS.slice(0, LONG_NAME_PART)) {
    const unit = bytes.readUInt16LE(at + offset);
    if (unit === 0 || unit === 0xffff) break;
    text += String.fromCharCode(unit);
  }
  return text;
}
