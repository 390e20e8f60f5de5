import type { Arch } from '../talos/arch.ts';
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
  /** What the schematic asks for; `none` is no wish. Releases before 1.12 ignore it. */
  readonly bootloader: 'none' | 'dual-boot' | 'sd-boot' | 'grub';
}

export function selectIsoKind(query: IsoKindQuery): IsoKind {
  if (query.secureBoot) return 'uefi';
  const gates = gatesOf(query.version);
  if (!gates.isoBootloader) return gates.sdBootForUefi ? 'hybrid' : 'grub';
  switch (query.bootloader) {
    case 'dual-boot':
      return 'hybrid';
    case 'sd-boot':
      return 'uefi';
    case 'grub':
      return 'grub';
    case 'none':
      return query.arch === 'amd64' ? 'hybrid' : 'uefi';
  }
}
