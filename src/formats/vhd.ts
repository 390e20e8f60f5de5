import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';

export interface VhdSpec {
  readonly disk: Blob;
  /** Seconds since the Unix epoch; not before 2000. */
  readonly time: number;
  /** 16 bytes that are the disk's identity. */
  readonly uuid: Uint8Array;
}

const FOOTER_SIZE = 512;
const SECTOR = 512;
/** 2000-01-01T00:00:00Z, from which VHD counts seconds. */
const VHD_EPOCH = 946684800;
/** The feature bit that is always set, and format version 1.0. */
const FEATURES = 2;
const FORMAT_VERSION = 0x00010000;
/** The fixed type has no further structures. */
const NO_DATA_OFFSET = 0xffffffffffffffffn;
const FIXED = 2;
const CREATOR_VERSION = 0x00050003;
/** What qemu-img writes for `force_size`: the size, not the geometry, counts (`spec/outputs-disk.md` §8.3). */
const CYLINDERS = 65535;
const HEADS = 16;
const SECTORS_PER_TRACK = 255;

/**
 * A fixed VHD (Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"): the disk and 512
 * bytes after it, so that it can be read at any offset.
 * Throws `invalid` `VHD_SIZE_INVALID` for a disk that is no whole number of sectors.
 */
export function fixedVhd({ disk, time, uuid }: VhdSpec): Blob {
  if (disk.size % SECTOR !== 0 || disk.size === 0) {
    throw new FactoryError(
      'invalid',
      'VHD_SIZE_INVALID',
      `a VHD cannot have ${disk.size} bytes: it has to have whole sectors of ${SECTOR}`,
    );
  }
  if (uuid.length !== 16) throw new RangeError(`a UUID of ${uuid.length} bytes`);
  if (!Number.isInteger(time) || time < VHD_EPOCH) throw new RangeError(`time ${time} is before 2000`);
  const footer = Buffer.alloc(FOOTER_SIZE);
  footer.write('conectix', 0, 'latin1');
  footer.writeUInt32BE(FEATURES, 8);
  footer.writeUInt32BE(FORMAT_VERSION, 12);
  footer.writeBigUInt64BE(NO_DATA_OFFSET, 16);
  footer.writeUInt32BE(time - VHD_EPOCH, 24);
  footer.write('qem2', 28, 'latin1');
  footer.writeUInt32BE(CREATOR_VERSION, 32);
  footer.write('Wi2k', 36, 'latin1');
  footer.writeBigUInt64BE(BigInt(disk.size), 40);
  footer.writeBigUInt64BE(BigInt(disk.size), 48);
  footer.writeUInt16BE(CYLINDERS, 56);
  footer.writeUInt8(HEADS, 58);
  footer.writeUInt8(SECTORS_PER_TRACK, 59);
  footer.writeUInt32BE(FIXED, 60);
  footer.set(uuid, 68);
  let sum = 0;
  for (const byte of footer) sum += byte;
  footer.writeUInt32BE(~sum >>> 0, 64);
  return concatBlobs([disk, bytesBlob(footer)]);
}
