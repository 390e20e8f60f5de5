import { bytesBlob } from '../../blob/bytes.ts';
import type { Arch } from '../../talos/arch.ts';
import { diskSize } from '../../talos/disk-size.ts';
import { parseTalosVersion } from '../../talos/version.ts';
import type { DualBootDisk, GrubDisk, SystemdBootDisk } from './spec.ts';

const MIB = 1 << 20;

/** Boot files that are no programs, but each of its own size and bytes. */
export const files = {
  kernel: bytesBlob(Buffer.alloc(2 * MIB + 77, 'kernel '), { nature: 'packed', key: 'kernel' }),
  initramfs: bytesBlob(Buffer.alloc(3 * MIB + 11, 'initramfs '), { nature: 'packed', key: 'initramfs' }),
  uki: bytesBlob(Buffer.alloc(5 * MIB + 512, 'uki '), { nature: 'packed', key: 'uki' }),
  systemdBoot: bytesBlob(Buffer.alloc(122880, 'systemd-boot ')),
  efi: bytesBlob(Buffer.alloc(700_000, 'grub efi ')),
  bios: {
    bootSector: bytesBlob(Buffer.alloc(512, 0x77)),
    core: bytesBlob(Buffer.alloc(155_000, 'core ')),
  },
} as const;

export const cmdline = 'talos.platform=metal talos.config=http://host/?a={b}&c&d=$e console=tty0';

interface Wanted {
  readonly version: string;
  readonly arch?: Arch;
  readonly sectorSize?: 512 | 4096;
}

function base(
  { version, arch = 'amd64', sectorSize = 512 }: Wanted,
  bootloader: 'grub' | 'sd-boot' | 'dual-boot',
) {
  const parsed = parseTalosVersion(version);
  return { version: parsed, arch, sectorSize, size: diskSize('metal', parsed, bootloader), meta: [] };
}

export function grubDisk(wanted: Wanted): GrubDisk {
  const { kernel, initramfs, efi, bios } = files;
  const spec = { ...base(wanted, 'grub'), bootloader: 'grub', kernel, initramfs, cmdline, efi } as const;
  return spec.arch === 'amd64' ? { ...spec, bios } : spec;
}

export function systemdBootDisk(wanted: Wanted): SystemdBootDisk {
  const { uki, systemdBoot } = files;
  return { ...base(wanted, 'sd-boot'), bootloader: 'sd-boot', uki, systemdBoot };
}

export function dualBootDisk(wanted: Wanted): DualBootDisk {
  const { efi: _, ...rest } = files;
  return { ...base(wanted, 'dual-boot'), bootloader: 'dual-boot', cmdline, ...rest };
}
