import { type BlockCompressor, METADATA_SIZE, STORED_METADATA } from './types.ts';

/** Where a structure starts in a table of metadata blocks. */
export interface MetadataPosition {
  /** Bytes from the start of the table to the (compressed) block. */
  readonly block: number;
  /** Bytes from the start of the uncompressed block, below 8192. */
  readonly offset: number;
}

/**
 * Metadata: a stream cut into blocks of 8 KiB, each compressed on its own behind a 16-bit header
 * (kernel Documentation/filesystems/squashfs.rst, "Metadata"). The blocks are kept until `finish`.
 */
export class MetadataWriter {
  readonly #compressor: BlockCompressor;
  readonly #signal: AbortSignal | undefined;
  readonly #blocks: Uint8Array[] = [];
  #pending = new Uint8Array(METADATA_SIZE);
  #fill = 0;
  #size = 0;

  constructor(compressor: BlockCompressor, signal?: AbortSignal) {
    this.#compressor = compressor;
    this.#signal = signal;
  }

  /** Where the next write starts. */
  get position(): MetadataPosition {
    return { block: this.#size, offset: this.#fill };
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + METADATA_SIZE - this.#fill);
      this.#pending.set(part, this.#fill);
      this.#fill += part.length;
      at += part.length;
      if (this.#fill === METADATA_SIZE) await this.#flush();
    }
  }

  /** All blocks; nothing may be written afterwards. `starts` are the places of the blocks from the first one's. */
  async finish(): Promise<{ readonly blocks: readonly Uint8Array[]; readonly starts: readonly number[] }> {
    if (this.#fill > 0) await this.#flush();
    const starts: number[] = [];
    let at = 0;
    for (const block of this.#blocks) {
      starts.push(at);
      at += block.length;
    }
    return { blocks: this.#blocks, starts };
  }

  async #flush(): Promise<void> {
    const plain = this.#pending.subarray(0, this.#fill);
    const packed = await this.#compressor.compress(plain, this.#signal);
    const stored = packed.length >= plain.length;
    const body = stored ? plain : packed;
    const block = new Uint8Array(2 + body.length);
    new DataView(block.buffer).setUint16(0, body.length | (stored ? STORED_METADATA : 0), true);
    block.set(body, 2);
    this.#blocks.push(block);
    this.#size += block.length;
    this.#fill = 0;
    this.#pending = new Uint8Array(METADATA_SIZE);
  }
}
