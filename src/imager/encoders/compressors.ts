import { promisify } from 'node:util';
import { constants, deflate, deflateRaw, deflateSync, zstdCompress } from 'node:zlib';
import type { DeflateCompressor } from '../../formats/gzip-stream.ts';
import type { GrainCompressor } from '../../formats/vmdk.ts';
import type { XzCompressor } from '../../formats/xz-stream.ts';
import type { ZstdCompressor } from '../../formats/zstd-stream.ts';
import { XzBlocks } from '../xz-blocks.ts';

/**
 * The compressors of disk images. What takes time runs outside of the JavaScript thread (zlib's own threads, the
 * `xz` program), and what they give depends on the version of zlib, zstd and xz alone.
 */
export interface Compressors {
  readonly zstd: ZstdCompressor;
  readonly deflate: DeflateCompressor;
  readonly grain: GrainCompressor;
  readonly xz: XzCompressor;
}

/**
 * 18 is usual for images, but takes ten times as long for the few plain megabytes of one, which it does not
 * make smaller by more than some hundred KiB.
 */
const ZSTD_LEVEL = 9;
/** The fastest there is: what does not shrink becomes raw blocks nearly at the speed of the checksum. */
const ZSTD_STORE_LEVEL = -131072;
/** As `gzip` and `pigz` take unless told. */
const DEFLATE_LEVEL = 6;
/** As `xz -0`: its dictionary is 256 KiB. */
const XZ_OPTIONS = { preset: 0, dictionary: 1 << 18 };

export function diskCompressors(): Compressors {
  const xz = new XzBlocks(XZ_OPTIONS);
  return {
    zstd: {
      compress: (bytes) => zstdFrame(bytes, ZSTD_LEVEL),
      store: (bytes) => zstdFrame(bytes, ZSTD_STORE_LEVEL),
    },
    deflate: (bytes) =>
      rawDeflate(bytes, { level: DEFLATE_LEVEL, finishFlush: constants.Z_SYNC_FLUSH, ...room(bytes) }),
    grain: {
      compress: (bytes) => zlibDeflate(bytes, { level: DEFLATE_LEVEL, ...room(bytes) }),
      // A copy and a checksum, at 2 GB/s: less than it would take to hand it to another thread.
      store: async (bytes) => deflateSync(bytes, { level: 0, ...room(bytes) }),
    },
    xz: (bytes, signal) => xz.compress(bytes, signal),
  };
}

const zstdAsync = promisify(zstdCompress);
const rawDeflate = promisify(deflateRaw);
const zlibDeflate = promisify(deflate);

async function zstdFrame(bytes: Uint8Array, level: number): Promise<Uint8Array> {
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
