import type { Blob } from '../../blob/blob.ts';
import { readRange } from '../../blob/consume.ts';
import { invalidSquashfs } from './superblock.ts';
import { type BlockDecompressor, METADATA_SIZE, type SquashfsCompression, STORED_METADATA } from './types.ts';

/** What all parts of a reader share. */
export interface ReaderContext {
  readonly blob: Blob;
  readonly decompress: BlockDecompressor;
  readonly compression: SquashfsCompression;
  /** Bytes of the file system; nothing lies beyond. */
  readonly bytesUsed: number;
  readonly blockSize: number;
}

interface MetadataBlock {
  readonly bytes: Uint8Array;
  /** Position of the next block. */
  readonly next: number;
}

/** Blocks kept, of 8 KiB each. */
const CACHE_SIZE = 128;

/** Reads metadata blocks; the last ones used are kept. */
export class MetadataReader {
  readonly #context: ReaderContext;
  readonly #cache = new Map<number, Promise<MetadataBlock>>();

  constructor(context: ReaderContext) {
    this.#context = context;
  }

  /**
   * A place to read on from: `offset` bytes into the block at `position`, in a table that lies in `[start, end)`.
   */
  cursor(table: MetadataTable, block: number, offset: number, signal?: AbortSignal): MetadataCursor {
    if (block < 0 || block >= table.end - table.start || offset > METADATA_SIZE) {
      throw invalidSquashfs(`a reference to ${block}:${offset} leads out of its table`);
    }
    return new MetadataCursor(this, table, table.start + block, offset, signal);
  }

  /** The block at `position`, which ends before `end`. Shared by all who ask, so nobody's signal ends it. */
  block(position: number, end: number): Promise<MetadataBlock> {
    const known = this.#cache.get(position);
    if (known !== undefined) {
      this.#cache.delete(position);
      this.#cache.set(position, known);
      return known;
    }
    const block = this.#read(position, end);
    this.#cache.set(position, block);
    block.catch(() => this.#cache.delete(position));
    const oldest = this.#cache.keys().next();
    if (this.#cache.size > CACHE_SIZE && oldest.done !== true) this.#cache.delete(oldest.value);
    return block;
  }

  async #read(position: number, end: number): Promise<MetadataBlock> {
    const { blob, decompress, compression } = this.#context;
    const available = Math.min(end - position, 2 + METADATA_SIZE);
    if (available < 3) throw invalidSquashfs(`there is no metadata block at ${position}`);
    const bytes = await readRange(blob, position, available);
    const header = new DataView(bytes.buffer).getUint16(0, true);
    const size = header & ~STORED_METADATA;
    if (size === 0 || size > available - 2)
      throw invalidSquashfs(`a metadata block of ${size} bytes at ${position}`);
    const body = bytes.subarray(2, 2 + size);
    const plain =
      (header & STORED_METADATA) !== 0 ? body : await decompress(compression, body, METADATA_SIZE);
    if (plain.length > METADATA_SIZE)
      throw invalidSquashfs(`a metadata block of ${plain.length} bytes at ${position}`);
    return { bytes: plain, next: position + 2 + size };
  }
}

/** Metadata blocks lie between two positions. */
export interface MetadataTable {
  readonly start: number;
  readonly end: number;
}

/** Reads on over the ends of blocks. */
export class MetadataCursor {
  readonly #reader: MetadataReader;
  readonly #table: MetadataTable;
  readonly #signal: AbortSignal | undefined;
  #position: number;
  #offset: number;

  constructor(
    reader: MetadataReader,
    table: MetadataTable,
    position: number,
    offset: number,
    signal: AbortSignal | undefined,
  ) {
    this.#reader = reader;
    this.#table = table;
    this.#position = position;
    this.#offset = offset;
    this.#signal = signal;
  }

  /** `length` bytes, which the caller has bounded. Throws `SQUASHFS_INVALID` when the table ends before. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let left = length;
    while (left > 0) {
      const block = await this.#reader.block(this.#position, this.#table.end);
      this.#signal?.throwIfAborted();
      if (this.#offset >= block.bytes.length) {
        if (block.bytes.length !== METADATA_SIZE)
          throw invalidSquashfs('a metadata block is shorter than it should be');
        this.#position = block.next;
        this.#offset = 0;
        continue;
      }
      const part = block.bytes.subarray(this.#offset, this.#offset + left);
      parts.push(part);
      this.#offset += part.length;
      left -= part.length;
    }
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }

  async view(length: number): Promise<DataView> {
    const bytes = await this.take(length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/**
 * A table of records that is found through a list of positions (fragments, owners, attribute sets): record
 * `number` of `recordSize` bytes. `list` is where the list lies.
 */
export async function tableRecord(
  context: ReaderContext,
  reader: MetadataReader,
  list: number,
  recordSize: number,
  number: number,
  signal?: AbortSignal,
): Promise<DataView> {
  const perBlock = METADATA_SIZE / recordSize;
  const entry = list + 8 * Math.floor(number / perBlock);
  if (!Number.isSafeInteger(entry) || entry < 0 || entry + 8 > context.bytesUsed) {
    throw invalidSquashfs('a table leads out of the file system');
  }
  const pointer = await readRange(context.blob, entry, 8, signal);
  const position = new DataView(pointer.buffer).getBigUint64(0, true);
  if (position >= BigInt(context.bytesUsed)) throw invalidSquashfs('a table leads out of the file system');
  const table = { start: Number(position), end: context.bytesUsed };
  return reader.cursor(table, 0, (number % perBlock) * recordSize, signal).view(recordSize);
}
