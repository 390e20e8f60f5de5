import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import { inOrder } from './in-order.ts';
import { type NatureOf, ownNature, SEGMENT_LIMITS } from './segments.ts';
import {
  compressedGrain,
  type GrainGroup,
  grainContents,
  grainGroups,
  STORED_GRAIN_SIZE,
  storedGrains,
} from './vmdk-grains.ts';
import { GRAIN_SIZE, SECTOR, type VmdkContentId, vmdkHead, vmdkHeadSize } from './vmdk-head.ts';

/** The bytes as a zlib stream (RFC 1950), the same for the same input. */
export type GrainCompressor = (bytes: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;

export interface VmdkOptions {
  readonly compress: GrainCompressor;
  /** Of the file, in the descriptor. */
  readonly name: string;
  readonly contentId: VmdkContentId;
  readonly natureOf?: NatureOf;
  readonly signal?: AbortSignal | undefined;
}

const IN_FLIGHT = 4 << 20;
/** The grain tables of a larger disk would not stay small (bytes). */
const MAX_SIZE = 2 ** 41;

/** The grains of a group in the file: how long each is, 0 for those that are left out. */
interface EncodedGroup {
  readonly sizes: readonly number[];
  readonly blob: Blob;
}

/**
 * A streamOptimized VMDK (VMware "Virtual Disk Format 5.0" §"Stream-Optimized Compressed Sparse Extents") with its
 * tables in front, as `spec/outputs-disk.md` §8.4 has it. Zero grains are left out; packed ones are referred to, and
 * read for their checksums when those are read; plain ones are compressed here, into memory.
 * Throws `invalid` `VMDK_SIZE_INVALID`.
 */
export async function vmdkImage(disk: Blob, options: VmdkOptions): Promise<Blob> {
  if (disk.size % SECTOR !== 0 || disk.size === 0 || disk.size > MAX_SIZE) {
    throw new FactoryError(
      'invalid',
      'VMDK_SIZE_INVALID',
      `a VMDK cannot have ${disk.size} bytes: it has to have whole sectors of ${SECTOR}, up to 2 TiB`,
    );
  }
  const { compress, name, contentId, natureOf = ownNature, signal } = options;
  const groups = [...grainGroups(disk, natureOf, SEGMENT_LIMITS.plainTotal)];
  const encoded = inOrder(groups, encode, {
    cost: (group) => (group.packed ? 0 : group.count * GRAIN_SIZE),
    limit: IN_FLIGHT,
    signal,
  });
  /** Sector of each grain in the file; 0 where there is none. */
  const table = new Uint32Array(Math.ceil(disk.size / GRAIN_SIZE));
  const blobs: Blob[] = [];
  let at = vmdkHeadSize(disk.size);
  let index = 0;
  for await (const { sizes, blob } of encoded) {
    const first = groups[index++]?.first ?? 0;
    for (const [i, size] of sizes.entries()) {
      if (size > 0) table[first + i] = at / SECTOR;
      at += size;
    }
    blobs.push(blob);
  }
  const head = vmdkHead({ size: disk.size, table, name, contentId });
  // A sector of zeros is the mark of the end.
  return concatBlobs([bytesBlob(head), ...blobs, zeroBlob(SECTOR)]);

  async function encode(group: GrainGroup, inner: AbortSignal): Promise<EncodedGroup> {
    if (!group.packed) return await compressGroup(disk, group, compress, inner);
    const blob = storedGrains(disk, group);
    return { blob, sizes: new Array<number>(group.count).fill(STORED_GRAIN_SIZE) };
  }
}

async function compressGroup(
  disk: Blob,
  group: GrainGroup,
  compress: GrainCompressor,
  signal: AbortSignal,
): Promise<EncodedGroup> {
  const bytes = await readRange(grainContents(disk, group), 0, group.count * GRAIN_SIZE, signal);
  const grains = await Promise.all(
    Array.from({ length: group.count }, async (_, i) => {
      const content = bytes.subarray(i * GRAIN_SIZE, (i + 1) * GRAIN_SIZE);
      if (ZERO_GRAIN.equals(content)) return new Uint8Array(0);
      return compressedGrain(group.first + i, await compress(content, signal));
    }),
  );
  return {
    blob: bytesBlob(Buffer.concat(grains), { nature: 'packed' }),
    sizes: grains.map((grain) => grain.length),
  };
}

const ZERO_GRAIN = Buffer.alloc(GRAIN_SIZE);
