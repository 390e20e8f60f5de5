/** Code of a boot sector: what lies before the partition table. */
const BOOT_CODE = 446;

/**
 * The 446 bytes for the first sector of an ISO that GRUB is to start from a USB stick: `boot_hybrid.img` told
 * where the El Torito image is (`spec/outputs-iso.md` §8). `lba` in blocks of 2048 bytes.
 */
export function hybridBootCode(bootHybrid: Uint8Array, lba: number): Uint8Array {
  const code = Buffer.from(bootHybrid.subarray(0, BOOT_CODE));
  code.writeBigUInt64LE(BigInt(lba) * 4n + 4n, 0x1b0);
  return code;
}

/**
 * The boot sector's code and the core image of a disk, told where the core image is (`spec/outputs-disk.md` §4.4).
 * `lba`: first sector of the BIOS partition, in sectors of the disk.
 */
export function placeDiskBoot(
  bootSector: Uint8Array,
  core: Uint8Array,
  lba: number,
): { readonly bootCode: Uint8Array; readonly core: Uint8Array } {
  const bootCode = Buffer.from(bootSector.subarray(0, BOOT_CODE));
  bootCode.writeBigUInt64LE(BigInt(lba), 0x5c);
  // Takes the drive from the firmware, instead of a fixed one.
  bootCode.set([0x90, 0x90], 0x66);
  const placed = Buffer.from(core);
  placed.writeBigUInt64LE(BigInt(lba) + 1n, 0x1f4);
  return { bootCode, core: placed };
}
