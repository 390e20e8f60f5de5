import { FactoryError } from '../errors.ts';

/** Bits of an entry of the file allocation table. */
export type FatType = 12 | 16 | 32;

/** Where things are in a FAT file system (Microsoft FAT specification, 2004, §3). Sectors, unless said otherwise. */
export interface FatGeometry {
  readonly type: FatType;
  /** Bytes. */
  readonly sectorSize: number;
  readonly sectorsPerCluster: number;
  readonly totalSectors: number;
  /** Before the first table; larger than customary when the data has to be aligned. */
  readonly reservedSectors: number;
  readonly fatSectors: number;
  /** Entries of the fixed root directory of FAT12 and FAT16; 0 for FAT32. */
  readonly rootEntries: number;
  readonly firstDataSector: number;
  readonly clusters: number;
}

export const FATS = 2;
/** The first cluster has the number 2. */
export const FIRST_CLUSTER = 2;
export const DIRECTORY_ENTRY_SIZE = 32;
/** Most clusters of FAT12 and FAT16 (FAT specification §3.5). */
const MOST_CLUSTERS: Readonly<Record<FatType, number>> = { 12: 4084, 16: 65524, 32: 0x0ffffff5 };

export interface GeometryRequest {
  readonly type: FatType;
  /** Bytes of the file system. */
  readonly size: number;
  readonly sectorSize: 512 | 4096;
  readonly sectorsPerCluster: number;
  /** The first cluster lies at a multiple of this (bytes). */
  readonly dataAlignment: number;
}

/** Sectors per cluster that mkfs.fat 4.2 takes for a FAT32 of so many sectors. */
export function defaultSectorsPerCluster(totalSectors: number): number {
  if (totalSectors <= 532480) return 1;
  if (totalSectors <= 2 ** 24) return 8;
  if (totalSectors <= 2 ** 25) return 16;
  return totalSectors <= 2 ** 26 ? 32 : 64;
}

/** Throws `invalid` `FAT_TOO_SMALL` or `FAT_TOO_LARGE`. */
export function fatGeometry(request: GeometryRequest): FatGeometry {
  const { type, sectorSize, sectorsPerCluster } = request;
  const totalSectors = Math.floor(request.size / sectorSize);
  if (totalSectors > 0xffffffff) throw sizeError('FAT_TOO_LARGE', request, 'more than 2^32 sectors');
  const rootEntries = type === 32 ? 0 : 512;
  const rootSectors = Math.ceil((rootEntries * DIRECTORY_ENTRY_SIZE) / sectorSize);
  const customary = type === 32 ? 32 : 1;
  const step = Math.max(1, request.dataAlignment / sectorSize);
  // More clusters than fit make the tables at most some sectors longer than needed.
  const atMost = Math.floor((totalSectors - customary - rootSectors) / sectorsPerCluster);
  const fatSectors = Math.ceil(Math.ceil(((atMost + FIRST_CLUSTER) * type) / 8) / sectorSize);
  const firstDataSector = Math.ceil((customary + FATS * fatSectors + rootSectors) / step) * step;
  const clusters = Math.floor((totalSectors - firstDataSector) / sectorsPerCluster);
  if (!(clusters >= 1)) throw sizeError('FAT_TOO_SMALL', request, 'no room for data');
  if (clusters > MOST_CLUSTERS[type])
    throw sizeError('FAT_TOO_LARGE', request, `${clusters} clusters; take larger ones`);
  if (type === 16 && clusters <= MOST_CLUSTERS[12])
    throw sizeError('FAT_TOO_SMALL', request, `${clusters} clusters would be read as FAT12`);
  return {
    type,
    sectorSize,
    sectorsPerCluster,
    totalSectors,
    reservedSectors: firstDataSector - rootSectors - FATS * fatSectors,
    fatSectors,
    rootEntries,
    firstDataSector,
    clusters,
  };
}

export function clusterSize(geometry: FatGeometry): number {
  return geometry.sectorsPerCluster * geometry.sectorSize;
}

/** Offset of a cluster in bytes. */
export function clusterOffset(geometry: FatGeometry, cluster: number): number {
  return geometry.firstDataSector * geometry.sectorSize + (cluster - FIRST_CLUSTER) * clusterSize(geometry);
}

function sizeError(code: string, request: GeometryRequest, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    code,
    `no FAT${request.type} of ${request.size} bytes with clusters of ${request.sectorsPerCluster * request.sectorSize} bytes: ${reason}`,
  );
}
