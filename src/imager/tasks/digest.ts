import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { FilePart } from '../../blob/blob.ts';
import { fromPortable, type PortableBlob } from '../../blob/portable.ts';

export interface DigestInput {
  readonly blob: PortableBlob;
  readonly algorithm: 'sha256' | 'sha512';
}

const BUFFER_SIZE = 1 << 20;

/** Lower-case hex digest of a whole blob. */
export async function digestBlob(input: DigestInput, signal: AbortSignal): Promise<string> {
  const hash = createHash(input.algorithm);
  const blob = fromPortable(input.blob);
  // Callers wait for this before the first byte: files are read into one buffer, over and over.
  const buffer = new Uint8Array(BUFFER_SIZE);
  for (const extent of blob.extents()) {
    const file = extent.kind === 'data' ? extent.source.file : undefined;
    if (extent.kind === 'data' && file !== undefined) {
      const part = { path: file.path, offset: file.offset + extent.sourceOffset, size: extent.length };
      await hashFile(hash, part, buffer, signal);
    } else {
      for await (const chunk of blob.read(extent.offset, extent.length, signal)) hash.update(chunk);
    }
  }
  return hash.digest('hex');
}

async function hashFile(
  hash: Hash,
  { path, offset, size }: FilePart,
  buffer: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  await using file = await open(path, 'r');
  for (let done = 0; done < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - done), offset + done);
    if (bytesRead === 0) throw new Error(`${path} ends at ${offset + done}, before its part does`);
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
}
