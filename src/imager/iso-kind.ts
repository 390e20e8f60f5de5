import type { Arch } from '../talos/arch.ts';
import { type Bootloader, selectBootloader } from '../talos/bootloader.ts';
import { gatesOf } from '../talos/gates.ts';
import type { TalosVersion } from '../talos/version.ts';

/**
 * How an ISO boots (`spec/outputs-iso.md` §1): `grub` GRUB everywhere; `hybrid` GRUB for BIOS, systemd-boot
 * for UEFI; `uefi` systemd-boot alone.
 */
export type IsoKind = 'grub' | 'hybrid' | 'uefi';

export interface IsoKindQuery {
  readonly version: TalosVersion;
  readonly arch: Arch;
  readonly secureBoot: boolean;
  /** What the schematic asks for; releases before 1.12 ignore it. */
  readonly bootloader: Bootloader;
}

const KINDS: Readonly<Record<Exclude<Bootloader, 'none'>, IsoKind>> = {
  'dual-boot': 'hybrid',
  'sd-boot': 'uefi',
  grub: 'grub',
};

export function selectIsoKind(query: IsoKindQuery): IsoKind {
  const { version, arch, secureBoot, bootloader } = query;
  if (secureBoot) return 'uefi';
  const gates = gatesOf(version);
  if (!gates.isoBootloader) return gates.sdBootForUefi ? 'hybrid' : 'grub';
  return KINDS[selectBootloader({ requested: bootloader, secureboot: secureBoot, arch, version })];
}
