import { bytesBlob } from '../blob/bytes.ts';
import type { Placed } from '../blob/compose.ts';
import { gptParts } from '../formats/gpt.ts';
import { guidOfName } from '../formats/guid.ts';
import { mbrSector } from '../formats/mbr.ts';
import { hybridBootCode } from './grub-place.ts';

const SECTOR = 512;
/** Sectors of 2048 bytes 0 to 15 are the system area of an ISO: boot code and partition tables. */
const SYSTEM_AREA = 64;
const ENTRY_SECTORS = 32;
const TYPE_ISO = 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7';
const TYPE_ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
/** Read-only (bit 60) and not to be mounted by itself (bit 63), for basic data partitions. */
const READ_ONLY = (1n << 60n) | (1n << 63n);

/** Bytes at the end of an ISO for the secondary table. */
export const SECONDARY_GPT_SIZE = (ENTRY_SECTORS + 1) * SECTOR;

export interface IsoPartitions {
  /** Bytes of the ISO. */
  readonly size: number;
  /** Of the EFI system partition, bytes. */
  readonly espOffset: number;
  readonly espSize: number;
  /** UEFI ISOs have a plain MBR, those with GRUB a GPT (`spec/outputs-iso.md` §4-6). */
  readonly table: 'mbr' | 'gpt';
  readonly grub?: { readonly bootHybrid: Uint8Array; readonly elToritoLba: number };
}

/** What makes a disk of an ISO on a USB stick: one partition over its files, one for EFI. */
export function partitionParts(spec: IsoPartitions): readonly Placed[] {
  const espFirst = spec.espOffset / SECTOR;
  const espSectors = spec.espSize / SECTOR;
  if (spec.table === 'mbr') {
    const sector = mbrSector([
      { status: 0, type: 0x83, firstLba: SYSTEM_AREA, sectors: espFirst - SYSTEM_AREA },
      { status: 0, type: 0xef, firstLba: espFirst, sectors: espSectors },
    ]);
    return [{ offset: 0, blob: bytesBlob(sector) }];
  }
  const lastLba = spec.size / SECTOR - 1;
  const bootCode =
    spec.grub === undefined ? undefined : hybridBootCode(spec.grub.bootHybrid, spec.grub.elToritoLba);
  return gptParts(
    {
      sectorSize: SECTOR,
      lastLba,
      diskGuid: guidOfName('talos-iso-disk'),
      entriesLba: 2,
      firstUsableLba: SYSTEM_AREA,
      lastUsableLba: lastLba - ENTRY_SECTORS - 1,
      partitions: [
        {
          name: 'ISO9660',
          typeGuid: TYPE_ISO,
          guid: guidOfName('talos-iso-files'),
          firstLba: SYSTEM_AREA,
          lastLba: espFirst - 1,
          attributes: READ_ONLY,
        },
        {
          name: 'EFI',
          typeGuid: TYPE_ESP,
          guid: guidOfName('talos-iso-efi'),
          firstLba: espFirst,
          lastLba: espFirst + espSectors - 1,
          attributes: 0n,
        },
      ],
    },
    bootCode,
  );
}
