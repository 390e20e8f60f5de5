/** Block compressors of squashfs 4.0 that a Talos kernel can read. */
export type SquashfsCompression = 'gzip' | 'xz' | 'zstd';

/** Compresses single blocks; formats do not know how. Equal blocks give equal bytes, in any order of calls. */
export interface BlockCompressor {
  readonly name: SquashfsCompression;
  /**
   * The compressed form of `block` (1 byte to 1 MiB): a zlib stream, an .xz stream of one LZMA2 block with a
   * CRC32 check, or a zstd frame. A result that is not smaller means that the block is stored as it is.
   * `block` is not changed by the caller until the promise settles.
   */
  compress(block: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** How many calls are useful at the same time. */
  readonly concurrency: number;
  /** The compressor options that stand after the superblock, when they are not the format's default. */
  readonly options?: Uint8Array;
}

/**
 * Decompresses one block. Throws when the result would be larger than `limit` bytes or `block` is no such
 * stream. May be called several times at once.
 */
export type BlockDecompressor = (
  name: SquashfsCompression,
  block: Uint8Array,
  limit: number,
  signal?: AbortSignal,
) => Promise<Uint8Array>;

/**
 * Takes the bytes of the file system: in order from 96 on without gaps, and last the superblock at 0.
 * `chunk` is not changed afterwards.
 */
export type PositionedSink = (chunk: Uint8Array, position: number) => Promise<void>;

export interface SquashfsWriteOptions {
  readonly compressor: BlockCompressor;
  /** Seconds since the epoch, of the file system and of every inode. */
  readonly mtime: number;
  /** Bytes, a power of two from 4 KiB to 1 MiB; 128 KiB when absent. */
  readonly blockSize?: number;
  /** Adds the table by which NFS finds inodes. */
  readonly exportable?: boolean;
  readonly signal?: AbortSignal;
}

export interface SquashfsSummary {
  /** Bytes written, padding to 4 KiB included. */
  readonly size: number;
  readonly inodes: number;
  readonly fragments: number;
  /** Files whose content was there already. */
  readonly duplicates: number;
}

export const METADATA_SIZE = 8192;
export const SUPERBLOCK_SIZE = 96;
export const SUPERBLOCK_MAGIC = 0x73717368;
/** `fragment`, `xattr` and table starts that are not there (32 and 64 bits). */
export const NONE_32 = 0xffffffff;
export const NONE_64 = 0xffffffffffffffffn;
/** In a block's size: not compressed. */
export const STORED_BLOCK = 1 << 24;
/** In a metadata block's header: not compressed. */
export const STORED_METADATA = 0x8000;

export const COMPRESSION_IDS = { gzip: 1, xz: 4, zstd: 6 } as const;

/** Basic inode types; the extended one is 7 higher. */
export const INODE_TYPES = {
  directory: 1,
  file: 2,
  symlink: 3,
  'block-device': 4,
  'character-device': 5,
  fifo: 6,
  socket: 7,
} as const;
export const EXTENDED = 7;

/** Extended attribute name spaces by the number that stands for their prefix. */
export const XATTR_PREFIXES = ['user.', 'trusted.', 'security.'] as const;
/** In an attribute's type: the value is a reference to one written elsewhere. */
export const XATTR_OUT_OF_LINE = 0x100;

export const FLAGS = {
  noFragments: 0x10,
  alwaysFragments: 0x20,
  duplicates: 0x40,
  exportable: 0x80,
  noXattrs: 0x200,
  compressorOptions: 0x400,
} as const;
