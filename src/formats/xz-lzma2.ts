import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { chunkedBlob } from './interleaved-blob.ts';
import { lazyBytes } from './lazy-bytes.ts';
import type { XzBlock, XzRecord } from './xz-container.ts';
import { lzmaZeros } from './xz-lzma-zeros.ts';
import { zeroCrc32 } from './zero-crc32.ts';

/** §3.1 Block Header of 12 bytes: no sizes, one filter, which is LZMA2 (§5.3.1) with a dictionary of 4 KiB; CRC32. */
const HEADER = Uint8Array.of(2, 0, 0x21, 1, 0, 0, 0, 0, 0x37, 0x27, 0x97, 0xd6);
const CHECK_SIZE = 4;

/** Control bytes of LZMA2 chunks: the end; stored with and without a fresh dictionary; LZMA with resets. */
const END = 0;
const STORED_FRESH = 1;
const STORED = 2;
const LZMA_FRESH = 0xe0;
const LZMA_RESET_STATE = 0xa0;
/** The most bytes that a chunk holds. */
const STORED_MAX = 1 << 16;
const STORED_HEADER_SIZE = 3;
const LZMA_MAX = 1 << 21;
/** lc, lp and pb are 0. */
const PROPERTIES = 0;

/** A block whose bytes can be read when they are wanted. */
export interface XzBlockBlob extends XzRecord {
  readonly blob: Blob;
}

/** A block that holds `content` (at least 1 byte) as it is, with its CRC-32, which is asked for when it is read. */
export function storedBlock(content: Blob, check: (signal?: AbortSignal) => Promise<number>): XzBlockBlob {
  const data = chunkedBlob(content, {
    chunkSize: STORED_MAX,
    headerSize: STORED_HEADER_SIZE,
    header: (offset, length) =>
      Uint8Array.of(offset === 0 ? STORED_FRESH : STORED, (length - 1) >> 8, length - 1),
  });
  const { tailSize, unpaddedSize } = blockSizes(data.size);
  const tail = lazyBytes(tailSize, async (signal) => blockTail(data.size, await check(signal)));
  return {
    blob: concatBlobs([bytesBlob(HEADER, { nature: 'packed' }), data, tail]),
    unpaddedSize,
    uncompressedSize: content.size,
  };
}

/** A block with a CRC32 check that holds `length` zero bytes (at least 1): some 250 bytes for 2 MiB. */
export function zeroBlock(length: number): XzBlock {
  const whole = Math.floor(length / LZMA_MAX);
  const rest = length % LZMA_MAX;
  const full = whole > 0 ? lzmaZeros(LZMA_MAX) : new Uint8Array(0);
  const chunks: Uint8Array[] = [HEADER];
  for (let i = 0; i < whole; i++) chunks.push(lzmaChunk(full, LZMA_MAX, i === 0));
  if (rest > 0) chunks.push(lzmaChunk(lzmaZeros(rest), rest, whole === 0));
  const dataSize = chunks.reduce((sum, chunk) => sum + chunk.length, 0) - HEADER.length;
  chunks.push(blockTail(dataSize, zeroCrc32(length)));
  return {
    bytes: Buffer.concat(chunks),
    unpaddedSize: blockSizes(dataSize).unpaddedSize,
    uncompressedSize: length,
  };
}

/** Properties go with the first chunk; later ones only forget their state, so that all have the same bytes. */
function lzmaChunk(data: Uint8Array, length: number, first: boolean): Uint8Array {
  const header = new Uint8Array(first ? 6 : 5);
  const view = new DataView(header.buffer);
  view.setUint8(0, (first ? LZMA_FRESH : LZMA_RESET_STATE) | ((length - 1) >> 16));
  view.setUint16(1, (length - 1) & 0xffff);
  view.setUint16(3, data.length - 1);
  if (first) view.setUint8(5, PROPERTIES);
  return Buffer.concat([header, data]);
}

/** §3: header, data with its end mark, padding to 4 (not counted in the unpadded size), check. */
function blockSizes(dataSize: number): { readonly tailSize: number; readonly unpaddedSize: number } {
  const end = HEADER.length + dataSize + 1;
  const padded = Math.ceil(end / 4) * 4;
  return { tailSize: padded + CHECK_SIZE - (end - 1), unpaddedSize: end + CHECK_SIZE };
}

/** What follows the data: its end mark, padding, check. */
function blockTail(dataSize: number, check: number): Uint8Array {
  const tail = new Uint8Array(blockSizes(dataSize).tailSize);
  tail[0] = END;
  new DataView(tail.buffer).setUint32(tail.length - CHECK_SIZE, check, true);
  return tail;
}
