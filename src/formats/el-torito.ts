import { FactoryError } from '../errors.ts';
import { BLOCK } from './iso9660-fields.ts';

/** Platform identifiers (El Torito §2.1; UEFI 2.10 §13.3.2.1). */
export const PLATFORM = { bios: 0x00, efi: 0xef } as const;

/** An entry of the boot catalog: an image without emulation. */
export interface BootEntry {
  readonly platform: keyof typeof PLATFORM;
  readonly lba: number;
  /** Sectors of 512 bytes to load. 0: to the end of the volume, as for EFI images that are larger than 16 bits say. */
  readonly sectors: number;
}

/** The boot record descriptor (El Torito §2.0), in the block after the primary one. */
export function bootRecord(catalogLba: number): Uint8Array {
  const bytes = Buffer.alloc(BLOCK);
  bytes.write('\0CD001\u0001EL TORITO SPECIFICATION', 0, 'latin1');
  bytes.writeUInt32LE(catalogLba, 71);
  return bytes;
}

/** The boot catalog: the first entry is the default one, each further one has a section. */
export function bootCatalog(entries: readonly BootEntry[]): Uint8Array {
  const [initial, ...others] = entries;
  if (initial === undefined || others.length > 30) throw new RangeError(`${entries.length} boot entries`);
  const bytes = Buffer.alloc(BLOCK);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(PLATFORM[initial.platform], 1);
  bytes.writeUInt16BE(0x55aa, 30);
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += bytes.readUInt16LE(at);
  bytes.writeUInt16LE(-sum & 0xffff, 28);
  writeEntry(bytes, 32, initial);
  for (const [i, entry] of others.entries()) {
    const at = 64 + i * 64;
    bytes.writeUInt8(i === others.length - 1 ? 0x91 : 0x90, at);
    bytes.writeUInt8(PLATFORM[entry.platform], at + 1);
    bytes.writeUInt16LE(1, at + 2);
    writeEntry(bytes, at + 32, entry);
  }
  return bytes;
}

function writeEntry(bytes: Buffer, at: number, entry: BootEntry): void {
  bytes.writeUInt8(0x88, at);
  bytes.writeUInt16LE(entry.sectors > 0xffff ? 0 : entry.sectors, at + 6);
  bytes.writeUInt32LE(entry.lba, at + 8);
}

/** Where GRUB's boot image wants its own place, and its size of the boot information (`spec/outputs-iso.md` §8). */
const GRUB2_BOOT_INFO = 2548;
const BOOT_INFO = 8;
const BOOT_INFO_END = 64;

/**
 * `image` told where it is: the boot information table of mkisofs and GRUB's. Throws `upstream`
 * `BOOT_IMAGE_INVALID` when it is too short to be GRUB's.
 */
export function withBootInfo(image: Uint8Array, lba: number, primaryDescriptorLba: number): Uint8Array {
  if (image.length < GRUB2_BOOT_INFO + 8)
    throw new FactoryError(
      'upstream',
      'BOOT_IMAGE_INVALID',
      `a BIOS boot image of ${image.length} bytes is too short`,
    );
  const bytes = Buffer.from(image);
  bytes.writeBigUInt64LE(BigInt(lba) * 4n + 5n, GRUB2_BOOT_INFO);
  let sum = 0;
  const padded = Buffer.concat([bytes.subarray(BOOT_INFO_END), Buffer.alloc(-bytes.length & 3)]);
  for (let at = 0; at < padded.length; at += 4) sum = (sum + padded.readUInt32LE(at)) >>> 0;
  bytes.fill(0, BOOT_INFO, BOOT_INFO_END);
  bytes.writeUInt32LE(primaryDescriptorLba, BOOT_INFO);
  bytes.writeUInt32LE(lba, BOOT_INFO + 4);
  bytes.writeUInt32LE(image.length, BOOT_INFO + 8);
  bytes.writeUInt32LE(sum, BOOT_INFO + 12);
  return bytes;
}
