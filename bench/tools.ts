import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SOURCE_DATE_EPOCH } from '../src/clock.ts';
import { isoGrubConfig } from '../src/imager/grub-config.ts';
import { runProgram } from '../src/process/run.ts';

/**
 * The same results made by standard programs, the usual way: unpack, pack again, concatenate. Images lie on the
 * disk already (the factory has to fetch them), and files are linked where a copy would do.
 */

const INITRAMFS = `
imager=$1; output=$2; shift 2
mkdir root imager
for layer in $imager; do tar -xzf "$layer" -C imager; done
i=0
for layer in "$@"; do
  mkdir $i
  tar -xzf "$layer" -C $i
  if [ -d $i/rootfs/usr/lib/firmware ]; then
    mkdir -p root/usr/lib
    mv $i/rootfs/usr/lib/firmware root/usr/lib/
  fi
  mksquashfs $i/rootfs root/$i.sqsh -all-root -noappend -no-progress -quiet -comp zstd -Xcompression-level 18 >&2
  i=$((i + 1))
done
mksquashfs virtual root/$i.sqsh -all-root -noappend -no-progress -quiet -comp zstd -Xcompression-level 18 >&2
cat $(seq -f '%g/manifest.yaml' 0 $((i - 1))) >root/extensions.yaml
(cd root && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | zstd -q -18 -c >tail
cat imager/usr/install/amd64/initramfs.xz tail >"$output"
`;

const GRUB_ISO = `
boot=$1; initramfs=$2; output=$3
mkdir -p tree/boot/grub
ln "$boot/vmlinuz" tree/boot/vmlinuz
ln "$initramfs" tree/boot/initramfs.xz
cp grub.cfg tree/boot/grub/
grub-mkrescue --output="$output" tree -iso-level 3 >&2
`;

const UKI = `
boot=$1; initramfs=$2; output=$3
align=4096
end=$(objdump -h "$boot/systemd-stub.efi" | awk 'NF == 7 { print $3, $4 }' | tail -1)
set -- $end
at=$(( (0x$1 + 0x$2 + align - 1) / align * align ))
args=
for section in osrel:os-release cmdline:cmdline linux:$boot/vmlinuz initrd:$initramfs; do
  name=.\${section%%:*}; file=\${section#*:}
  args="$args --add-section $name=$file --change-section-vma $name=$at"
  at=$(( (at + $(stat -L -c %s "$file") + align - 1) / align * align ))
done
objcopy $args "$boot/systemd-stub.efi" "$output"
`;

const HYBRID_ISO = `
boot=$1; initramfs=$2; output=$3
mkdir -p tree/boot/grub tree/EFI/BOOT tree/EFI/Linux tree/loader
ln "$boot/vmlinuz" tree/boot/vmlinuz
ln "$initramfs" tree/boot/initramfs.xz
cp grub.cfg tree/boot/grub/
cp "$boot/systemd-boot.efi" tree/EFI/BOOT/BOOTX64.EFI
sh -euc "$UKI" sh "$boot" "$initramfs" tree/EFI/Linux/Talos.efi
printf 'timeout 10\\n' >tree/loader/loader.conf
mib=$(( 11 + ($(stat -c %s tree/EFI/Linux/Talos.efi) >> 20) + 1 ))
truncate -s \${mib}M tree/efiboot.img
mkfs.vfat -F 32 -n EFI --invariant -s 1 tree/efiboot.img >&2
mcopy -s -i tree/efiboot.img tree/EFI tree/loader ::
grub-mkrescue --output="$output" --directory=/usr/lib/grub/i386-pc -m efiboot.img -iso-level 3 tree \
  -eltorito-alt-boot -e --interval:appended_partition_2:all:: -append_partition 2 0xef tree/efiboot.img \
  -appended_part_as_gpt -partition_cyl_align all -partition_offset 16 -iso_mbr_part_type 0x83 -no-emul-boot >&2
`;

/**
 * Makes an initramfs of the release's own, which is in one of the layers of the imager image, and the layers of
 * extensions. Gives the seconds it took.
 */
export async function initramfsByTools(
  scratch: string,
  imager: readonly string[],
  output: string,
  layers: readonly string[],
): Promise<number> {
  return await script(scratch, INITRAMFS, [imager.join(' '), output, ...layers]);
}

/** An ISO that starts by GRUB everywhere, or by systemd-boot on UEFI. Gives the seconds it took. */
export async function isoByTools(
  scratch: string,
  kind: 'grub' | 'hybrid',
  bootFiles: string,
  initramfs: string,
  output: string,
): Promise<number> {
  return await script(scratch, kind === 'grub' ? GRUB_ISO : HYBRID_ISO, [bootFiles, initramfs, output]);
}

/** Runs a script in a scratch directory with small files that all need, which is gone then. Gives the seconds it took. */
export async function script(scratch: string, text: string, args: readonly string[]): Promise<number> {
  await mkdir(join(scratch, 'virtual'), { recursive: true });
  await writeFile(join(scratch, 'virtual/schematic'), 'what the schematic says\n');
  await writeFile(join(scratch, 'cmdline'), 'console=tty0');
  await writeFile(join(scratch, 'os-release'), 'ID=talos\n');
  await writeFile(join(scratch, 'grub.cfg'), isoGrubConfig({ cmdline: 'console=tty0', reset: true }));
  try {
    const started = performance.now();
    await runProgram({
      program: 'sh',
      args: ['-euc', text, 'sh', ...args],
      cwd: scratch,
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        SOURCE_DATE_EPOCH: String(SOURCE_DATE_EPOCH),
        UKI,
      },
    });
    return (performance.now() - started) / 1000;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
