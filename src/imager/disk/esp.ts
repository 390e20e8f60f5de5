import type { Blob } from '../../blob/blob.ts';
import { textBlob } from '../../blob/bytes.ts';
import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { layoutFat } from '../../formats/fat.ts';
import { defaultSectorsPerCluster } from '../../formats/fat-geometry.ts';
import type { FileEntry, TreeEntry } from '../../formats/tree.ts';
import type { Arch } from '../../talos/arch.ts';
import { versionTag } from '../../talos/version.ts';
import { loaderConfig } from '../loader-config.ts';
import type { DiskSecureBoot, DiskSpec } from './spec.ts';

const BOOT_FILE: Readonly<Record<Arch, string>> = {
  amd64: 'EFI/boot/BOOTX64.efi',
  arm64: 'EFI/boot/BOOTAA64.efi',
};
/** With fewer clusters a file system is FAT16, whatever it says (FAT specification §3.5); with a margin. */
const FEWEST_FAT32_CLUSTERS = 65525 + 16;

/**
 * The EFI system partition of `size` bytes (`spec/outputs-disk.md` §3). With sectors of 4096 bytes the one of GRUB
 * images has too few clusters for FAT32 and is FAT16, which firmware has to read too (UEFI 2.10 §13.3.1.1).
 * Throws `invalid` `FAT_*` for what does not fit.
 */
export function espImage(spec: DiskSpec, size: number): Blob {
  const sectors = size / spec.sectorSize;
  const isFat32 = sectors / defaultSectorsPerCluster(sectors) > FEWEST_FAT32_CLUSTERS;
  const layout = layoutFat(isFat32 ? 32 : 16, {
    size,
    sectorSize: spec.sectorSize,
    label: 'EFI',
    volumeId: 0x1234abcd,
    time: SOURCE_DATE_EPOCH,
    entries: mergeTrees(ownFiles(spec), spec.overlay?.espFiles ?? []),
  });
  return layout.image;
}

function ownFiles(spec: DiskSpec): readonly FileEntry[] {
  if (spec.bootloader === 'grub') return [file(BOOT_FILE[spec.arch], spec.efi)];
  return [
    file(BOOT_FILE[spec.arch], spec.systemdBoot),
    file(`EFI/Linux/Talos-${versionTag(spec.version)}.efi`, spec.uki),
    ...loaderFiles(spec.bootloader === 'sd-boot' ? spec.secureBoot : undefined),
  ];
}

/** Unlike on ISOs, "off" leaves no trace of enrolment (`spec/outputs-disk.md` §3.2). */
function loaderFiles(keys: DiskSecureBoot | undefined): readonly FileEntry[] {
  if (keys === undefined || keys.enroll === 'off')
    return [file('loader/loader.conf', textBlob(loaderConfig()))];
  return [
    file('loader/loader.conf', textBlob(loaderConfig(keys.enroll))),
    file('loader/keys/auto/PK.auth', keys.platformKey),
    file('loader/keys/auto/KEK.auth', keys.keyExchangeKey),
    file('loader/keys/auto/db.auth', keys.signatureDatabase),
  ];
}

/**
 * `own` and what an overlay adds. FAT does not tell `boot` from `BOOT`: of two such names of directories the first
 * counts, and of two files ours.
 */
export function mergeTrees(own: readonly TreeEntry[], added: readonly TreeEntry[]): readonly TreeEntry[] {
  const spellings = new Map<string, string>();
  const spell = (path: string): string => {
    let spelled = '';
    for (const name of path.split('/')) {
      const wanted = spelled === '' ? name : `${spelled}/${name}`;
      const key = wanted.toLowerCase();
      spelled = spellings.get(key) ?? wanted;
      spellings.set(key, spelled);
    }
    return spelled;
  };
  const entries = new Map<string, TreeEntry>();
  for (const entry of own) entries.set(spell(entry.path), entry);
  for (const entry of added) {
    if (entry.path === '') continue;
    const path = spell(entry.path);
    if (!entries.has(path)) entries.set(path, { ...entry, path });
  }
  return [...entries.values()];
}

function file(path: string, content: Blob): FileEntry {
  return { type: 'file', path, mode: 0o644, content };
}
