import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import type { Blob } from '../blob/blob.ts';
import { runProgram } from '../process/run.ts';
import type { Gates } from '../talos/gates.ts';

/** How what is added to an initramfs is compressed: zstd from Talos 1.8, xz before. */
export type Codec = 'zstd' | 'xz';

export function codecOf(gates: Gates): Codec {
  return gates.zstd ? 'zstd' : 'xz';
}

/**
 * zstd level for pieces. Level 18, which is usual for this, takes twenty times as long for files that are 6 to 8
 * percent smaller; `make bench` shows both.
 */
export const ZSTD_LEVEL = 6;

/** Compresses a blob into a new file, which is synced. Throws when the file exists, or the disk is full. */
export async function compressToFile(
  source: Blob,
  codec: Codec,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const bytes = source.read(0, source.size, signal);
  if (codec === 'zstd') {
    const encoder = createZstdCompress({
      params: {
        [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL,
        [constants.ZSTD_c_checksumFlag]: 1,
      },
      pledgedSrcSize: source.size,
    });
    const target = createWriteStream(path, { flags: 'wx', flush: true });
    await pipeline(bytes, encoder, target, { signal });
    return;
  }
  await using file = await open(path, 'wx');
  // The kernel's decoder knows no check but CRC32 (Documentation/staging/xz.rst).
  await runProgram({
    program: 'xz',
    args: ['--format=xz', '--check=crc32', '-0', '-e', '--threads=1', '--stdout', '--quiet'],
    stdin: bytes,
    signal,
    onOutput: async (chunk) => {
      await file.write(chunk);
    },
  });
  await file.sync();
}
