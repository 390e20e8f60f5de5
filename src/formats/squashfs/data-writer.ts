import { createHash } from 'node:crypto';
import type { Blob } from '../../blob/blob.ts';
import { StreamReader } from '../stream-reader.ts';
import { type BlockCompressor, NONE_32, type PositionedSink, STORED_BLOCK } from './types.ts';

/** Where the content of a file lies. Complete when the data writer has finished. */
export interface FileLayout {
  readonly size: number;
  /** Position of the first block that is not sparse; 0 when there is none. */
  start: number;
  /** Size on disk of each whole block: 0 for a sparse one, `STORED_BLOCK` set for one not compressed. */
  readonly blocks: Uint32Array;
  /** Number of the fragment block that holds the tail, or `NONE_32`. */
  fragment: number;
  /** Bytes from the start of the uncompressed fragment block. */
  fragmentOffset: number;
  /** Bytes in sparse blocks. */
  sparse: number;
}

export interface FragmentEntry {
  readonly start: number;
  readonly size: number;
}

export interface DataWriterOptions {
  readonly compressor: BlockCompressor;
  readonly blockSize: number;
  /** Position of the first byte. */
  readonly start: number;
  readonly sink: PositionedSink;
  readonly signal: AbortSignal | undefined;
}

interface Pending {
  readonly plain: Uint8Array;
  readonly packed: Promise<Uint8Array>;
  readonly written: (start: number, size: number) => void;
}

/**
 * Data blocks and fragment blocks: compressed several at once, written in order. At most
 * `compressor.concurrency` blocks and one fragment block are held.
 */
export class DataWriter {
  readonly #options: DataWriterOptions;
  readonly #zeros: Uint8Array;
  readonly #pending: Pending[] = [];
  readonly #fragments: FragmentEntry[] = [];
  #position: number;
  #tails: Uint8Array;
  #tailsFill = 0;
  #fragmentCount = 0;

  constructor(options: DataWriterOptions) {
    this.#options = options;
    this.#position = options.start;
    this.#zeros = new Uint8Array(options.blockSize);
    this.#tails = new Uint8Array(options.blockSize);
  }

  async add(content: Blob): Promise<FileLayout> {
    const { blockSize, signal } = this.#options;
    const layout: FileLayout = {
      size: content.size,
      start: 0,
      blocks: new Uint32Array(Math.floor(content.size / blockSize)),
      fragment: NONE_32,
      fragmentOffset: 0,
      sparse: 0,
    };
    await using reader = new StreamReader(content.read(0, content.size, signal));
    let begun = false;
    for (let i = 0; i < layout.blocks.length; i++) {
      const block = await reader.take(blockSize);
      if (Buffer.compare(block, this.#zeros) === 0) {
        layout.sparse += blockSize;
        continue;
      }
      const first = !begun;
      begun = true;
      await this.#push(block, (start, size) => {
        if (first) layout.start = start;
        layout.blocks[i] = size;
      });
    }
    const tail = await reader.take(content.size % blockSize);
    if (tail.length > 0) await this.#addTail(tail, layout);
    return layout;
  }

  /** Writes all that is left. `end` is the position after it. */
  async finish(): Promise<{ readonly fragments: readonly FragmentEntry[]; readonly end: number }> {
    await this.#flushTails();
    while (this.#pending.length > 0) await this.#writeFirst();
    return { fragments: this.#fragments, end: this.#position };
  }

  async #addTail(tail: Uint8Array, layout: FileLayout): Promise<void> {
    if (this.#tailsFill + tail.length > this.#options.blockSize) await this.#flushTails();
    this.#tails.set(tail, this.#tailsFill);
    layout.fragment = this.#fragmentCount;
    layout.fragmentOffset = this.#tailsFill;
    this.#tailsFill += tail.length;
  }

  async #flushTails(): Promise<void> {
    if (this.#tailsFill === 0) return;
    const index = this.#fragmentCount++;
    const block = this.#tails.subarray(0, this.#tailsFill);
    this.#tails = new Uint8Array(this.#options.blockSize);
    this.#tailsFill = 0;
    await this.#push(block, (start, size) => {
      this.#fragments[index] = { start, size };
    });
  }

  async #push(plain: Uint8Array, written: Pending['written']): Promise<void> {
    const { compressor, signal } = this.#options;
    while (this.#pending.length >= Math.max(1, compressor.concurrency)) await this.#writeFirst();
    signal?.throwIfAborted();
    const packed = compressor.compress(plain, signal);
    // Awaited in order; until then a failure is not unhandled.
    packed.catch(() => {});
    this.#pending.push({ plain, packed, written });
  }

  async #writeFirst(): Promise<void> {
    const first = this.#pending[0];
    if (first === undefined) return;
    const packed = await first.packed;
    const stored = packed.length >= first.plain.length;
    const body = stored ? first.plain : packed;
    await this.#options.sink(body, this.#position);
    first.written(this.#position, body.length | (stored ? STORED_BLOCK : 0));
    this.#position += body.length;
    this.#pending.shift();
  }
}

/**
 * A key that two files share when their content is the same; only files whose size occurs twice are read for it.
 */
export async function contentKeys(
  contents: readonly Blob[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<Blob, string>> {
  const counts = new Map<number, number>();
  for (const { size } of contents) counts.set(size, (counts.get(size) ?? 0) + 1);
  const keys = new Map<Blob, string>();
  for (const content of contents) {
    if (content.size === 0 || (counts.get(content.size) ?? 0) < 2 || keys.has(content)) continue;
    const hash = createHash('sha256');
    for await (const chunk of content.read(0, content.size, signal)) hash.update(chunk);
    keys.set(content, `${content.size}:${hash.digest('hex')}`);
  }
  return keys;
}
