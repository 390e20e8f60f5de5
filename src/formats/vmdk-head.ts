/** What stands before the grains of a streamOptimized VMDK: header, descriptor, grain directory, grain tables. */

export const SECTOR = 512;
/** Bytes of a grain, in sectors 128. */
export const GRAIN_SIZE = 65536;
const GRAIN_SECTORS = GRAIN_SIZE / SECTOR;
/** `KDMV`. */
const MAGIC = 0x564d444b;
const VERSION = 3;
/** The test of line ends is valid; grains are compressed; they have markers. */
const FLAGS = 0x00030001;
const DESCRIPTOR_AT = 1;
const DESCRIPTOR_SECTORS = 20;
const DIRECTORY_AT = DESCRIPTOR_AT + DESCRIPTOR_SECTORS;
const TABLE_ENTRIES = 512;
const TABLE_SECTORS = (TABLE_ENTRIES * 4) / SECTOR;
const DEFLATE = 1;
/** Sectors of a cylinder of the geometry in the descriptor. */
const HEADS = 255;
const SECTORS_PER_TRACK = 63;
const MAX_CYLINDERS = 65535;

/** 16 bytes that stand for the content; the last four are the CID. */
export type VmdkContentId = Uint8Array;

/** Bytes before the first grain. */
export function vmdkHeadSize(diskSize: number): number {
  const tables = Math.ceil(diskSize / GRAIN_SIZE / TABLE_ENTRIES);
  return (DIRECTORY_AT + Math.ceil((tables * 4) / SECTOR) + tables * TABLE_SECTORS) * SECTOR;
}

export interface VmdkHeadSpec {
  /** Of the disk (bytes). */
  readonly size: number;
  /** Sector of each grain in the file; 0 where there is none. */
  readonly table: Uint32Array;
  /** Of the file, in the descriptor. */
  readonly name: string;
  readonly contentId: VmdkContentId;
}

/** All fields as `spec/outputs-disk.md` §8.4 has them. */
export function vmdkHead({ size, table, name, contentId }: VmdkHeadSpec): Uint8Array {
  const sectors = size / SECTOR;
  const tables = Math.ceil(table.length / TABLE_ENTRIES);
  const tablesAt = DIRECTORY_AT + Math.ceil((tables * 4) / SECTOR);
  const head = Buffer.alloc(vmdkHeadSize(size));
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(VERSION, 4);
  head.writeUInt32LE(FLAGS, 8);
  head.writeBigUInt64LE(BigInt(sectors), 12);
  head.writeBigUInt64LE(BigInt(GRAIN_SECTORS), 20);
  head.writeBigUInt64LE(BigInt(DESCRIPTOR_AT), 28);
  head.writeBigUInt64LE(BigInt(DESCRIPTOR_SECTORS), 36);
  head.writeUInt32LE(TABLE_ENTRIES, 44);
  // No redundant directory (offset 48).
  head.writeBigUInt64LE(BigInt(DIRECTORY_AT), 56);
  head.writeBigUInt64LE(BigInt(head.length / SECTOR), 64);
  // Line ends, by which a transfer as text is noticed.
  head.write('\n \r\n', 73, 'latin1');
  head.writeUInt16LE(DEFLATE, 77);
  const text = Buffer.from(descriptor(sectors, name, contentId));
  if (text.length > DESCRIPTOR_SECTORS * SECTOR) throw new RangeError('the name of a VMDK is too long');
  head.set(text, DESCRIPTOR_AT * SECTOR);
  for (let i = 0; i < tables; i++) {
    head.writeUInt32LE(tablesAt + i * TABLE_SECTORS, DIRECTORY_AT * SECTOR + i * 4);
  }
  for (const [i, sector] of table.entries()) head.writeUInt32LE(sector, tablesAt * SECTOR + i * 4);
  return head;
}

function descriptor(sectors: number, name: string, contentId: VmdkContentId): string {
  const cylinders = Math.min(MAX_CYLINDERS, Math.ceil(sectors / (HEADS * SECTORS_PER_TRACK)));
  const id = usableId(contentId);
  return `# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=${id.slice(-8)}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW ${sectors} SPARSE "${name}"

# The Disk Data Base
#DDB

ddb.longContentID = "${id}"
ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "${cylinders}"
ddb.geometry.heads = "${HEADS}"
ddb.geometry.sectors = "${SECTORS_PER_TRACK}"
ddb.adapterType = "lsilogic"
ddb.toolsVersion = "2147483647"
`;
}

/** A CID of all ones says that there is no parent, and the one before it is reserved too. */
function usableId(contentId: VmdkContentId): string {
  if (contentId.length !== 16) throw new RangeError(`a content id of ${contentId.length} bytes`);
  const id = Buffer.from(contentId).toString('hex');
  return /f{7}[ef]$/.test(id) ? `${id.slice(0, -1)}0` : id;
}
