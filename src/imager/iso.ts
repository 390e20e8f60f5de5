import type { Blob } from '../blob/blob.ts';
import { textBlob, zeroBlob } from '../blob/bytes.ts';
import { type Placed, placedBlob } from '../blob/compose.ts';
import { readAll } from '../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { type FatImage, layoutFat } from '../formats/fat.ts';
import { type BootImage, type IsoVolume, layoutIsoVolume } from '../formats/iso9660.ts';
import { BLOCK } from '../formats/iso9660-fields.ts';
import { findSection, peError, readPe, sectionContent } from '../formats/pe.ts';
import type { TreeEntry } from '../formats/tree.ts';
import type { Arch } from '../talos/arch.ts';
import { gatesOf } from '../talos/gates.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import type { GrubIsoBios } from './grub.ts';
import { isoGrubConfig } from './grub-config.ts';
import { partitionParts, SECONDARY_GPT_SIZE } from './iso-partitions.ts';
import { type EnrollMode, loaderConfig } from './loader-config.ts';

/** What an ISO needs for Secure Boot besides signed boot files (`spec/uki-secureboot.md` §6). */
export interface SecureBootMedia {
  readonly enroll: EnrollMode;
  readonly platformKey: Blob;
  readonly keyExchangeKey: Blob;
  readonly signatureDatabase: Blob;
  /** DER of the certificate that signed the boot files. */
  readonly signingCertificate: Blob;
}

interface IsoBase {
  readonly version: TalosVersion;
  readonly arch: Arch;
  /** Further files of the tree, below `imagecache/`. */
  readonly imageCache?: readonly TreeEntry[];
}

export interface GrubIso extends IsoBase {
  readonly kind: 'grub';
  readonly cmdline: string;
  readonly kernel: Blob;
  readonly initramfs: Blob;
  /** amd64 only. */
  readonly bios?: GrubIsoBios;
  /** GRUB for UEFI of the ISO's architecture. */
  readonly efi: Blob;
}

export interface HybridIso extends IsoBase {
  readonly kind: 'hybrid';
  readonly cmdline: string;
  /**
   * Kernel and initramfs are taken from it; when they lie at multiples of 2048 in it
   * (`UkiSpec.bootFileAlignment`), the ISO holds them once.
   */
  readonly uki: Blob;
  readonly systemdBoot: Blob;
  /** amd64 only: it is x86 code. */
  readonly bios?: GrubIsoBios;
}

export interface UefiIso extends IsoBase {
  readonly kind: 'uefi';
  readonly uki: Blob;
  readonly systemdBoot: Blob;
  readonly secureBoot?: SecureBootMedia;
}

export type IsoSpec = GrubIso | HybridIso | UefiIso;

/** A tree of which some files lie in the EFI system partition, at these offsets. */
interface Contents {
  readonly entries: readonly TreeEntry[];
  readonly esp: Blob;
  readonly shared: ReadonlyMap<string, number>;
  readonly bios?: GrubIsoBios;
}

const MIB = 1 << 20;
const EL_TORITO_PATH = 'boot/grub/i386-pc/eltorito.img';
const EFI_BOOT_FILE: Readonly<Record<Arch, string>> = { amd64: 'BOOTX64.EFI', arm64: 'BOOTAA64.EFI' };
const ESP = { label: 'EFI', volumeId: 0x1234abcd, time: SOURCE_DATE_EPOCH, contentAlignment: BLOCK } as const;
/** Fewest clusters that every reader takes for FAT32, with a margin (`spec/outputs-iso.md` §3). */
const FEWEST_CLUSTERS = 65525 + 2048;

/**
 * An ISO image (`spec/outputs-iso.md`) that boots from CD and from USB sticks, composed of the boot files without
 * copying them. Files of the EFI system partition are also files of the ISO's tree, of the same blocks.
 * Throws `upstream` `PE_INVALID` for a UKI without kernel or initramfs, `invalid` `ISO_*` and `FAT_*` for what
 * does not fit.
 */
