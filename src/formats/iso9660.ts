import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import type { Placed } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';
import { type BootEntry, bootCatalog, bootRecord, withBootInfo } from './el-torito.ts';
import { type DirectoryPlan, type Extent, planDirectory, type RecordPlan } from './iso9660-directory.ts';
import { BLOCK, blocks } from './iso9660-fields.ts';
import { buildIsoTree, type IsoDirectory, type IsoNode, isoDirectories } from './iso9660-tree.ts';
import { pathTable, pathTableSize, primaryDescriptor, setTerminator } from './iso9660-volume.ts';
import {
  alternateName,
  posixAttributes,
  rockRidgeReference,
  sharingIndicator,
  symbolicLink,
  timestamps,
} from './rock-ridge.ts';
import type { TreeEntry } from './tree.ts';

export interface IsoVolumeSpec {
  /** At most 32 characters. */
  readonly volumeId: string;
  readonly volumeSetId?: string;
  /** Of the volume and of all files: seconds since the epoch. */
  readonly time: number;
  /** Files, directories, symbolic links; parents that are not listed are made. */
  readonly entries: readonly TreeEntry[];
  /** An image after the files, outside of the tree: a partition of its own. */
  readonly appended?: AppendedImage;
  /** The first one is what the firmware takes by default. */
  readonly boot?: readonly BootImage[];
  /** Bytes kept free behind everything, for a secondary partition table. */
  readonly trailer?: number;
}

export interface AppendedImage {
  readonly image: Blob;
  /**
   * Files of the tree whose content is in the image, by path, and where (bytes, a multiple of 2048): the volume
   * refers to it there and does not hold it again.
   */
  readonly shared?: ReadonlyMap<string, number>;
}

export type BootImage =
  /** A file of the tree; it is told its place. */
  | { readonly platform: 'bios'; readonly path: string; readonly image: Uint8Array }
  /** The appended image. */
  | { readonly platform: 'efi'; readonly source: 'appended' }
  /** A file of the tree. */
  | { readonly platform: 'efi'; readonly source: 'file'; readonly path: string };

/** A volume of which every byte has its place; the first 32 KiB are free for boot code and partition tables. */
export interface IsoVolume {
  /** Bytes; a multiple of 1 MiB. */
  readonly size: number;
  readonly parts: readonly Placed[];
  /** First block of a file's content. */
  fileLba(path: string): number;
  /** Where the appended image begins (bytes; a multiple of 1 MiB); its end is not aligned. */
  readonly appendedOffset: number | undefined;
}

const SYSTEM_AREA = 16;
const MIB = 1 << 20;
/** Most bytes of one extent: 32 bits, in whole blocks (ECMA-119 §9.1.4). */
const LARGEST_EXTENT = 0xffffffff - (0xffffffff % BLOCK);

/**
 * An ISO 9660 volume (ECMA-119, interchange level 3) with Rock Ridge names, modes and links, and an El Torito
 * boot catalog. Contents are referred to, not copied.
 * Throws `invalid`: `ISO_NAME_INVALID`, `ISO_NAME_CONFLICT`, `ISO_ENTRY_UNSUPPORTED`.
 */
