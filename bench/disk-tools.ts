import { script } from './tools.ts';

/**
 * Disk images made by standard programs, the usual way: file systems in files, copied into a sparse raw disk, which is
 * then converted or compressed. The same partitions and files as ours, for GRUB and systemd-boot.
 */

const RAW = `
boot=$1; initramfs=$2; disk=$3; mib=$4
sh -euc "$UKI" sh "$boot" "$initramfs" talos.efi
mkdir -p esp/EFI/boot esp/EFI/Linux esp/loader
mv talos.efi esp/EFI/Linux/
cp "$boot/systemd-boot.efi" esp/EFI/boot/BOOTX64.efi
printf 'timeout 10\\n' >esp/loader/loader.conf
truncate -s 2101M esp.img
mkfs.vfat -F 32 -n EFI --invariant esp.img >&2
mcopy -s -i esp.img esp/EFI esp/loader ::
cat >proto <<END
/
0 0
d--755 0 0
 A d--755 0 0
  initramfs.xz ---644 0 0 $initramfs
  vmlinuz ---644 0 0 $boot/vmlinuz
 $
 grub d--700 0 0
  grub.cfg ---600 0 0 grub.cfg
 $
$
END
truncate -s 2000M boot.img
mkfs.xfs -q -n ftype=1 -f -L BOOT -p proto boot.img >&2
grub-mkimage --format i386-pc --output core.img --prefix '(hd0,gpt3)/grub' \
  part_gpt xfs normal configfile linux boot search biosdisk part_msdos
rm -f "$disk"
truncate -s \${mib}M "$disk"
sgdisk -o -n 1:0:+2101M -n 2:0:+1M -n 3:0:+2000M -n 4:0:+1M -t 1:ef00 -t 2:ef02 "$disk" >&2
put() { dd if="$1" of="$disk" bs=1M seek="$2" conv=notrunc,sparse status=none; }
put esp.img 1
put core.img 2102
put boot.img 2103
`;

const ENCODERS: Readonly<Record<string, string>> = {
  'raw.xz': 'xz -0 -T0 -c "$disk" >"$output"',
  'raw.zst': 'zstd -q -T0 -18 -c "$disk" >"$output"',
  'raw.tar.gz': 'tar -cSf - -C "$(dirname "$disk")" "$(basename "$disk")" | gzip -6 >"$output"',
  qcow2: 'qemu-img convert -f raw -O qcow2 -o cluster_size=8k "$disk" "$output"',
  vhd: 'qemu-img convert -f raw -O vpc -o subformat=fixed,force_size "$disk" "$output"',
  ova: `qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$disk" disk.vmdk
    printf '<Envelope/>\\n' >disk.ovf
    sha256sum --tag disk.vmdk disk.ovf >disk.mf
    tar -cf "$output" disk.ovf disk.mf disk.vmdk`,
};

export const SUFFIXES = Object.keys(ENCODERS);

/** Makes a raw disk of `mebibytes`. Gives the seconds it took. */
export async function rawByTools(
  scratch: string,
  files: { readonly boot: string; readonly initramfs: string },
  output: string,
  mebibytes: number,
): Promise<number> {
  return await script(scratch, RAW, [files.boot, files.initramfs, output, String(mebibytes)]);
}

/** Makes a file with the suffix of the raw disk. Gives the seconds it took. */
export async function encodedByTools(
  scratch: string,
  suffix: string,
  disk: string,
  output: string,
): Promise<number> {
  return await script(scratch, `disk=$1; output=$2; rm -f "$output"\n${ENCODERS[suffix]}`, [disk, output]);
}
