import { FactoryError } from '../../errors.ts';
import { type GptTable, layoutDisk, type PartitionRequest } from '../../formats/gpt.ts';
import { guidOfName } from '../../formats/guid.ts';
import { gatesOf } from '../../talos/gates.ts';
import type { DiskSpec } from './spec.ts';

export type PartitionName = 'EFI' | 'BIOS' | 'BOOT' | 'META' | 'STATE' | 'EPHEMERAL';

const MIB = 1 << 20;
const TYPE_ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const TYPE_BIOS_BOOT = '21686148-6449-6e6f-744e-656564454649';
const TYPE_LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';
/** Attribute bit 2, "legacy BIOS bootable" (UEFI 2.10 table 5.8). */
const BIOS_BOOTABLE = 4n;
const LARGEST_SKIP = 1 << 24;

/** What decides the partitions of a disk. */
export type PartitioningSpec = Pick<DiskSpec, 'version' | 'bootloader' | 'size' | 'sectorSize'> & {
  readonly overlay?: { readonly offsetLbas: number };
};

/**
 * The partition table of a disk image (`spec/outputs-disk.md` §2).
 * Throws `invalid` `DISK_SIZE_INVALID`, `DISK_TOO_SMALL`, `OVERLAY_OFFSET_INVALID`.
 */
export function partitionDisk(spec: PartitioningSpec): GptTable {
  const { size, sectorSize } = spec;
  const skip = spec.overlay?.offsetLbas ?? 0;
  if (!Number.isSafeInteger(size) || size <= 0 || size % sectorSize !== 0)
    throw new FactoryError(
      'invalid',
      'DISK_SIZE_INVALID',
      `disk size ${size} is not a multiple of the sector size ${sectorSize}`,
    );
  if (!Number.isInteger(skip) || skip < 0 || skip > LARGEST_SKIP)
    throw new FactoryError(
      'invalid',
      'OVERLAY_OFFSET_INVALID',
      `the overlay's partition offset ${skip} is not in 0..${LARGEST_SKIP} sectors`,
    );
  const partitions = requests(spec);
  try {
    return layoutDisk({ size, sectorSize, skip, diskGuid: guidOfName('talos-image-disk'), partitions });
  } catch (error) {
    if (!(error instanceof FactoryError && error.code === 'PARTITION_NO_ROOM')) throw error;
    const wanted = partitions.map((partition) => `${partition.name} ${describe(partition.size)}`).join(', ');
    throw new FactoryError(
      'invalid',
      'DISK_TOO_SMALL',
      `a disk of ${describe(size)} is too small for its partitions (${wanted}): ${error.message}`,
      { cause: error },
    );
  }
}

function requests(spec: PartitioningSpec): readonly PartitionRequest[] {
  const gates = gatesOf(spec.version);
  const boot = (gates.largeBootPartition ? 2000 : 1000) * MIB;
  const grub = spec.bootloader !== 'sd-boot';
  return [
    partition('EFI', TYPE_ESP, spec.bootloader === 'grub' ? 100 * MIB : 101 * MIB + boot),
    ...(grub
      ? [
          { ...partition('BIOS', TYPE_BIOS_BOOT, MIB), attributes: BIOS_BOOTABLE },
          partition('BOOT', TYPE_LINUX, boot),
        ]
      : []),
    partition('META', TYPE_LINUX, MIB),
    ...(gates.skipDataPartitions
      ? []
      : [partition('STATE', TYPE_LINUX, 100 * MIB), partition('EPHEMERAL', TYPE_LINUX, 'rest')]),
  ];
}

function partition(name: PartitionName, typeGuid: string, size: number | 'rest'): PartitionRequest {
  return { name, typeGuid, guid: guidOfName(name), size };
}

function describe(size: number | 'rest'): string {
  return size === 'rest' ? 'at least 1 MiB' : `${size / MIB} MiB`;
}
