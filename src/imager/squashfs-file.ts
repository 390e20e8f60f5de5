import { open } from 'node:fs/promises';
import { bytesBlob } from '../blob/bytes.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import type { BlockCompressor, PositionedSink } from '../formats/squashfs/types.ts';
import { writeSquashfs } from '../formats/squashfs/writer.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { type Codec, ZSTD_LEVEL } from './codec.ts';
import { xzBlockCompressor, zstdBlockCompressor } from './squashfs-compression.ts';

/** Writes a squashfs into a new file, which is synced. */
export async function writeSquashfsFile(
  entries: readonly TreeEntry[],
  codec: Codec,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  await using file = await open(path, 'wx');
  await write(
    entries,
    codec,
    async (chunk, position) => {
      await file.write(chunk, 0, chunk.length, position);
    },
    signal,
  );
  await file.sync();
}

/** The squashfs of a few small files, in memory. */
export async function squashfsBlob(entries: readonly TreeEntry[], codec: Codec) {
  const chunks: { readonly chunk: Uint8Array; readonly position: number }[] = [];
  const { size } = await write(entries, codec, async (chunk, position) => {
    chunks.push({ chunk, position });
  });
  const bytes = new Uint8Array(size);
  for (const { chunk, position } of chunks) bytes.set(chunk, position);
  return bytesBlob(bytes, { nature: 'packed' });
}

function write(entries: readonly TreeEntry[], codec: Codec, sink: PositionedSink, signal?: AbortSignal) {
  const options = { compressor: compressorOf(codec), mtime: SOURCE_DATE_EPOCH };
  return writeSquashfs(entries, signal === undefined ? options : { ...options, signal }, sink);
}

function compressorOf(codec: Codec): BlockCompressor {
  return codec === 'zstd' ? zstdBlockCompressor(ZSTD_LEVEL) : xzBlockCompressor();
}
