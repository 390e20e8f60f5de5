import type { TalosVersion } from './version.ts';

/**
 * What a Talos version can do and wants (`spec/profile.md` §8). Gates look at major.minor.patch only:
 * `1.10.0-alpha.0` behaves as `1.10.0`.
 */
export interface Gates {
  /** GRUB menus have a reset entry: 1.4. */
  readonly grubReset: boolean;
  /** Unified kernel images, systemd-boot, Secure Boot: 1.5. */
  readonly uki: boolean;
  /** META on the command line may be gzipped: 1.6.3. */
  readonly compressedMeta: boolean;
  /** Overlays; schematic text in the schematic extension: 1.7. */
  readonly overlays: boolean;
  /** zstd instead of xz for what is added to the initramfs: 1.8. */
  readonly zstd: boolean;
  /** ISO volume labels: 1.8. */
  readonly isoLabel: boolean;
  /** `talos.halt_if_installed=1` on ISOs: 1.8. */
  readonly haltIfInstalled: boolean;
  /** Disk images without STATE and EPHEMERAL: 1.8. */
  readonly skipDataPartitions: boolean;
  /** systemd-boot is the UEFI default; hybrid ISOs: 1.10. */
  readonly sdBootForUefi: boolean;
  /** Modules and firmware below `/usr/lib` instead of `/lib`: 1.10. */
  readonly usrMerge: boolean;
  /** Several profiles in a UKI: 1.10. */
  readonly ukiProfiles: boolean;
  /** `installer-base`; kernel arguments in installers: 1.10. */
  readonly unifiedInstaller: boolean;
  /** BOOT partition of 2000 MiB instead of 1000: 1.11. */
  readonly largeBootPartition: boolean;
  /** `talosctl-all` images: 1.11. */
  readonly talosctl: boolean;
  /** Machine configuration inside the image: 1.12. */
  readonly embeddedConfig: boolean;
  /** The schematic's bootloader counts for ISOs: 1.12. */
  readonly isoBootloader: boolean;
  /** `ima_*` arguments: before 1.11. */
  readonly ima: boolean;
  /** `selinux=1`: 1.10. */
  readonly selinux: boolean;
  /** metal on amd64 has `console=ttyS0`: before 1.8. */
  readonly metalSerialConsole: boolean;
  /** `module.sig_enforce=1`: 1.12. */
  readonly moduleSignatures: boolean;
  /** `proc_mem.force_override=never`: 1.13. */
  readonly procMem: boolean;
  /** `init_on_alloc=1` and the NVMe timeout for all platforms: before 1.14. */
  readonly initOnAlloc: boolean;
  /** `lockdown=confidentiality` with Secure Boot: before 1.14. */
  readonly forcedLockdown: boolean;
}

export function gatesOf(version: TalosVersion): Gates {
  const since = (minor: number, patch = 0): boolean =>
    (version.major - 1 || version.minor - minor || version.patch - patch) >= 0;
  return {
    grubReset: since(4),
    uki: since(5),
    compressedMeta: since(6, 3),
    overlays: since(7),
    zstd: since(8),
    isoLabel: since(8),
    haltIfInstalled: since(8),
    skipDataPartitions: since(8),
    sdBootForUefi: since(10),
    usrMerge: since(10),
    ukiProfiles: since(10),
    unifiedInstaller: since(10),
    largeBootPartition: since(11),
    talosctl: since(11),
    embeddedConfig: since(12),
    isoBootloader: since(12),
    ima: !since(11),
    selinux: since(10),
    metalSerialConsole: !since(8),
    moduleSignatures: since(12),
    procMem: since(13),
    initOnAlloc: !since(14),
    forcedLockdown: !since(14),
  };
}
