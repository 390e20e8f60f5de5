import { crc32 } from 'node:zlib';
import type { Blob } from '../blob/blob.ts';
import { readRecycled } from '../blob/recycle.ts';

/** Checksums of bytes that keep their name, so that the next image with them need not read them. */
export interface ChecksumMemory {
  get(name: string): number | undefined;
  set(name: string, checksum: number): unknown;
}

/** Bytes made of more pieces than this have no name. */
const NAME_PARTS = 8;

/** The checksum of `blob`, computed unless it is remembered; `kind` names the function. */
export async function rememberedChecksum(
  kind: string,
  blob: Blob,
  memory: ChecksumMemory,
  compute: () => Promise<number>,
): Promise<number> {
  const content = contentName(blob);
  if (content === undefined) return await compute();
  const name = `${kind} ${content}`;
  const known = memory.get(name);
  if (known !== undefined) return known;
  const checksum = await compute();
  memory.set(name, checksum);
  return checksum;
}

/** CRC-32 of `blob`, which is read for it unless it is remembered. */
export async function blobCrc32(blob: Blob, memory: ChecksumMemory, signal?: AbortSignal): Promise<number> {
  return await rememberedChecksum('crc32', blob, memory, async () => {
    let crc = 0;
    for await (const chunk of readRecycled(blob, 0, blob.size, signal)) crc = crc32(chunk, crc);
    return crc;
  });
}

/** What names the bytes for ever, when all leaves have a key. */
function contentName(blob: Blob): string | undefined {
  const parts: string[] = [];
  for (const extent of blob.extents()) {
    if (parts.length === NAME_PARTS) return undefined;
    if (extent.kind === 'zero') {
      parts.push(`zero+${extent.length}`);
    } else {
      if (extent.source.key === undefined) return undefined;
      parts.push(`${JSON.stringify(extent.source.key)}:${extent.sourceOffset}+${extent.length}`);
    }
  }
  return parts.join(' ');
}
