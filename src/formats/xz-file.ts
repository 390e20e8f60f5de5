import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { concatBlobs, sliceBlob } from '../blob/compose.ts';
import { FactoryError } from '../errors.ts';
import { blobCrc32, type ChecksumMemory } from './checksums.ts';
import { encodePlain, type NatureOf, planSegments, SEGMENT_LIMITS, type Segment } from './segments.ts';
import { parseXzStream, type XzBlock, xzStreamEnd, xzStreamStart } from './xz-container.ts';
import { storedBlock, type XzBlockBlob, zeroBlock } from './xz-lzma2.ts';

/** The bytes as an .xz stream of one block with a CRC32 check; the same output for the same input. */
export type XzCompressor = (bytes: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;

export interface XzFileOptions {
  readonly compress: XzCompressor;
  readonly checksums: ChecksumMemory;
  readonly natureOf?: NatureOf;
  readonly signal?: AbortSignal | undefined;
}

/**
 * CRC32 and not the CRC64 that the program takes unless told: every decoder must know both (§2.1.1.2), and only
 * CRC32 is there without computing it byte by byte.
 */
const CHECK_CRC32 = 1;
/** A block costs 16 bytes and 5 in the index. */
const LIMITS = { ...SEGMENT_LIMITS, minZero: 8192 };
/** Zero bytes of one block, which is made once. */
const ZERO_BLOCK = 64 << 20;

/**
 * An `.xz` file of one stream with many blocks, which decoders can work on in parallel. Zero runs cost 250
 * bytes for 2 MiB; packed bytes are referred to (3 bytes more for 64 KiB), and read for their check when that
 * is read; plain ones are compressed here, into memory.
 */
export async function xzFile(blob: Blob, options: XzFileOptions): Promise<Blob> {
  const { compress, checksums, natureOf, signal } = options;
  const segments = planSegments(blob, LIMITS, natureOf);
  const compressed = await encodePlain(
    blob,
    segments,
    async (bytes, inner) => onlyBlock(await compress(bytes, inner), bytes.length),
    signal,
  );
  const zeros = zeroBlocks();
  const blocks = segments.flatMap((segment) => {
    if (segment.kind === 'zero') return zeros(segment.length);
    const block = compressed.get(segment);
    return [block === undefined ? stored(segment) : inMemory(block)];
  });
  return concatBlobs([
    packed(xzStreamStart(CHECK_CRC32)),
    ...blocks.map((block) => block.blob),
    packed(xzStreamEnd(CHECK_CRC32, blocks)),
  ]);

  function stored({ offset, length }: Segment): XzBlockBlob {
    const content = sliceBlob(blob, offset, length);
    return storedBlock(content, (inner) => blobCrc32(content, checksums, inner));
  }
}

/** Makes the blocks of some number of zero bytes; those that are the same share their bytes. */
function zeroBlocks(): (length: number) => readonly XzBlockBlob[] {
  let full: XzBlockBlob | undefined;
  return (length) => {
    const blocks: XzBlockBlob[] = [];
    let left = length;
    for (; left >= ZERO_BLOCK; left -= ZERO_BLOCK) {
      full ??= inMemory(zeroBlock(ZERO_BLOCK));
      blocks.push(full);
    }
    if (left > 0) blocks.push(inMemory(zeroBlock(left)));
    return blocks;
  };
}

function inMemory({ bytes, unpaddedSize, uncompressedSize }: XzBlock): XzBlockBlob {
  return { blob: packed(bytes), unpaddedSize, uncompressedSize };
}

function packed(bytes: Uint8Array): Blob {
  return bytesBlob(bytes, { nature: 'packed' });
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
