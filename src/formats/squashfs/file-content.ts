import { checkRange, type LeafBlob, leafExtents } from '../../blob/blob.ts';
import { readRange } from '../../blob/consume.ts';
import type { StoredFile } from './inode-reader.ts';
import { type MetadataReader, type ReaderContext, tableRecord } from './metadata-reader.ts';
import { invalidSquashfs } from './superblock.ts';
import { NONE_32, STORED_BLOCK } from './types.ts';

/** Blocks that are decompressed ahead of the reader. */
const READ_AHEAD = 8;
/** Fragment blocks kept: small files that follow one another share one. */
const FRAGMENTS_KEPT = 4;

/** Data and fragment blocks of a file system. */
export class BlockReader {
  readonly #context: ReaderContext;
  readonly #metadata: MetadataReader;
  readonly #fragmentTable: number;
  readonly #fragmentCount: number;
  readonly #fragments = new Map<number, Promise<Uint8Array>>();

  constructor(
    context: ReaderContext,
    metadata: MetadataReader,
    fragmentTable: number,
    fragmentCount: number,
  ) {
    this.#context = context;
    this.#metadata = metadata;
    this.#fragmentTable = fragmentTable;
    this.#fragmentCount = fragmentCount;
  }

  get blockSize(): number {
    return this.#context.blockSize;
  }

  /** The `length` bytes that a block on disk holds. `size` as in `FileLayout.blocks`. */
  async block(position: number, size: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#decode(position, size, length, signal);
    if (bytes.length !== length)
      throw invalidSquashfs(`a block of ${bytes.length} bytes instead of ${length}`);
    return bytes;
  }

  /** The content of a fragment block. Shared by all who ask, so nobody's signal ends it. */
  async fragment(index: number): Promise<Uint8Array> {
    if (index >= this.#fragmentCount) throw invalidSquashfs(`fragment ${index} of ${this.#fragmentCount}`);
    const known = this.#fragments.get(index);
    if (known !== undefined) return known;
    const fragment = this.#readFragment(index);
    this.#fragments.set(index, fragment);
    fragment.catch(() => this.#fragments.delete(index));
    const oldest = this.#fragments.keys().next();
    if (this.#fragments.size > FRAGMENTS_KEPT && oldest.done !== true) this.#fragments.delete(oldest.value);
    return fragment;
  }

  async #readFragment(index: number): Promise<Uint8Array> {
    const record = await tableRecord(this.#context, this.#metadata, this.#fragmentTable, 16, index);
    const start = Number(record.getBigUint64(0, true));
    return this.#decode(start, record.getUint32(8, true), this.#context.blockSize);
  }

  async #decode(position: number, field: number, limit: number, signal?: AbortSignal): Promise<Uint8Array> {
    const { blob, decompress, compression, bytesUsed, blockSize } = this.#context;
    const size = field & (STORED_BLOCK - 1);
    if (size === 0 || size > blockSize || position + size > bytesUsed) {
      throw invalidSquashfs(`a block of ${size} bytes at ${position}`);
    }
    const bytes = await readRange(blob, position, size, signal);
    const plain = (field & STORED_BLOCK) !== 0 ? bytes : await decompress(compression, bytes, limit, signal);
    if (plain.length > limit) throw invalidSquashfs(`a block of ${plain.length} bytes at ${position}`);
    return plain;
  }
}

/** The content of a file as a blob that decompresses what is read. */
export function fileContent(reader: BlockReader, file: StoredFile): LeafBlob {
  const positions = new Float64Array(file.blocks.length);
  let position = file.start;
  for (const [i, size] of file.blocks.entries()) {
    positions[i] = position;
    position += size & (STORED_BLOCK - 1);
  }
  const { blockSize } = reader;

  const piece = async (index: number, signal?: AbortSignal): Promise<Uint8Array> => {
    const length = Math.min(blockSize, file.size - index * blockSize);
    if (index < file.blocks.length) {
      const size = file.blocks[index] ?? 0;
      return size === 0 ? new Uint8Array(length) : reader.block(positions[index] ?? 0, size, length, signal);
    }
    if (file.fragment === NONE_32) throw invalidSquashfs('a file is shorter than it says');
    const fragment = await reader.fragment(file.fragment);
    signal?.throwIfAborted();
    const tail = fragment.subarray(file.fragmentOffset, file.fragmentOffset + length);
    if (tail.length !== length) throw invalidSquashfs('the tail of a file leads out of its fragment');
    return tail;
  };

  const blob: LeafBlob = {
    size: file.size,
    nature: 'plain',
    key: undefined,
    async *read(offset, length, signal) {
      checkRange(file.size, offset, length);
      const end = offset + length;
      const pending: Promise<Uint8Array>[] = [];
      let next = Math.floor(offset / blockSize);
      for (let at = offset; at < end; ) {
        while (pending.length < READ_AHEAD && next * blockSize < end) {
          const ahead = piece(next++, signal);
          // Awaited in order; until then a failure is not unhandled.
          ahead.catch(() => {});
          pending.push(ahead);
        }
        const bytes = await pending.shift();
        if (bytes === undefined) break;
        const from = at % blockSize;
        const part = bytes.subarray(from, from + end - at);
        at += part.length;
        yield part;
      }
    },
    extents: () => leafExtents(blob),
  };
  return blob;
}
