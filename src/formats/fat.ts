import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { type Placed, placedBlob } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';
import { fatBootParts } from './fat-boot.ts';
import { ATTRIBUTE, type DirectoryRecord, directoryBytes, recordSize } from './fat-directory.ts';
import {
  clusterOffset,
  clusterSize,
  DIRECTORY_ENTRY_SIZE,
  defaultSectorsPerCluster,
  FATS,
  type FatGeometry,
  type FatType,
  FIRST_CLUSTER,
  fatGeometry,
} from './fat-geometry.ts';
import { type FatName, fatNames } from './fat-names.ts';
import { compareTreePaths, type TreeEntry } from './tree.ts';

export interface FatSpec {
  /** Bytes; a multiple of the sector size. */
  readonly size: number;
  readonly sectorSize: 512 | 4096;
  /** A power of two; what mkfs.fat takes when absent. */
  readonly sectorsPerCluster?: number;
  /** At most 11 characters, upper case. */
  readonly label: string;
  /** 32 bits. */
  readonly volumeId: number;
  /** Files and directories; parents that are not listed are made. */
  readonly entries: readonly TreeEntry[];
  /** Paths of files with the read-only attribute. */
  readonly readOnly?: ReadonlySet<string>;
  /** Of all entries: seconds since the epoch. */
  readonly time: number;
  /** The content of files begins at multiples of this (bytes, a power of two); of a cluster when absent. */
  readonly contentAlignment?: number;
}

export interface FatImage {
  readonly image: Blob;
  /** Where the content of each file that has any begins in the image (bytes); it is in one piece. */
  readonly contentOffsets: ReadonlyMap<string, number>;
}

interface Node {
  readonly path: string;
  readonly name: string;
  /** `undefined`: a directory. */
  readonly content: Blob | undefined;
  readonly children: Node[];
}

interface PlacedNode {
  readonly cluster: number;
  readonly clusters: number;
}

/** The largest file: 32 bits of size. */
const LARGEST_FILE = 0xffffffff;
/** Entries that a directory may have, long name entries counted (FAT specification §6.1). */
const LARGEST_DIRECTORY = 65536 * DIRECTORY_ENTRY_SIZE;

/** A FAT32 file system (`spec/outputs-disk.md` §3.1). Throws as `layoutFat`. */
export function fat32Image(spec: FatSpec): Blob {
  return layoutFat(32, spec).image;
}

/**
 * A FAT file system with VFAT long names; file contents are referred to, not copied, each in one run of clusters,
 * in tree order. The same input gives the same bytes.
 * Throws `invalid`: `FAT_NO_ROOM`, `FAT_TOO_SMALL`, `FAT_TOO_LARGE`, `FAT_FILE_TOO_LARGE`, `FAT_NAME_INVALID`,
 * `FAT_NAME_CONFLICT`, `FAT_ENTRY_UNSUPPORTED`.
 */
