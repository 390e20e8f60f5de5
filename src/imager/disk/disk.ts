import type { Blob } from '../../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../../blob/bytes.ts';
import { type Placed, placedBlob } from '../../blob/compose.ts';
import { readAll } from '../../blob/consume.ts';
import { FactoryError, withContext } from '../../errors.ts';
import { advBytes } from '../../formats/adv.ts';
import { type GptPartition, type GptTable, gptParts } from '../../formats/gpt.ts';
import { gatesOf } from '../../talos/gates.ts';
import { versionTag } from '../../talos/version.ts';
import { placeDiskBoot } from '../grub-place.ts';
import { bootPartition } from './boot-partition.ts';
import { espImage } from './esp.ts';
import { type PartitionName, partitionDisk } from './partitions.ts';
import { rawDisk } from './raw-writes.ts';
import type { DiskSpec } from './spec.ts';

const MIB = 1 << 20;
/** Tells Talos to remove what it was not booted with (`spec/outputs-disk.md` §4.5). */
const META_BOOTLOADER = 0x11;

/** Boot code of the first sector, and the core image told where it lies. */
interface PlacedGrub {
  readonly bootCode: Uint8Array;
  readonly core: Uint8Array;
}

/**
 * A raw disk image (`spec/outputs-disk.md`), composed of the boot files without copying them. The same spec gives
 * the same bytes. Throws `invalid`: `DISK_*`, `BOOTLOADER_UNSUPPORTED`, `META_*`, `FAT_*`, `XFS_*`, `OVERLAY_*`,
 * each with the sizes or names that do not go together.
 */
export async function composeDisk(spec: DiskSpec, signal?: AbortSignal): Promise<Blob> {
  requireSupported(spec);
  const table = partitionDisk(spec);
  const raw = await rawDisk(spec.overlay?.rawWrites ?? [], spec.size, signal);
  const grub = await placeGrub(spec, table, signal);
  const partitions = table.partitions.map((partition): Placed => {
    const size = (partition.lastLba - partition.firstLba + 1) * table.sectorSize;
    return { offset: partition.firstLba * table.sectorSize, blob: content(spec, partition, size, grub) };
  });
  const parts = [...gptParts(table, grub?.bootCode ?? raw.bootCode), ...partitions];
  return placedBlob(spec.size, [...parts, ...(await raw.around(parts))]);
}

function requireSupported(spec: DiskSpec): void {
  const refuse = (reason: string): FactoryError =>
    new FactoryError('invalid', 'BOOTLOADER_UNSUPPORTED', reason);
  if (spec.bootloader === 'dual-boot' && spec.arch !== 'amd64')
    throw refuse(
      `dual-boot bootloader is not supported on ${spec.arch} architecture, either GRUB or sd-boot must be used`,
    );
  if (spec.bootloader !== 'grub' && !gatesOf(spec.version).uki)
    throw refuse(
      `${spec.bootloader} bootloader is not supported in Talos ${versionTag(spec.version)}, which has no unified ` +
        'kernel image; use GRUB',
    );
}

function content(spec: DiskSpec, partition: GptPartition, size: number, grub: PlacedGrub | undefined): Blob {
  switch (partition.name as PartitionName) {
    case 'EFI':
      return espImage(spec, size);
    case 'BIOS':
      return grub === undefined ? zeroBlob(size) : atStart(bytesBlob(grub.core, { nature: 'packed' }), size);
    case 'BOOT':
      return spec.bootloader === 'sd-boot' ? zeroBlob(size) : bootPartition(spec, size);
    case 'META':
      return atStart(bytesBlob(metaBytes(spec)), size);
    case 'STATE':
    case 'EPHEMERAL':
      return zeroBlob(size);
  }
}

/** Writes GRUB's place into its boot code (`spec/outputs-disk.md` §4.4). */
async function placeGrub(
  spec: DiskSpec,
  table: GptTable,
  signal: AbortSignal | undefined,
): Promise<PlacedGrub | undefined> {
  if (spec.bootloader === 'sd-boot' || spec.bios === undefined) return undefined;
  const partition = table.partitions.find(({ name }) => name === 'BIOS');
  if (partition === undefined) return undefined;
  const { core, bootSector } = spec.bios;
  if (core.size > MIB)
    throw new FactoryError(
      'internal',
      'GRUB_TOO_LARGE',
      `core.img size (${core.size} bytes) exceeds BIOS partition size (${MIB} bytes)`,
    );
  return placeDiskBoot(
    await readAll(bootSector, MIB, signal),
    await readAll(core, MIB, signal),
    partition.firstLba,
  );
}

function metaBytes(spec: DiskSpec): Uint8Array {
  const marked = spec.bootloader === 'dual-boot' && gatesOf(spec.version).sdBootForUefi;
  const values = marked ? [...spec.meta, { key: META_BOOTLOADER, value: 'dual-boot' }] : spec.meta;
  try {
    return advBytes(values.map(({ key, value }) => ({ tag: key, value: Buffer.from(value) })));
  } catch (error) {
    throw withContext('customization.meta', error);
  }
}

function atStart(blob: Blob, size: number): Blob {
  return placedBlob(size, [{ offset: 0, blob }]);
}
