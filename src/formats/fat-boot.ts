import { bytesBlob } from '../blob/bytes.ts';
import type { Placed } from '../blob/compose.ts';
import { FATS, type FatGeometry } from './fat-geometry.ts';

const FSINFO_SECTOR = 1;
const BACKUP_SECTOR = 6;
const ROOT_CLUSTER = 2;

/**
 * Boot sector and, for FAT32, FSInfo and the backups of both (FAT specification §3 and §5). `used`: what
 * is allocated, and the last of it.
 */
export function fatBootParts(
  geometry: FatGeometry,
  volume: { readonly label: string; readonly volumeId: number },
  used: { readonly clusters: number; readonly last: number },
): readonly Placed[] {
  const boot = bytesBlob(bootSector(geometry, volume));
  const at = (sector: number): number => sector * geometry.sectorSize;
  if (geometry.type !== 32) return [{ offset: 0, blob: boot }];
  const info = bytesBlob(fsInfo(geometry, used));
  return [
    { offset: 0, blob: boot },
    { offset: at(FSINFO_SECTOR), blob: info },
    { offset: at(BACKUP_SECTOR), blob: boot },
    { offset: at(BACKUP_SECTOR + FSINFO_SECTOR), blob: info },
  ];
}

function bootSector(
  geometry: FatGeometry,
  volume: { readonly label: string; readonly volumeId: number },
): Uint8Array {
  if (!/^[\x20-\x7e]{1,11}$/.test(volume.label))
    throw new RangeError(`FAT label ${JSON.stringify(volume.label)}`);
  const { type, totalSectors, fatSectors } = geometry;
  const sector = Buffer.alloc(512);
  sector.set(type === 32 ? [0xeb, 0x58, 0x90] : [0xeb, 0x3c, 0x90]);
  sector.write('mkfs.fat', 3);
  sector.writeUInt16LE(geometry.sectorSize, 11);
  sector.writeUInt8(geometry.sectorsPerCluster, 13);
  sector.writeUInt16LE(geometry.reservedSectors, 14);
  sector.writeUInt8(FATS, 16);
  sector.writeUInt16LE(geometry.rootEntries, 17);
  const small = type !== 32 && totalSectors < 0x10000;
  sector.writeUInt16LE(small ? totalSectors : 0, 19);
  sector.writeUInt8(0xf8, 21);
  sector.writeUInt16LE(type === 32 ? 0 : fatSectors, 22);
  // A made-up geometry, of which sizes in whole MiB are a multiple: mtools wants whole tracks.
  sector.writeUInt16LE(32, 24);
  sector.writeUInt16LE(64, 26);
  sector.writeUInt32LE(small ? 0 : totalSectors, 32);
  if (type === 32) {
    sector.writeUInt32LE(fatSectors, 36);
    sector.writeUInt32LE(ROOT_CLUSTER, 44);
    sector.writeUInt16LE(FSINFO_SECTOR, 48);
    sector.writeUInt16LE(BACKUP_SECTOR, 50);
  }
  const extended = type === 32 ? 64 : 36;
  sector.writeUInt8(0x80, extended); // drive
  sector.writeUInt8(0x29, extended + 2);
  sector.writeUInt32LE(volume.volumeId, extended + 3);
  sector.write(volume.label.padEnd(11), extended + 7);
  sector.write(`FAT${type}   `, extended + 18);
  sector.writeUInt16BE(0x55aa, 510);
  return sector;
}

function fsInfo(
  geometry: FatGeometry,
  used: { readonly clusters: number; readonly last: number },
): Uint8Array {
  const sector = Buffer.alloc(512);
  sector.write('RRaA');
  sector.write('rrAa', 484);
  sector.writeUInt32LE(geometry.clusters - used.clusters, 488);
  sector.writeUInt32LE(used.last, 492);
  sector.writeUInt32LE(0xaa550000, 508);
  return sector;
}
