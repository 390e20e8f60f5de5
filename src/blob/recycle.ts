import { type FileHandle, open } from 'node:fs/promises';
import type { Blob, Extent } from './blob.ts';
import { sliceBlob } from './compose.ts';

/** Bytes of each of the two buffers. */
const BUFFER_SIZE = 128 << 10;
/** A file is not read here for fewer bytes than these: the blob does it as well. */
const WORTH_READING = 4 << 10;

/**
 * The bytes `[offset, offset + length)` like `Blob.read`, for a consumer that is done with a chunk when it asks for
 * the one after the next: what comes from files, and the small things between, is gathered in two buffers by turns,
 * and leaves no garbage. The first bytes come at once, whatever those behind them wait for.
 */
export async function* readRecycled(
  blob: Blob,
  offset: number,
  length: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  await using files = new LastFile();
  const buffers = [new Uint8Array(0), new Uint8Array(0)];
  let turn = 0;
  let filled = 0;
  let isFirst = true;
  let mapped = 0;
  for (const extent of sliceBlob(blob, offset, length).extents()) {
    signal?.throwIfAborted();
    mapped = extent.offset + extent.length;
    const file = extent.kind === 'data' ? extent.source.file : undefined;
    if (extent.length >= BUFFER_SIZE && file === undefined) {
      if (filled > 0) yield flushed();
      // Neither zeros nor what lies in memory is copied.
      yield* blob.read(offset + extent.offset, extent.length, signal);
      continue;
    }
    if (extent.kind === 'data' && file !== undefined && extent.length >= WORTH_READING) {
      const start = file.offset + extent.sourceOffset;
      for (let done = 0; done < extent.length; ) {
        signal?.throwIfAborted();
        const handle = await files.open(file.path);
        const wanted = Math.min(BUFFER_SIZE - filled, extent.length - done);
        const { bytesRead } = await handle.read(current(), filled, wanted, start + done);
        if (bytesRead === 0) throw new Error(`${file.path} ends at ${start + done}, before its part does`);
        done += bytesRead;
        filled += bytesRead;
        if (filled === BUFFER_SIZE) yield flushed();
      }
    } else {
      for await (const chunk of smallChunks(extent, signal)) {
        for (let left = chunk; left.length > 0; ) {
          const part = left.subarray(0, BUFFER_SIZE - filled);
          current().set(part, filled);
          filled += part.length;
          left = left.subarray(part.length);
          if (filled === BUFFER_SIZE) yield flushed();
        }
      }
    }
    if (isFirst && filled > 0) yield flushed();
    isFirst = false;
  }
  if (filled > 0) yield flushed();
  // Whoever gives no map is read as it comes.
  if (mapped < length) yield* blob.read(offset + mapped, length - mapped, signal);

  function current(): Uint8Array {
    const known = buffers[turn];
    if (known !== undefined && known.length > 0) return known;
    const made = new Uint8Array(BUFFER_SIZE);
    buffers[turn] = made;
    return made;
  }

  function flushed(): Uint8Array {
    const chunk = current().subarray(0, filled);
    turn = 1 - turn;
    filled = 0;
    return chunk;
  }
}

const ZEROS = new Uint8Array(BUFFER_SIZE);

function smallChunks(
  extent: Extent,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  return extent.kind === 'zero'
    ? [ZEROS.subarray(0, extent.length)]
    : extent.source.read(extent.sourceOffset, extent.length, signal);
}

/** The file that was read last stays open: chunked formats come back to it every few KiB. */
class LastFile implements AsyncDisposable {
  #path: string | undefined;
  #handle: FileHandle | undefined;

  async open(path: string): Promise<FileHandle> {
    if (this.#handle !== undefined && this.#path === path) return this.#handle;
    await this[Symbol.asyncDispose]();
    this.#handle = await open(path, 'r');
    this.#path = path;
    return this.#handle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}
