import { FactoryError } from '../../errors.ts';
import { RecordWriter } from './record.ts';
import { COMPRESSION_IDS, type SquashfsCompression, SUPERBLOCK_MAGIC, SUPERBLOCK_SIZE } from './types.ts';

/** The superblock of squashfs 4.0 (kernel fs/squashfs/squashfs_fs.h); tables by their position. */
export interface Superblock {
  readonly inodes: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  readonly blockSize: number;
  readonly fragments: number;
  readonly compression: SquashfsCompression;
  readonly flags: number;
  readonly ids: number;
  /** Start of a metadata block in the inode table, and 16 bits of offset in it. */
  readonly rootInode: bigint;
  readonly bytesUsed: number;
  readonly idTable: bigint;
  readonly xattrTable: bigint;
  readonly inodeTable: bigint;
  readonly directoryTable: bigint;
  readonly fragmentTable: bigint;
  readonly exportTable: bigint;
}

export function formatSuperblock(superblock: Superblock): Uint8Array {
  return new RecordWriter()
    .u32(SUPERBLOCK_MAGIC, superblock.inodes, superblock.mtime, superblock.blockSize, superblock.fragments)
    .u16(
      COMPRESSION_IDS[superblock.compression],
      Math.log2(superblock.blockSize),
      superblock.flags,
      superblock.ids,
      4,
      0,
    )
    .u64(
      superblock.rootInode,
      superblock.bytesUsed,
      superblock.idTable,
      superblock.xattrTable,
      superblock.inodeTable,
      superblock.directoryTable,
      superblock.fragmentTable,
      superblock.exportTable,
    )
    .finish();
}

/** Throws `invalid` `SQUASHFS_INVALID` for what is no squashfs 4.0 or has a compression we do not know. */
export function parseSuperblock(bytes: Uint8Array): Superblock {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < SUPERBLOCK_SIZE || view.getUint32(0, true) !== SUPERBLOCK_MAGIC) {
    throw invalidSquashfs('there is no superblock');
  }
  const version = `${view.getUint16(28, true)}.${view.getUint16(30, true)}`;
  if (version !== '4.0') throw invalidSquashfs(`it has version ${version}, not 4.0`);
  const compressionId = view.getUint16(20, true);
  const compression = (['gzip', 'xz', 'zstd'] as const).find(
    (name) => COMPRESSION_IDS[name] === compressionId,
  );
  if (compression === undefined) throw invalidSquashfs(`compression ${compressionId} is not supported`);
  const blockSize = view.getUint32(12, true);
  if (blockSize < 4096 || blockSize > 1 << 20 || blockSize !== 2 ** view.getUint16(22, true)) {
    throw invalidSquashfs(`a block size of ${blockSize}`);
  }
  const position = (at: number): bigint => view.getBigUint64(at, true);
  return {
    inodes: view.getUint32(4, true),
    mtime: view.getUint32(8, true),
    blockSize,
    fragments: view.getUint32(16, true),
    compression,
    flags: view.getUint16(24, true),
    ids: view.getUint16(26, true),
    rootInode: position(32),
    bytesUsed: Number(position(40)),
    idTable: position(48),
    xattrTable: position(56),
    inodeTable: position(64),
    directoryTable: position(72),
    fragmentTable: position(80),
    exportTable: position(88),
  };
}

export function invalidSquashfs(reason: string): FactoryError {
  return new FactoryError('invalid', 'SQUASHFS_INVALID', `invalid squashfs: ${reason}`);
}
