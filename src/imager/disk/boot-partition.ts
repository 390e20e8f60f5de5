import type { Blob } from '../../blob/blob.ts';
import { textBlob } from '../../blob/bytes.ts';
import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { guidOfName } from '../../formats/guid.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import { xfsImage } from '../../formats/xfs/xfs.ts';
import { gatesOf } from '../../talos/gates.ts';
import { diskGrubConfig } from '../grub-config.ts';
import type { DualBootDisk, GrubDisk } from './spec.ts';

/**
 * The BOOT partition of `size` bytes: kernel, initramfs and menu for GRUB (`spec/outputs-disk.md` §4.1). The menu's
 * text may hold secrets of the command line, so it is for root alone.
 * Throws `invalid` `XFS_*` for what does not fit.
 */
export function bootPartition(spec: GrubDisk | DualBootDisk, size: number): Blob {
  const reset = spec.bootloader === 'dual-boot' || gatesOf(spec.version).grubReset;
  const config = diskGrubConfig(spec.version, { cmdline: spec.cmdline, reset });
  const own: readonly TreeEntry[] = [
    { type: 'file', path: 'A/vmlinuz', mode: 0o644, content: spec.kernel },
    { type: 'file', path: 'A/initramfs.xz', mode: 0o644, content: spec.initramfs },
    { type: 'directory', path: 'grub', mode: 0o700 },
    { type: 'file', path: 'grub/grub.cfg', mode: 0o600, content: textBlob(config) },
  ];
  const taken = new Set(own.map((entry) => entry.path));
  return xfsImage({
    size,
    sectorSize: spec.sectorSize,
    label: 'BOOT',
    uuid: guidOfName('BOOT'),
    time: SOURCE_DATE_EPOCH,
    entries: [...own, ...(spec.overlay?.bootFiles ?? []).filter((entry) => !taken.has(entry.path))],
  });
}
