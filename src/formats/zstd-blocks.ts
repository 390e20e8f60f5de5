import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { chunkedBlob } from './interleaved-blob.ts';

/** RFC 8878 §3.1.1. */
const MAGIC = 0xfd2fb528;
/** §3.1.1.1.1: content size in 4 bytes, no single segment, a checksum. */
const DESCRIPTOR = 0x84;
/** §3.1.1.1.2: a window of 2^(10 + 7) bytes, which is also the largest block. */
const WINDOW = 7 << 3;
export const ZSTD_BLOCK_SIZE = 1 << 17;
/** §3.1.1.2. */
const RAW = 0;
const RLE = 1;
const BLOCK_HEADER_SIZE = 3;
export const ZSTD_CHECKSUM_SIZE = 4;

/** The header of a frame with a checksum whose blocks refer to nothing before, or at most 128 KiB away. */
export function zstdFrameHeader(contentSize: number): Uint8Array {
  const header = new Uint8Array(10);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, DESCRIPTOR);
  view.setUint8(5, WINDOW);
  view.setUint32(6, contentSize, true);
  return header;
}

/** A frame that holds `content` (1 byte to 4 GiB) as it is, up to its checksum. */
export function zstdRawBlocks(content: Blob): Blob {
  const blocks = chunkedBlob(content, {
    chunkSize: ZSTD_BLOCK_SIZE,
    headerSize: BLOCK_HEADER_SIZE,
    header: (offset, length) => blockHeader(RAW, length, offset + length === content.size),
  });
  return concatBlobs([bytesBlob(zstdFrameHeader(content.size), { nature: 'packed' }), blocks]);
}

/** A block of 128 KiB of zeros. */
export function zstdZeroBlock(last: boolean): Uint8Array {
  return Uint8Array.of(...blockHeader(RLE, ZSTD_BLOCK_SIZE, last), 0);
}

function blockHeader(type: number, size: number, last: boolean): Uint8Array {
  const fields = (last ? 1 : 0) | (type << 1) | (size << 3);
  return Uint8Array.of(fields, fields >> 8, fields >> 16);
}