export async function composeIso(spec: IsoSpec, signal?: AbortSignal): Promise<Blob> {
  const contents = await contentsOf(spec, signal);
  const boot: BootImage[] = [];
  if (contents.bios !== undefined)
    boot.push({
      platform: 'bios',
      path: EL_TORITO_PATH,
      image: await readAll(contents.bios.elTorito, MIB, signal),
    });
  boot.push({ platform: 'efi', source: 'appended' });
  const volume = layoutIsoVolume({
    ...volumeNames(spec.version),
    time: SOURCE_DATE_EPOCH,
    entries: [...contents.entries, ...(spec.imageCache ?? [])],
    appended: { image: contents.esp, shared: contents.shared },
    boot,
    trailer: spec.kind === 'uefi' ? 0 : SECONDARY_GPT_SIZE,
  });
  return placedBlob(volume.size, [...volume.parts, ...(await systemArea(spec, contents, volume, signal))]);
}

/** Label and volume identifier; releases before 1.8 keep those of xorriso (`spec/outputs-iso.md` §7). */
export function volumeNames(version: TalosVersion): {
  readonly volumeId: string;
  readonly volumeSetId?: string;
} {
  if (!gatesOf(version).isoLabel) return { volumeId: 'ISOIMAGE' };
  const label = `Talos-${versionTag(version)}`;
  const volumeId = label
    .toUpperCase()
    .replaceAll(/[-.]/g, '_')
    .replaceAll(/[^A-Z0-9_]/g, '')
    .slice(0, 32);
  return { volumeId, volumeSetId: label };
}

/**
 * Bytes of the EFI system partition of hybrid and UEFI ISOs, and its sectors per cluster
 * (`spec/outputs-iso.md` §3).
 */
export function espGeometry(
  systemdBoot: number,
  uki: number,
): { readonly size: number; readonly sectorsPerCluster: number } {
  const size = Math.max(10 * MIB + alignMiB(systemdBoot) + alignMiB(uki), 35 * MIB);
  const sectors = size / 512;
  const sectorsPerCluster = [8, 4, 2].find((count) => sectors / count >= FEWEST_CLUSTERS) ?? 1;
  return { size, sectorsPerCluster };
}

async function contentsOf(spec: IsoSpec, signal: AbortSignal | undefined): Promise<Contents> {
  switch (spec.kind) {
    case 'grub': {
      const esp = grubEsp(spec);
      const files = [file('boot/vmlinuz', spec.kernel), file('boot/initramfs.xz', spec.initramfs)];
      return {
        entries: [...files, ...esp.entries, ...grubFiles(spec)],
        esp: esp.image.image,
        shared: esp.image.contentOffsets,
        ...biosOf(spec),
      };
    }
    case 'hybrid': {
      const esp = systemdBootEsp(spec, loaderFiles('off'));
      const kernel = await bootFiles(spec.uki, esp.image.contentOffsets.get(ukiPath(spec)) ?? 0, signal);
      return {
        entries: [...kernel.entries, ...esp.entries, ...grubFiles(spec)],
        esp: esp.image.image,
        shared: new Map([...esp.image.contentOffsets, ...kernel.shared]),
        ...biosOf(spec),
      };
    }
    case 'uefi': {
      const media = spec.secureBoot;
      const esp = systemdBootEsp(spec, [
        ...loaderFiles(media?.enroll ?? 'off'),
        ...(media === undefined ? [] : secureBootFiles(media)),
      ]);
      return { entries: esp.entries, esp: esp.image.image, shared: esp.image.contentOffsets };
    }
  }
}

function biosOf(spec: GrubIso | HybridIso): { readonly bios?: GrubIsoBios } {
  return spec.bios === undefined ? {} : { bios: spec.bios };
}

function grubFiles(spec: GrubIso | HybridIso): readonly TreeEntry[] {
  const config = isoGrubConfig({ cmdline: spec.cmdline, reset: gatesOf(spec.version).grubReset });
  return [
    file('boot/grub/grub.cfg', textBlob(config)),
    ...(spec.bios === undefined ? [] : [file(EL_TORITO_PATH, spec.bios.elTorito)]),
  ];
}

