import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, deflate, deflateRaw, zstdCompress } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import type { ChecksumMemory } from '../../formats/checksums.ts';
import type { DeflateCompressor } from '../../formats/gzip-file.ts';
import type { GrainCompressor } from '../../formats/vmdk.ts';
import type { XzCompressor } from '../../formats/xz-file.ts';
import type { ZstdCompressor } from '../../formats/zstd-file.ts';
import { XzBlocks } from '../xz-blocks.ts';

/**
 * The compressors of disk images, one set for a process. What takes time runs outside of the JavaScript thread
 * (zlib's own threads, the `xz` program), and what they give depends on the version of zlib, zstd and xz alone.
 */
export interface Compressors {
  readonly zstd: ZstdCompressor;
  readonly deflate: DeflateCompressor;
  readonly grain: GrainCompressor;
  readonly xz: XzCompressor;
  /** Of packed pieces that many images share. */
  readonly checksums: ChecksumMemory;
}

/**
 * 18 is usual for images, but takes ten times as long for the few plain megabytes of one, which it does not
 * make smaller by more than some hundred KiB.
 */
const ZSTD_LEVEL = 9;
/** The fastest there is: what does not shrink takes hardly longer than its checksum. */
const ZSTD_STORE_LEVEL = -131072;
/** As `gzip` and `pigz` take unless told. */
const DEFLATE_LEVEL = 6;
/** As `xz -0`: its dictionary is 256 KiB. */
const XZ_OPTIONS = { preset: 0, dictionary: 1 << 18 };

/** Of pieces of some MiB each: hundreds of kernels and initramfs. */
const CHECKSUMS_KEPT = 4096;
/** Bytes of compressed pieces: room for an arm64 kernel, which is not compressed, and for file systems' templates. */
const PIECES_KEPT = 48 << 20;

export function diskCompressors(): Compressors {
  const xz = new XzBlocks(XZ_OPTIONS);
  const remember = rememberedPieces();
  return {
    zstd: {
      compress: remember('zst', (bytes) => zstdFrame(bytes, ZSTD_LEVEL)),
      // The end of any frame; Node has no other way to XXH64.
      checksum: async (bytes) => (await zstdFrame(bytes, ZSTD_STORE_LEVEL)).subarray(-4).readUInt32LE(),
    },
    deflate: remember('gz', (bytes) =>
      rawDeflate(bytes, { level: DEFLATE_LEVEL, finishFlush: constants.Z_SYNC_FLUSH, ...room(bytes) }),
    ),
    grain: remember('zlib', (bytes) => zlibDeflate(bytes, { level: DEFLATE_LEVEL, ...room(bytes) })),
    xz: remember('xz', (bytes, signal) => xz.compress(bytes, signal)),
    checksums: new LRUCache<string, number>({ max: CHECKSUMS_KEPT }),
  };
}

type Compress = (bytes: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;

/**
 * What was compressed once is given again, by the digest of the input: images of one release have most of their plain
 * bytes in common, and finished images that are kept share what they hold in memory.
 */
function rememberedPieces(): (format: string, compress: Compress) => Compress {
  const pieces = new LRUCache<string, Uint8Array>({
    maxSize: PIECES_KEPT,
    sizeCalculation: (piece) => piece.length + 1,
  });
  return (format, compress) => async (bytes, signal) => {
    const name = `${format} ${hash('sha256', bytes)}`;
    const known = pieces.get(name);
    if (known !== undefined) return known;
    // A copy: what zlib gives is the beginning of a buffer as large as the input.
    const piece = new Uint8Array(await compress(bytes, signal));
    pieces.set(name, piece);
    return piece;
  };
}

const zstdAsync = promisify(zstdCompress);
const rawDeflate = promisify(deflateRaw);
const zlibDeflate = promisify(deflate);

async function zstdFrame(bytes: Uint8Array, level: number): Promise<Buffer> {
  return await zstdAsync(bytes, {
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: bytes.length,
    ...room(bytes),
  });
}

/** One output buffer that is large enough, instead of many of 16 KiB. */
function room(bytes: Uint8Array): { readonly chunkSize: number } {
  return { chunkSize: bytes.length + (bytes.length >> 8) + 1024 };
}
