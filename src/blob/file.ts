import { type FileHandle, open } from 'node:fs/promises';
import { checkRange, type FilePart, type LeafBlob, leafExtents, type Nature } from './blob.ts';

/** Bytes read at once. More is not faster, and what was read stays until the garbage is collected. */
const READ_SIZE = 128 << 10;

export interface FileBlobOptions {
  readonly nature?: Nature;
  readonly key?: string;
  /** First byte in the file; 0 when absent. */
  readonly offset?: number;
  /** Bytes from there; to the end of the file when absent. */
  readonly size?: number;
}

/**
 * A blob over a file (or a part of it) that does not change. The file is opened for each read, so a blob holds
 * no descriptor; whoever made it sees to it that the file stays (a lease of the local store).
 * Throws what `open` and `stat` throw.
 */
export async function openFileBlob(path: string, options: FileBlobOptions = {}): Promise<LeafBlob> {
  const offset = options.offset ?? 0;
  let size = options.size;
  if (size === undefined) {
    await using file = await open(path, 'r');
    size = (await file.stat()).size - offset;
  }
  return fileBlob(path, { ...options, offset, size });
}

/** The same for a file whose size is known already: no I/O here. */
export function fileBlob(path: string, options: FileBlobOptions & { readonly size: number }): LeafBlob {
  const base = options.offset ?? 0;
  const size = options.size;
  const blob: LeafBlob = {
    size,
    nature: options.nature ?? 'plain',
    key: options.key,
    file: { path, offset: base, size },
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      if (length === 0) return;
      await using file = await open(path, 'r');
      yield* readFile(file, path, base + offset, length, signal);
    },
    extents: () => leafExtents(blob),
  };
  return blob;
}

/** The part of a file that `blob` is. Throws `TypeError` when it is none. */
export function filePart(blob: LeafBlob): FilePart {
  if (blob.file === undefined) throw new TypeError('blob is not a part of a file');
  return blob.file;
}

async function* readFile(
  file: FileHandle,
  path: string,
  start: number,
  length: number,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  let at = start;
  const end = start + length;
  while (at < end) {
    signal?.throwIfAborted();
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, end - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`${path} ends at ${at}, ${end - at} bytes before it should`);
    at += bytesRead;
    yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
  }
}
