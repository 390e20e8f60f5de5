import { open } from 'node:fs/promises';
import type { Blob } from './blob.ts';
import { sliceBlob } from './compose.ts';

/** Bytes of each of the two buffers. */
const BUFFER_SIZE = 128 << 10;

/**
 * The bytes `[offset, offset + length)` like `Blob.read`, for a consumer that is done with a chunk when it asks for
 * the one after the next: what comes from files is read into two buffers by turns, and leaves no garbage.
 */
export async function* readRecycled(
  blob: Blob,
  offset: number,
  length: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = [new Uint8Array(0), new Uint8Array(0)];
  let turn = 0;
  let at = 0;
  for (const extent of sliceBlob(blob, offset, length).extents()) {
    const file = extent.kind === 'data' ? extent.source.file : undefined;
    // Small ones are not worth opening a file here: the blob does it as well.
    if (extent.kind !== 'data' || file === undefined || extent.length < BUFFER_SIZE) continue;
    if (extent.offset > at) yield* blob.read(offset + at, extent.offset - at, signal);
    at = extent.offset + extent.length;
    await using handle = await open(file.path, 'r');
    const start = file.offset + extent.sourceOffset;
    for (let done = 0; done < extent.length; ) {
      signal?.throwIfAborted();
      turn = 1 - turn;
      let buffer = buffers[turn];
      if (buffer === undefined || buffer.length === 0) {
        buffer = new Uint8Array(BUFFER_SIZE);
        buffers[turn] = buffer;
      }
      const wanted = Math.min(buffer.length, extent.length - done);
      const { bytesRead } = await handle.read(buffer, 0, wanted, start + done);
      if (bytesRead === 0) throw new Error(`${file.path} ends at ${start + done}, before its part does`);
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
  if (at < length) yield* blob.read(offset + at, length - at, signal);
}
