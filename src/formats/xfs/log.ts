/** Sectors of the log have 512 bytes, whatever the disk has. */
const SECTOR = 512;
const MAGIC = 0xfeedbabe;
const CYCLE = 1;
/** First word of the operation, which the record's header keeps while the cycle stands in its place. */
const TRANSACTION = 0xb0c0d0d0;

/**
 * The begin of a log that was left clean: one record that says "unmounted"; the rest is zero
 * (XFS Algorithms & Data Structures, ch. 14). `sectorSize` of the disk.
 */
export function cleanLog(uuid: Uint8Array, sectorSize: 512 | 4096): Uint8Array {
  // A record fills whole sectors of the disk, its header included.
  const length = Math.max(sectorSize - SECTOR, SECTOR);
  const bytes = Buffer.alloc(SECTOR + length);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt32BE(CYCLE, 4);
  bytes.writeUInt32BE(2, 8); // version
  bytes.writeUInt32BE(length, 12);
  bytes.writeUInt32BE(CYCLE, 16); // this record, and the oldest one
  bytes.writeUInt32BE(CYCLE, 24);
  bytes.writeUInt32BE(0xffffffff, 36); // no record before
  bytes.writeUInt32BE(1, 40); // operations
  bytes.writeUInt32BE(TRANSACTION, 44);
  bytes.writeUInt32BE(1, 300); // Linux, little-endian
  bytes.set(uuid, 304);
  bytes.writeUInt32BE(32768, 320); // of the kernel's buffers
  for (let at = SECTOR; at < bytes.length; at += SECTOR) bytes.writeUInt32BE(CYCLE, at);
  bytes.writeUInt32BE(8, SECTOR + 4);
  bytes.set([0xaa, 0x20], SECTOR + 8); // from the log itself; unmount
  bytes.write('nU', SECTOR + 12);
  return bytes;
}