export function layoutIsoVolume(spec: IsoVolumeSpec): IsoVolume {
  const root = buildIsoTree(spec.entries);
  const directories = isoDirectories(root);
  const places = new Map<IsoNode, Extent[]>();
  const placeOf = (node: IsoNode): readonly Extent[] => places.get(node) ?? [{ lba: 0, size: 0 }];
  const plans = new Map(
    directories.map((directory) => [directory, plan(directory, root, placeOf, spec.time)]),
  );

  const descriptors = spec.boot === undefined ? 2 : 3;
  const tableSize = pathTableSize(directories.map((directory) => directory.identifier));
  const tableLba = SYSTEM_AREA + descriptors;
  let next = tableLba + 2 * blocks(tableSize);
  for (const [directory, planned] of plans) {
    places.set(directory, [{ lba: next, size: planned.blocks * BLOCK }]);
    next += planned.blocks + planned.continuationBlocks;
  }
  const catalogLba = next;
  if (spec.boot !== undefined) next++;

  const files = directories.flatMap((directory) => directory.children).filter((node) => node.type === 'file');
  const stored = files.filter((file) => spec.appended?.shared?.has(file.path) !== true);
  for (const file of stored) {
    places.set(file, extentsAt(next, file.content.size));
    next += blocks(file.content.size);
  }
  const appendedOffset = spec.appended === undefined ? undefined : alignMiB(next * BLOCK);
  for (const file of files) {
    const offset = spec.appended?.shared?.get(file.path);
    if (offset === undefined || appendedOffset === undefined) continue;
    if (offset % BLOCK !== 0) throw new RangeError(`${file.path} is shared from offset ${offset}`);
    places.set(file, extentsAt((appendedOffset + offset) / BLOCK, file.content.size));
  }
  const end = (appendedOffset ?? next * BLOCK) + (spec.appended?.image.size ?? 0);
  const size = alignMiB(end + (spec.trailer ?? 0));

  const parts: Placed[] = [];
  const put = (lba: number, bytes: Uint8Array): void => {
    parts.push({ offset: lba * BLOCK, blob: bytesBlob(bytes) });
  };
  const fileLba = (path: string): number => {
    const node = files.find((file) => file.path === path);
    if (node === undefined) throw new RangeError(`no file ${path}`);
    return placeOf(node)[0]?.lba ?? 0;
  };
  const rootExtent = placeOf(root)[0] ?? { lba: 0, size: 0 };
  const volumeSetId = spec.volumeSetId ?? '';
  const [little, big] = [tableLba, tableLba + blocks(tableSize)];
  put(
    SYSTEM_AREA,
    primaryDescriptor({
      volumeId: spec.volumeId,
      volumeSetId,
      time: spec.time,
      blocks: size / BLOCK,
      root: rootExtent,
      pathTableSize: tableSize,
      pathTableLba: [little, big],
    }),
  );
  const replaced = new Map<string, Uint8Array>();
  if (spec.boot !== undefined) {
    put(SYSTEM_AREA + 1, bootRecord(catalogLba));
    put(catalogLba, bootCatalog(spec.boot.map((boot) => bootEntry(boot, spec, fileLba, appendedOffset))));
    for (const boot of spec.boot)
      if (boot.platform === 'bios')
        replaced.set(boot.path, withBootInfo(boot.image, fileLba(boot.path), SYSTEM_AREA));
  }
  put(SYSTEM_AREA + descriptors - 1, setTerminator());
  const numbers = new Map(directories.map((directory, i) => [directory, i + 1]));
  const rows = directories.map((directory) => ({
    identifier: directory.identifier,
    lba: placeOf(directory)[0]?.lba ?? 0,
    parent: numbers.get(directory.parent ?? directory) ?? 1,
  }));
  put(little, pathTable(rows, 'little'));
  put(big, pathTable(rows, 'big'));
  for (const [directory, planned] of plans) {
    const lba = placeOf(directory)[0]?.lba ?? 0;
    put(lba, planned.bytes(lba, spec.time));
  }
  for (const file of stored) {
    const bytes = replaced.get(file.path);
    const lba = placeOf(file)[0]?.lba ?? 0;
    parts.push({ offset: lba * BLOCK, blob: bytes === undefined ? file.content : bytesBlob(bytes) });
  }
  if (spec.appended !== undefined && appendedOffset !== undefined)
    parts.push({ offset: appendedOffset, blob: spec.appended.image });
  return { size, parts, fileLba, appendedOffset };
}

function extentsAt(lba: number, size: number): Extent[] {
  if (size === 0) return [{ lba: 0, size: 0 }];
  const extents: Extent[] = [];
  for (let done = 0; done < size; done += LARGEST_EXTENT)
    extents.push({ lba: lba + done / BLOCK, size: Math.min(LARGEST_EXTENT, size - done) });
  return extents;
}

function bootEntry(
  boot: BootImage,
  spec: IsoVolumeSpec,
  fileLba: (path: string) => number,
  appendedOffset: number | undefined,
): BootEntry {
  // BIOSes load four sectors, GRUB the rest.
  if (boot.platform === 'bios') return { platform: 'bios', lba: fileLba(boot.path), sectors: 4 };
  if (boot.source === 'file') {
    const file = spec.entries.find((entry) => entry.path === boot.path);
    const size = file?.type === 'file' ? file.content.size : 0;
    return { platform: 'efi', lba: fileLba(boot.path), sectors: Math.ceil(size / 512) };
  }
  if (spec.appended === undefined || appendedOffset === undefined)
    throw new FactoryError(
      'internal',
      'INTERNAL',
      'the boot catalog refers to an appended image that is not there',
    );
  return { platform: 'efi', lba: appendedOffset / BLOCK, sectors: Math.ceil(spec.appended.image.size / 512) };
}

/** The records of a directory: itself, the one above, and what is in it. */
function plan(
  directory: IsoDirectory,
  root: IsoDirectory,
  placeOf: (node: IsoNode) => readonly Extent[],
  time: number,
): DirectoryPlan {
  const own = attributes(directory, time);
  const above = directory.parent ?? directory;
  const self: RecordPlan = {
    identifier: '\0',
    isDirectory: true,
    systemUse: directory === root ? [sharingIndicator(), ...own, rockRidgeReference()] : own,
    extents: () => placeOf(directory),
    extentCount: 1,
  };
  const parent: RecordPlan = {
    identifier: '\u0001',
    isDirectory: true,
    systemUse: attributes(above, time),
    extents: () => placeOf(above),
    extentCount: 1,
  };
  const children = directory.children.map((child): RecordPlan => {
    const link = child.type === 'symlink' ? symbolicLink(child.target) : [];
    return {
      identifier: child.identifier,
      isDirectory: child.type === 'directory',
      systemUse: [...attributes(child, time), ...alternateName(child.name), ...link],
      extents: () => placeOf(child),
      extentCount: child.type === 'file' ? extentsAt(0, child.content.size).length : 1,
    };
  });
  return planDirectory([self, parent, ...children]);
}

function attributes(node: IsoNode, time: number): readonly Uint8Array[] {
  const links =
    node.type === 'directory' ? 2 + node.children.filter((child) => child.type === 'directory').length : 1;
  return [posixAttributes(node.type, node.mode, links), timestamps(time)];
}

function alignMiB(offset: number): number {
  return Math.ceil(offset / MIB) * MIB;
}