/** GRUB alone, in a file system as small as it can be: FAT12, which firmware has to read (UEFI 2.10 §13.3.1.1). */
function grubEsp(spec: GrubIso): { readonly entries: readonly TreeEntry[]; readonly image: FatImage } {
  const entries = [file(`EFI/BOOT/${EFI_BOOT_FILE[spec.arch]}`, spec.efi)];
  const size = alignMiB(spec.efi.size + 128 * 1024);
  const image = layoutFat(12, { ...ESP, size, sectorSize: 512, sectorsPerCluster: 8, entries });
  return { entries, image };
}

function systemdBootEsp(
  spec: HybridIso | UefiIso,
  files: readonly TreeEntry[],
): { readonly entries: readonly TreeEntry[]; readonly image: FatImage } {
  const entries = [
    file(`EFI/BOOT/${EFI_BOOT_FILE[spec.arch]}`, spec.systemdBoot),
    file(ukiPath(spec), spec.uki),
    ...files,
  ];
  const image = layoutFat(32, {
    ...ESP,
    ...espGeometry(spec.systemdBoot.size, spec.uki.size),
    sectorSize: 512,
    entries,
    readOnly: new Set(['loader/random-seed']),
  });
  return { entries, image };
}

function ukiPath(spec: IsoBase): string {
  return `EFI/Linux/Talos-${versionTag(spec.version)}.efi`;
}

/** systemd-boot 261 and later try to create a seed when there is none, and some firmware crashes on that. */
function loaderFiles(enroll: EnrollMode): readonly TreeEntry[] {
  return [
    file('loader/loader.conf', textBlob(loaderConfig(enroll))),
    { ...file('loader/random-seed', zeroBlob(32)), mode: 0o444 },
  ];
}

function secureBootFiles(media: SecureBootMedia): readonly TreeEntry[] {
  return [
    file('EFI/keys/uki-signing-cert.der', media.signingCertificate),
    file('loader/keys/auto/PK.auth', media.platformKey),
    file('loader/keys/auto/KEK.auth', media.keyExchangeKey),
    file('loader/keys/auto/db.auth', media.signatureDatabase),
  ];
}

/** Kernel and initramfs of a UKI that begins at `offset` of the partition, shared with it where blocks allow it. */
async function bootFiles(
  uki: Blob,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly entries: readonly TreeEntry[]; readonly shared: ReadonlyMap<string, number> }> {
  const pe = await readPe(uki, signal);
  const entries: TreeEntry[] = [];
  const shared = new Map<string, number>();
  for (const [name, path] of [
    ['.linux', 'boot/vmlinuz'],
    ['.initrd', 'boot/initramfs.xz'],
  ] as const) {
    const section = findSection(pe, name);
    if (section === undefined) throw peError(`the unified kernel image has no section ${name}`);
    entries.push(file(path, sectionContent(pe, section)));
    if ((offset + section.rawOffset) % BLOCK === 0) shared.set(path, offset + section.rawOffset);
  }
  return { entries, shared };
}

async function systemArea(
  spec: IsoSpec,
  contents: Contents,
  volume: IsoVolume,
  signal: AbortSignal | undefined,
): Promise<readonly Placed[]> {
  const espOffset = volume.appendedOffset ?? 0;
  const place = { size: volume.size, espOffset, espSize: contents.esp.size };
  if (spec.kind === 'uefi') return partitionParts({ ...place, table: 'mbr' });
  if (contents.bios === undefined) return partitionParts({ ...place, table: 'gpt' });
  const bootHybrid = await readAll(contents.bios.hybridMbr, MIB, signal);
  const elToritoLba = volume.fileLba(EL_TORITO_PATH);
  return partitionParts({ ...place, table: 'gpt', grub: { bootHybrid, elToritoLba } });
}

function file(path: string, content: Blob): TreeEntry {
  return { type: 'file', path, mode: 0o644, content };
}

function alignMiB(size: number): number {
  return Math.ceil(size / MIB) * MIB;
}
