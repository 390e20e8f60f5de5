import { FactoryError } from '../errors.ts';

/** An entry of the partition table of a master boot record; addresses in sectors. */
export interface MbrPartition {
  /** 0x80: the active partition; 0x00 otherwise. */
  readonly status: number;
  readonly type: number;
  readonly firstLba: number;
  readonly sectors: number;
  /** Cylinder, head and sector bytes of start and end; derived from the addresses when absent. */
  readonly chs?: { readonly start: Uint8Array; readonly end: Uint8Array };
}

export const MBR_SIZE = 512;
/** Bytes before the partition table, which boot code may use. */
export const MBR_CODE_SIZE = 446;

/** The 512 bytes of a master boot record. `code` may be longer than 446 bytes; what lies beyond is left out. */
export function mbrSector(partitions: readonly MbrPartition[], code?: Uint8Array): Uint8Array {
  if (partitions.length > 4) throw new RangeError(`${partitions.length} partitions in a master boot record`);
  const sector = new Uint8Array(MBR_SIZE);
  if (code !== undefined) sector.set(code.subarray(0, MBR_CODE_SIZE));
  const view = new DataView(sector.buffer);
  for (const [i, partition] of partitions.entries()) {
    const at = MBR_CODE_SIZE + 16 * i;
    view.setUint8(at, partition.status);
    sector.set(partition.chs?.start ?? chs(partition.firstLba), at + 1);
    view.setUint8(at + 4, partition.type);
    sector.set(partition.chs?.end ?? chs(partition.firstLba + partition.sectors - 1), at + 5);
    view.setUint32(at + 8, partition.firstLba, true);
    view.setUint32(at + 12, partition.sectors, true);
  }
  view.setUint16(510, 0x55aa);
  return sector;
}

/**
 * The protective MBR of a GPT disk (UEFI 2.10 §5.2.3): one entry over the whole disk, or as much of it as
 * 32 bits can say. `lastLba` in sectors.
 */
export function protectiveMbr(lastLba: number, code?: Uint8Array): Uint8Array {
  const chs = { start: Uint8Array.of(0, 2, 0), end: Uint8Array.of(0xff, 0xff, 0xff) };
  const sectors = Math.min(lastLba, 0xffffffff);
  return mbrSector([{ status: 0, type: 0xee, firstLba: 1, sectors, chs }], code);
}

/** The used entries of a master boot record. Throws `invalid` `MBR_INVALID`. */
export function readMbr(sector: Uint8Array): readonly MbrPartition[] {
  if (sector.length < MBR_SIZE || sector[510] !== 0x55 || sector[511] !== 0xaa)
    throw new FactoryError('invalid', 'MBR_INVALID', 'no master boot record: its signature 55 AA is missing');
  const view = new DataView(sector.buffer, sector.byteOffset, MBR_SIZE);
  const partitions: MbrPartition[] = [];
  for (let at = MBR_CODE_SIZE; at < 510; at += 16) {
    if (view.getUint8(at + 4) === 0) continue;
    partitions.push({
      status: view.getUint8(at),
      type: view.getUint8(at + 4),
      firstLba: view.getUint32(at + 8, true),
      sectors: view.getUint32(at + 12, true),
      chs: { start: sector.slice(at + 1, at + 4), end: sector.slice(at + 5, at + 8) },
    });
  }
  return partitions;
}

/** Cylinder, head, sector for the geometry of 255 heads and 63 sectors; the largest value beyond 8 GB. */
function chs(lba: number): Uint8Array {
  const cylinder = Math.floor(lba / (255 * 63));
  if (cylinder > 1023) return Uint8Array.of(0xfe, 0xff, 0xff);
  const head = Math.floor(lba / 63) % 255;
  return Uint8Array.of(head, (lba % 63) + 1 + ((cylinder >> 8) << 6), cylinder & 0xff);
}
