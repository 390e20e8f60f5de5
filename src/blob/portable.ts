import type { Blob, FilePart, LeafBlob } from './blob.ts';
import { bytesBlob, zeroBlob } from './bytes.ts';
import { concatBlobs } from './compose.ts';
import { readRange } from './consume.ts';
import { fileBlob } from './file.ts';

/** A blob in a form that can be sent to another thread: its extents, small ones by value, files by path. */
export type PortableBlob = readonly PortableExtent[];

type PortableExtent =
  | { readonly type: 'zero'; readonly length: number }
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'file'; readonly part: FilePart };

/** The most bytes that are taken along by value. */
const BYTES_LIMIT = 64 << 20;
/** A leaf up to this size (bytes) is taken along whole and once, since it may stand in many places. */
const SHARED_LEAF = 1 << 20;

/** Throws `RangeError` when more than 64 MiB of the blob are in no file. */
export async function toPortable(blob: Blob, signal?: AbortSignal): Promise<PortableBlob> {
  const extents: PortableExtent[] = [];
  const shared = new Map<LeafBlob, Uint8Array>();
  let inMemory = 0;
  const take = async (leaf: LeafBlob, offset: number, length: number): Promise<Uint8Array> => {
    inMemory += length;
    if (inMemory > BYTES_LIMIT) {
      throw new RangeError(`more than ${BYTES_LIMIT} bytes of a blob are in no file`);
    }
    return readRange(leaf, offset, length, signal);
  };
  for (const extent of blob.extents()) {
    const { length } = extent;
    if (extent.kind === 'zero') {
      extents.push({ type: 'zero', length });
      continue;
    }
    const { source, sourceOffset } = extent;
    if (source.file !== undefined) {
      const { path, offset } = source.file;
      extents.push({ type: 'file', part: { path, offset: offset + sourceOffset, size: length } });
    } else if (source.size > SHARED_LEAF) {
      extents.push({ type: 'bytes', bytes: await take(source, sourceOffset, length) });
    } else {
      const whole = shared.get(source) ?? (await take(source, 0, source.size));
      shared.set(source, whole);
      extents.push({ type: 'bytes', bytes: whole.subarray(sourceOffset, sourceOffset + length) });
    }
  }
  return extents;
}

export function fromPortable(portable: PortableBlob): Blob {
  return concatBlobs(portable.map(extentBlob));
}

function extentBlob(extent: PortableExtent): Blob {
  switch (extent.type) {
    case 'zero':
      return zeroBlob(extent.length);
    case 'bytes':
      return bytesBlob(extent.bytes);
    case 'file':
      return fileBlob(extent.part.path, extent.part);
  }
}
