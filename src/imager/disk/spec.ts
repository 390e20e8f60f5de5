import type { Blob } from '../../blob/blob.ts';
import type { Placed } from '../../blob/compose.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import type { Arch } from '../../talos/arch.ts';
import type { MetaValue } from '../../talos/meta.ts';
import type { TalosVersion } from '../../talos/version.ts';
import type { GrubDiskBios } from '../grub.ts';
import type { SecureBootMedia } from '../iso.ts';

/** A disk image by what boots from it (`spec/outputs-disk.md` §1). */
export type DiskSpec = GrubDisk | SystemdBootDisk | DualBootDisk;

interface DiskBase {
  readonly version: TalosVersion;
  readonly arch: Arch;
  /** Bytes of the disk (`diskSize`); a multiple of the sector size. */
  readonly size: number;
  readonly sectorSize: 512 | 4096;
  /** Of the schematic, in its order; the mark of dual-boot images is added here. */
  readonly meta: readonly MetaValue[];
  readonly overlay?: DiskOverlay;
}

interface GrubFiles {
  readonly kernel: Blob;
  readonly initramfs: Blob;
  readonly cmdline: string;
}

interface SystemdBootFiles {
  /** Signed with Secure Boot, as is `systemdBoot`. */
  readonly uki: Blob;
  readonly systemdBoot: Blob;
}

/** GRUB for BIOS and UEFI. */
export interface GrubDisk extends DiskBase, GrubFiles {
  readonly bootloader: 'grub';
  /** amd64 only. */
  readonly bios?: GrubDiskBios;
  /** GRUB for UEFI of the disk's architecture. */
  readonly efi: Blob;
}

/** systemd-boot alone; the only one for Secure Boot. */
export interface SystemdBootDisk extends DiskBase, SystemdBootFiles {
  readonly bootloader: 'sd-boot';
  readonly secureBoot?: DiskSecureBoot;
}

/** GRUB for BIOS, systemd-boot for UEFI: amd64 only. Talos removes what it was not booted with. */
export interface DualBootDisk extends DiskBase, GrubFiles, SystemdBootFiles {
  readonly bootloader: 'dual-boot';
  readonly bios: GrubDiskBios;
}

/** Keys that systemd-boot enrols from the disk; they are left out when enrolment is off. */
export type DiskSecureBoot = Omit<SecureBootMedia, 'signingCertificate'>;

/** What a board's overlay puts on the disk (`spec/outputs-disk.md` §7). */
export interface DiskOverlay {
  /** Sectors left free before the entries of the partition table. */
  readonly offsetLbas: number;
  /** Written to the disk before the partition table. */
  readonly rawWrites: readonly Placed[];
  /** For the root of the EFI system partition. */
  readonly espFiles: readonly TreeEntry[];
  /** For the root of BOOT, on images that have it. */
  readonly bootFiles: readonly TreeEntry[];
}
