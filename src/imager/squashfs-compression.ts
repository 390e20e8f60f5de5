import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, deflate, inflate, zstdCompress, zstdDecompress } from 'node:zlib';
import { FactoryError, isAbort } from '../errors.ts';
import type { BlockCompressor, BlockDecompressor } from '../formats/squashfs/types.ts';
import { XzBlocks } from './xz-blocks.ts';

const zstdPack = promisify(zstdCompress);
const zstdUnpack = promisify(zstdDecompress);
const zlibPack = promisify(deflate);
const zlibUnpack = promisify(inflate);

/** What mksquashfs uses, and says nothing about in the file, when it is told no level. */
const ZSTD_DEFAULT_LEVEL = 15;
/** A block that a fast level makes no smaller than this is not tried with a slow one. */
const PROBE_RATIO = 0.98;
const PROBE_LEVEL = 1;
/** From here on zstd searches binary trees, also in what cannot be compressed. */
const SLOW_LEVEL = 13;
/** The smallest chunk of output that node:zlib takes. */
const MIN_CHUNK = 64;

/** zstd frames without a checksum, as mksquashfs makes them. `level` is 1 to 22. */
export function zstdBlockCompressor(level: number): BlockCompressor {
  const pack = async (block: Uint8Array, at: number): Promise<Uint8Array> =>
    zstdPack(block, {
      params: { [constants.ZSTD_c_compressionLevel]: at },
      pledgedSrcSize: block.length,
      // Most blocks come out in one chunk.
      chunkSize: Math.max(MIN_CHUNK, block.length >> 1),
    });
  return {
    name: 'zstd',
    concurrency: 2 * availableParallelism(),
    async compress(block, signal) {
      signal?.throwIfAborted();
      if (level >= SLOW_LEVEL) {
        const probe = await pack(block, PROBE_LEVEL);
        if (probe.length > block.length * PROBE_RATIO) return block;
      }
      return pack(block, level);
    },
    ...(level === ZSTD_DEFAULT_LEVEL ? {} : { options: Uint8Array.of(level, 0, 0, 0) }),
  };
}

/** zlib streams at `level` 9, the default of mksquashfs. */
export function gzipBlockCompressor(): BlockCompressor {
  return {
    name: 'gzip',
    concurrency: 2 * availableParallelism(),
    async compress(block, signal) {
      signal?.throwIfAborted();
      return zlibPack(block, { level: 9 });
    },
  };
}

/** .xz streams by the `xz` program, many blocks a run. The dictionary is as large as a block of `blockSize` bytes. */
export function xzBlockCompressor(
  options: { readonly blockSize?: number; readonly preset?: number } = {},
): BlockCompressor {
  const blocks = new XzBlocks({ dictionary: options.blockSize ?? 128 * 1024, preset: options.preset ?? 6 });
  return {
    name: 'xz',
    // Enough for every program to have a full load while the next ones are gathered.
    concurrency: 32 * availableParallelism(),
    compress: (block, signal) => blocks.compress(block, signal),
  };
}

/** Decompresses the blocks of any squashfs that we read. Throws `invalid` `SQUASHFS_BLOCK_INVALID`. */
export function squashfsDecompressor(): BlockDecompressor {
  const xz = new XzBlocks({ dictionary: 128 * 1024, preset: 6 });
  return async (name, block, limit, signal) => {
    signal?.throwIfAborted();
    try {
      switch (name) {
        case 'gzip':
          return await zlibUnpack(block, { maxOutputLength: limit });
        case 'zstd':
          return await zstdUnpack(block, { maxOutputLength: limit });
        case 'xz':
          return await xz.decompress(block, limit, signal);
      }
    } catch (error) {
      if (isAbort(error) || (error instanceof FactoryError && error.kind !== 'invalid')) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new FactoryError(
        'invalid',
        'SQUASHFS_BLOCK_INVALID',
        `invalid squashfs: a ${name} block of ${block.length} bytes cannot be decompressed: ${reason}`,
        { cause: error },
      );
    }
  };
}
