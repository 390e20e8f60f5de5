import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Blob } from './blob.ts';
import { readRecycled } from './recycle.ts';

/** All bytes of a small blob. Throws `RangeError` when it is larger than `limit` bytes (1 MiB unless told). */
export async function readAll(blob: Blob, limit = 1 << 20, signal?: AbortSignal): Promise<Uint8Array> {
  if (blob.size > limit) throw new RangeError(`blob of ${blob.size} bytes is larger than ${limit}`);
  return readRange(blob, 0, blob.size, signal);
}

/** The bytes `[offset, offset + length)`, which must be few, in one array. */
export async function readRange(
  blob: Blob,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const chunk of blob.read(offset, length, signal)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Lower-case hex SHA-256 of the whole blob. */
export async function sha256(blob: Blob, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of readRecycled(blob, 0, blob.size, signal)) hash.update(chunk);
  return hash.digest('hex');
}

/** Writes the whole blob to a new file (it must not exist) and syncs it; zero extents become holes. */
export async function writeBlob(blob: Blob, path: string, signal?: AbortSignal): Promise<void> {
  await using file = await open(path, 'wx');
  for (const extent of blob.extents()) {
    if (extent.kind === 'zero') continue;
    let at = extent.offset;
    for await (const chunk of extent.source.read(extent.sourceOffset, extent.length, signal)) {
      await file.writev([chunk], at);
      at += chunk.length;
    }
  }
  await file.truncate(blob.size);
  await file.sync();
}
