import { crc32 } from 'node:zlib';
import type { XzBlock } from './xz-container.ts';
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
const LZMA_MAX = 1 << 21;
/** lc, lp and pb are 0. */
const PROPERTIES = 0;

/** A block with a CRC32 check that holds `bytes` (at least 1) as they are. */
export function storedBlock(bytes: Uint8Array): XzBlock {
  const chunks = Math.ceil(bytes.length / STORED_MAX);
  return block(bytes.length, crc32(bytes), 3 * chunks + bytes.length, (target) => {
    const view = new DataView(target.buffer, target.byteOffset);
    let to = 0;
    for (let from = 0; from < bytes.length; from += STORED_MAX) {
      const part = bytes.subarray(from, from + STORED_MAX);
      view.setUint8(to, from === 0 ? STORED_FRESH : STORED);
      view.setUint16(to + 1, part.length - 1);
      target.set(part, to + 3);
      to += 3 + part.length;
    }
  });
}

/** A block with a CRC32 check that holds `length` zero bytes (at least 1): some 250 bytes for 2 MiB. */
export function zeroBlock(length: number): XzBlock {
  const whole = Math.floor(length / LZMA_MAX);
  const rest = length % LZMA_MAX;
  const full = whole > 0 ? lzmaZeros(LZMA_MAX) : new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < whole; i++) chunks.push(lzmaChunk(full, LZMA_MAX, i === 0));
  if (rest > 0) chunks.push(lzmaChunk(lzmaZeros(rest), rest, whole === 0));
  const data = Buffer.concat(chunks);
  return block(length, zeroCrc32(length), data.length, (target) => target.set(data));
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
function block(
  uncompressedSize: number,
  check: number,
  dataSize: number,
  write: (target: Uint8Array) => void,
): XzBlock {
  const end = HEADER.length + dataSize + 1;
  const padded = Math.ceil(end / 4) * 4;
  const bytes = new Uint8Array(padded + CHECK_SIZE);
  bytes.set(HEADER);
  write(bytes.subarray(HEADER.length, end - 1));
  bytes[end - 1] = END;
  new DataView(bytes.buffer).setUint32(padded, check, true);
  return { bytes, unpaddedSize: end + CHECK_SIZE, uncompressedSize };
}
