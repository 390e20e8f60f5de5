import type { Blob } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import { inOrder } from './in-order.ts';
import { planSegments, type Segment } from './segments.ts';
import { parseXzStream, type XzBlock, xzStreamEnd, xzStreamStart } from './xz-container.ts';
import { storedBlock, zeroBlock } from './xz-lzma2.ts';

/** The bytes as an .xz stream of one block with a CRC32 check; the same output for the same input. */
export type XzCompressor = (bytes: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;

export interface XzStreamOptions {
  readonly compress: XzCompressor;
  readonly signal?: AbortSignal | undefined;
}

/**
 * CRC32 and not the CRC64 that the program takes unless told: every decoder must know both (§2.1.1.2), and only
 * CRC32 is there without computing it byte by byte.
 */
const CHECK_CRC32 = 1;
/** A block costs 16 bytes and 5 in the index. */
const LIMITS = { minZero: 8192, minPacked: 4096, plain: 1 << 20, packed: 1 << 20 };
/** Many plain segments at a time, since the compressor may take them through one run of a program. */
const IN_FLIGHT = 4 << 20;
/** Zero bytes of one block, which is made once. */
const ZERO_BLOCK = 64 << 20;

/**
 * An `.xz` file of one stream with many blocks, which decoders can work on in parallel. Zero runs cost 250
 * bytes for 2 MiB, packed bytes are stored (3 bytes more for 64 KiB).
 * The size is not known before the end, unless there is no plain extent.
 */
export async function* xzStream(blob: Blob, options: XzStreamOptions): AsyncGenerator<Uint8Array> {
  yield xzStreamStart(CHECK_CRC32);
  const records: Omit<XzBlock, 'bytes'>[] = [];
  let fullZeroBlock: XzBlock | undefined;
  const encoded = inOrder(planSegments(blob, LIMITS), encode, {
    cost: (segment) => (segment.kind === 'zero' ? 0 : segment.length),
    limit: IN_FLIGHT,
    signal: options.signal,
  });
  for await (const blocks of encoded) {
    for (const { bytes, unpaddedSize, uncompressedSize } of blocks) {
      records.push({ unpaddedSize, uncompressedSize });
      yield bytes;
    }
  }
  yield xzStreamEnd(CHECK_CRC32, records);

  async function encode({ kind, offset, length }: Segment, signal: AbortSignal): Promise<Iterable<XzBlock>> {
    if (kind === 'zero') return zeros(length);
    const bytes = await readRange(blob, offset, length, signal);
    if (kind === 'packed') return [storedBlock(bytes)];
    return [onlyBlock(await options.compress(bytes, signal), length)];
  }

  function* zeros(length: number): Iterable<XzBlock> {
    let left = length;
    for (; left >= ZERO_BLOCK; left -= ZERO_BLOCK) {
      fullZeroBlock ??= zeroBlock(ZERO_BLOCK);
      yield fullZeroBlock;
    }
    if (left > 0) yield zeroBlock(left);
  }
}

function onlyBlock(stream: Uint8Array, length: number): XzBlock {
  const { check, blocks } = parseXzStream(stream);
  const [block] = blocks;
  if (check !== CHECK_CRC32 || blocks.length !== 1 || block?.uncompressedSize !== length) {
    throw new FactoryError(
      'internal',
      'XZ_BLOCKS_UNEXPECTED',
      `the compressor gave ${blocks.length} blocks with check ${check} for ${length} bytes`,
    );
  }
  return block;
}