export function layoutFat(type: FatType, spec: FatSpec): FatImage {
  const sectorsPerCluster =
    spec.sectorsPerCluster ?? defaultSectorsPerCluster(Math.floor(spec.size / spec.sectorSize));
  const geometry = fatGeometry({
    type,
    size: spec.size,
    sectorSize: spec.sectorSize,
    sectorsPerCluster,
    dataAlignment: Math.max(spec.contentAlignment ?? 1, sectorsPerCluster * spec.sectorSize),
  });
  const root = buildTree(spec.entries);
  const directories: Node[] = [];
  const files: Node[] = [];
  visit(root, (node) => (node.content === undefined ? directories : files).push(node));

  const names = new Map<Node, FatName>();
  for (const directory of directories) {
    const stored = fatNames(directory.children.map((child) => child.name));
    for (const [i, child] of directory.children.entries()) {
      const name = stored[i];
      if (name !== undefined) names.set(child, name);
    }
  }

  const places = new Map<Node, PlacedNode>();
  const end = allocate(geometry, spec, root, directories, files, names, places);
  const clusters = [...places.values()].reduce((sum, place) => sum + place.clusters, 0);
  const parts: Placed[] = [...fatBootParts(geometry, spec, { clusters, last: end - 1 })];
  const table = allocationTable(geometry, end, [...places.values()]);
  for (let i = 0; i < FATS; i++)
    parts.push({
      offset: (geometry.reservedSectors + i * geometry.fatSectors) * geometry.sectorSize,
      blob: bytesBlob(table),
    });
  const rootOffset = (geometry.reservedSectors + FATS * geometry.fatSectors) * geometry.sectorSize;
  writeDirectories(root, undefined);
  const contentOffsets = new Map<string, number>();
  for (const file of files) {
    const place = places.get(file);
    if (place === undefined || file.content === undefined) continue;
    const offset = clusterOffset(geometry, place.cluster);
    contentOffsets.set(file.path, offset);
    parts.push({ offset, blob: file.content });
  }
  return { image: placedBlob(spec.size, parts), contentOffsets };

  function writeDirectories(node: Node, parent: Node | undefined): void {
    const records = node.children.map((child) => record(child, names, places, spec));
    const own = places.get(node)?.cluster ?? 0;
    // `..` of a directory in the root is cluster 0, even where the root has a number (FAT specification §6.5).
    const above = parent === undefined || parent === root ? 0 : (places.get(parent)?.cluster ?? 0);
    const first = parent === undefined ? [labelRecord(spec.label)] : dotRecords(own, above);
    parts.push({
      offset: own === 0 ? rootOffset : clusterOffset(geometry, own),
      blob: bytesBlob(directoryBytes([...first, ...records], spec.time)),
    });
    for (const child of node.children) if (child.content === undefined) writeDirectories(child, node);
  }
}

function buildTree(entries: readonly TreeEntry[]): Node {
  const root: Node = { path: '', name: '', content: undefined, children: [] };
  const nodes = new Map<string, Node>([['', root]]);
  const directory = (path: string): Node => {
    const known = nodes.get(path);
    if (known?.content !== undefined)
      throw new FactoryError('invalid', 'FAT_NAME_CONFLICT', `${path} is a file and a directory`);
    return known ?? add(path, undefined);
  };
  const add = (path: string, content: Blob | undefined): Node => {
    const slash = path.lastIndexOf('/');
    const node: Node = { path, name: path.slice(slash + 1), content, children: [] };
    directory(slash < 0 ? '' : path.slice(0, slash)).children.push(node);
    nodes.set(path, node);
    return node;
  };
  for (const entry of entries.toSorted((a, b) => compareTreePaths(a.path, b.path))) {
    if (entry.type === 'directory') directory(entry.path);
    else if (entry.type !== 'file')
      throw new FactoryError(
        'invalid',
        'FAT_ENTRY_UNSUPPORTED',
        `${entry.path}: FAT cannot hold a ${entry.type}`,
      );
    else if (nodes.has(entry.path))
      throw new FactoryError('invalid', 'FAT_NAME_CONFLICT', `${entry.path} is there twice`);
    else if (entry.content.size > LARGEST_FILE)
      throw new FactoryError(
        'invalid',
        'FAT_FILE_TOO_LARGE',
        `${entry.path} has ${entry.content.size} bytes; FAT holds files below 4 GiB`,
      );
    else add(entry.path, entry.content);
  }
  return root;
}

function visit(node: Node, see: (node: Node) => void): void {
  see(node);
  for (const child of node.children) visit(child, see);
}

