import type { Arch } from './arch.ts';
import { gatesOf } from './gates.ts';
import type { TalosVersion } from './version.ts';

/** `none` lets the factory decide. */
export const BOOTLOADERS = ['none', 'dual-boot', 'sd-boot', 'grub'] as const;
export type Bootloader = (typeof BOOTLOADERS)[number];

/** The bootloader of a disk image, and of an ISO from 1.12 on (`spec/profile.md` §4.2). */
export function selectBootloader(wanted: {
  readonly requested: Bootloader;
  readonly secureboot: boolean;
  readonly arch: Arch;
  readonly version: TalosVersion;
}): Exclude<Bootloader, 'none'> {
  // Only systemd-boot is signed: with Secure Boot a request for another one cannot be met.
  if (wanted.secureboot) return 'sd-boot';
  if (wanted.requested !== 'none') return wanted.requested;
  if (!gatesOf(wanted.version).sdBootForUefi) return 'grub';
  return wanted.arch === 'arm64' ? 'sd-boot' : 'dual-boot';
}
