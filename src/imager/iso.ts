import type { Blob } from '../blob/blob.ts';
import type { TreeEntry } from '../formats/tree.ts';
import type { Arch } from '../talos/arch.ts';
import type { TalosVersion } from '../talos/version.ts';

/** What systemd-boot does with the keys on the medium (loader.conf(5), `secure-boot-enroll`). */
export type EnrollMode = 'if-safe' | 'manual' | 'force' | 'off';

/** What an ISO needs for Secure Boot besides signed boot files (`spec/uki-secureboot.md` §6). */
export interface SecureBootMedia {
  readonly enroll: EnrollMode;
  readonly platformKey: Blob;
  readonly keyExchangeKey: Blob;
  readonly signatureDatabase: Blob;
  /** DER of the certificate that signed the boot files. */
  readonly signingCertificate: Blob;
}

/** GRUB's BIOS boot code (`grub.ts` makes it). */
export interface GrubBios {
  /** `boot_hybrid.img`, 512 bytes: starts the image from a USB stick. */
  readonly hybridMbr: Blob;
  /** cdboot and core image, format `i386-pc-eltorito`. */
  readonly elTorito: Blob;
}

interface IsoBase {
  readonly version: TalosVersion;
  readonly arch: Arch;
  /** Further files of the ISO's tree, below `imagecache/`. */
  readonly imageCache?: readonly TreeEntry[];
}

export interface GrubIso extends IsoBase {
  readonly kind: 'grub';
  readonly cmdline: string;
  readonly kernel: Blob;
  readonly initramfs: Blob;
  /** amd64 only. */
  readonly bios?: GrubBios;
  /** GRUB for UEFI of the ISO's architecture. */
  readonly efi: Blob;
}

export interface HybridIso extends IsoBase {
  readonly kind: 'hybrid';
  readonly cmdline: string;
  /**
   * Kernel and initramfs are taken from it; when they lie at multiples of 2048 in it (`UkiSpec.bootFileAlignment`),
   * the ISO holds them once.
   */
  readonly uki: Blob;
  readonly systemdBoot: Blob;
  /** amd64 only: it is x86 code. */
  readonly bios?: GrubBios;
}

export interface UefiIso extends IsoBase {
  readonly kind: 'uefi';
  readonly uki: Blob;
  readonly systemdBoot: Blob;
  readonly secureBoot?: SecureBootMedia;
}

/** `composeIso(spec: IsoSpec, signal?: AbortSignal): Promise<Blob>` */
export type IsoSpec = GrubIso | HybridIso | UefiIso;