/** Gives clusters to directories, then to files. Returns the cluster after the last one used. */
function allocate(
  geometry: FatGeometry,
  spec: FatSpec,
  root: Node,
  directories: readonly Node[],
  files: readonly Node[],
  names: ReadonlyMap<Node, FatName>,
  places: Map<Node, PlacedNode>,
): number {
  const size = clusterSize(geometry);
  let next = FIRST_CLUSTER;
  const take = (node: Node, bytes: number): void => {
    const clusters = Math.ceil(bytes / size);
    if (next + clusters > FIRST_CLUSTER + geometry.clusters)
      throw new FactoryError(
        'invalid',
        'FAT_NO_ROOM',
        `${node.path} of ${bytes} bytes does not fit into the file system ${spec.label} of ${spec.size} bytes`,
      );
    places.set(node, { cluster: next, clusters });
    next += clusters;
  };
  for (const directory of directories) {
    // The label of the root, or `.` and `..`.
    let bytes = (directory === root ? 1 : 2) * DIRECTORY_ENTRY_SIZE;
    for (const child of directory.children)
      bytes += recordSize(names.get(child) ?? { short: '', caseFlags: 0, long: undefined });
    const limit =
      directory === root && geometry.rootEntries > 0
        ? geometry.rootEntries * DIRECTORY_ENTRY_SIZE
        : LARGEST_DIRECTORY;
    if (bytes > limit)
      throw new FactoryError(
        'invalid',
        'FAT_NO_ROOM',
        `too many files in the FAT directory /${directory.path}`,
      );
    if (directory !== root || geometry.rootEntries === 0) take(directory, bytes);
  }
  const step = Math.max(1, (spec.contentAlignment ?? 1) / size);
  for (const file of files) {
    if (file.content === undefined || file.content.size === 0) continue;
    next = Math.ceil((next - FIRST_CLUSTER) / step) * step + FIRST_CLUSTER;
    take(file, file.content.size);
  }
  return next;
}

function allocationTable(geometry: FatGeometry, end: number, runs: readonly PlacedNode[]): Uint8Array {
  const { type } = geometry;
  const last = type === 32 ? 0x0fffffff : 2 ** type - 1;
  const values = new Uint32Array(end);
  values[0] = last - 7; // the media byte 0xF8 in all ones
  values[1] = last;
  for (const { cluster, clusters } of runs) {
    for (let i = cluster; i < cluster + clusters - 1; i++) values[i] = i + 1;
    values[cluster + clusters - 1] = last;
  }
  const bytes = Buffer.alloc(Math.ceil((end * type) / 8));
  for (const [i, value] of values.entries()) {
    if (type === 32) bytes.writeUInt32LE(value, i * 4);
    else if (type === 16) bytes.writeUInt16LE(value, i * 2);
    else writeTwelve(bytes, i, value);
  }
  return bytes;
}

/** Two entries of 12 bits share three bytes (FAT specification §4.1). */
function writeTwelve(bytes: Buffer, index: number, value: number): void {
  const at = index + (index >> 1);
  const shift = (index % 2) * 4;
  bytes[at] = (bytes[at] ?? 0) | ((value << shift) & 0xff);
  if (at + 1 < bytes.length) bytes[at + 1] = (bytes[at + 1] ?? 0) | ((value << shift) >> 8);
}

function record(
  node: Node,
  names: ReadonlyMap<Node, FatName>,
  places: ReadonlyMap<Node, PlacedNode>,
  spec: FatSpec,
): DirectoryRecord {
  const name = names.get(node) ?? { short: '', caseFlags: 0, long: undefined };
  const cluster = places.get(node)?.cluster ?? 0;
  if (node.content === undefined) return { name, attributes: ATTRIBUTE.directory, cluster, size: 0 };
  const readOnly = spec.readOnly?.has(node.path) ? ATTRIBUTE.readOnly : 0;
  return { name, attributes: ATTRIBUTE.archive | readOnly, cluster, size: node.content.size };
}

function labelRecord(label: string): DirectoryRecord {
  return plainRecord(label.padEnd(11), ATTRIBUTE.volumeId, 0);
}

function dotRecords(own: number, above: number): readonly DirectoryRecord[] {
  return [
    plainRecord('.'.padEnd(11), ATTRIBUTE.directory, own),
    plainRecord('..'.padEnd(11), ATTRIBUTE.directory, above),
  ];
}

function plainRecord(short: string, attributes: number, cluster: number): DirectoryRecord {
  return { name: { short, caseFlags: 0, long: undefined }, attributes, cluster, size: 0 };
}
