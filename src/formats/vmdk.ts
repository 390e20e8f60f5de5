import type { Blob } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import { inOrder } from './in-order.ts';
import { GRAIN_SIZE, type VmdkContentId, vmdkHead, vmdkHeadSize } from './vmdk-head.ts';

/** Both give a zlib stream (RFC 1950); `store` for bytes that do not shrink. */
export interface GrainCompressor {
  compress(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  store(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}

const SECTOR = 512;
/** A marker before each grain: its first sector of the disk (8 bytes) and its compressed size (4). */
const MARKER_SIZE = 12;
/** Grains of one piece of work; 1 MiB is read at a time. */
const GROUP = 16;
const IN_FLIGHT = 4 << 20;
/** The grain tables of a larger disk would not stay small (bytes). */
const MAX_SIZE = 2 ** 41;

interface Grain {
  readonly index: number;
  readonly packed: boolean;
}

/** Grains without gaps between them. */
type Group = readonly Grain[];

/**
 * A streamOptimized VMDK (VMware "Virtual Disk Format 5.0" §"Stream-Optimized Compressed Sparse Extents") with its
 * tables in front, as `spec/outputs-disk.md` §8.4 has it: so the head can only be made when all grains are.
 * First take all of `grains`, then `head`; the file is the head and then the grains. A grain that is zero is
 * left out, packed ones are stored.
 */
export class VmdkEncoder {
  readonly #disk: Blob;
  readonly #compressor: GrainCompressor;
  /** Sector of each grain in the file; 0 where there is none. */
  readonly #table: Uint32Array;
  readonly headSize: number;

  /** Throws `invalid` `VMDK_SIZE_INVALID`. */
  constructor(disk: Blob, compressor: GrainCompressor) {
    if (disk.size % SECTOR !== 0 || disk.size === 0 || disk.size > MAX_SIZE) {
      throw new FactoryError(
        'invalid',
        'VMDK_SIZE_INVALID',
        `a VMDK cannot have ${disk.size} bytes: it has to have whole sectors of ${SECTOR}, up to 2 TiB`,
      );
    }
    this.#disk = disk;
    this.#compressor = compressor;
    this.#table = new Uint32Array(Math.ceil(disk.size / GRAIN_SIZE));
    this.headSize = vmdkHeadSize(disk.size);
  }

  /** All that follows the head: grains, each padded to a sector, and the mark of the end. */
  async *grains(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const groups = inOrder(grainGroups(this.#disk), (group, inner) => this.#encode(group, inner), {
      cost: (group) => group.length * GRAIN_SIZE,
      limit: IN_FLIGHT,
      signal,
    });
    let at = this.headSize;
    for await (const grains of groups) {
      for (const { index, bytes } of grains) {
        this.#table[index] = at / SECTOR;
        at += bytes.length;
        yield bytes;
      }
    }
    yield new Uint8Array(SECTOR);
  }

  /** `headSize` bytes. Only right after the end of `grains`. */
  head(options: { readonly name: string; readonly contentId: VmdkContentId }): Uint8Array {
    return vmdkHead({ size: this.#disk.size, table: this.#table, ...options });
  }

  async #encode(
    group: Group,
    signal: AbortSignal,
  ): Promise<readonly { readonly index: number; readonly bytes: Uint8Array }[]> {
    const first = group[0];
    if (first === undefined) return [];
    const offset = first.index * GRAIN_SIZE;
    const length = Math.min(group.length * GRAIN_SIZE, this.#disk.size - offset);
    // The last grain is a whole one too.
    const bytes = new Uint8Array(group.length * GRAIN_SIZE);
    bytes.set(await readRange(this.#disk, offset, length, signal));
    const encoded = await Promise.all(
      group.map(async ({ index, packed }, i) => {
        const content = bytes.subarray(i * GRAIN_SIZE, (i + 1) * GRAIN_SIZE);
        if (ZERO_GRAIN.equals(content)) return undefined;
        const data = packed
          ? await this.#compressor.store(content, signal)
          : await this.#compressor.compress(content, signal);
        return { index, bytes: grain(index, data) };
      }),
    );
    return encoded.filter((entry) => entry !== undefined);
  }
}

const ZERO_GRAIN = Buffer.alloc(GRAIN_SIZE);

function grain(index: number, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(Math.ceil((MARKER_SIZE + data.length) / SECTOR) * SECTOR);
  bytes.writeBigUInt64LE(BigInt((index * GRAIN_SIZE) / SECTOR), 0);
  bytes.writeUInt32LE(data.length, 8);
  bytes.set(data, MARKER_SIZE);
  return bytes;
}

/** The grains that data extents touch, in groups; packed are those with packed bytes in at least a half and no plain. */
function* grainGroups(disk: Blob): Iterable<Group> {
  let group: Grain[] = [];
  for (const next of touchedGrains(disk)) {
    const last = group.at(-1);
    if (last !== undefined && (group.length === GROUP || next.index !== last.index + 1)) {
      yield group;
      group = [];
    }
    group.push(next);
  }
  if (group.length > 0) yield group;
}

function* touchedGrains(disk: Blob): Iterable<Grain> {
  let current: { index: number; plain: number; packed: number } | undefined;
  const done = (grain: { index: number; plain: number; packed: number }): Grain => ({
    index: grain.index,
    packed: grain.plain === 0 && grain.packed * 2 >= GRAIN_SIZE,
  });
  for (const extent of disk.extents()) {
    if (extent.kind === 'zero') continue;
    const end = extent.offset + extent.length;
    for (let at = extent.offset; at < end; ) {
      const index = Math.floor(at / GRAIN_SIZE);
      const stop = Math.min(end, (index + 1) * GRAIN_SIZE);
      if (current?.index !== index) {
        if (current !== undefined) yield done(current);
        current = { index, plain: 0, packed: 0 };
      }
      current[extent.source.nature] += stop - at;
      at = stop;
    }
  }
  if (current !== undefined) yield done(current);
}
