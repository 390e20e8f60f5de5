/** RFC 8878 §3.1.1. */
const MAGIC = 0xfd2fb528;
/** §3.1.1.1.1: content size in 4 bytes, no single segment, a checksum. */
const DESCRIPTOR = 0x84;
/** §3.1.1.1.2: a window of 2^(10 + 7) bytes, which is also the largest block. */
const WINDOW = 7 << 3;
const BLOCK_SIZE = 1 << 17;
const BLOCK_RLE = 1;
const HEADER_SIZE = 10;
const CHECKSUM_SIZE = 4;

/** The lower half of XXH64 with seed 0 of 2^17, 2^18, ... 2^26 zero bytes, which is a frame's checksum (§3.1.1). */
const CHECKSUMS: readonly number[] = [
  0x7a955073, 0xa60f2740, 0xb605c552, 0xe1163ef1, 0xf88e23db, 0x7cbc9d28, 0x61f6df0f, 0x5ee2d80b, 0x4c248a3f,
  0x7c250fa7,
];
const SMALLEST = 17;

/** Zero runs are frames of whole multiples of this; what is left over is for the compressor (bytes). */
export const ZSTD_ZERO_UNIT = 2 ** SMALLEST;
/** The zero bytes of the largest frame. */
const LARGEST_FRAME = 2 ** (SMALLEST + CHECKSUMS.length - 1);

/**
 * Frames that hold `length` zero bytes, a multiple of `ZSTD_ZERO_UNIT`, as RLE blocks of 4 bytes for 128 KiB.
 * Frames that are the same share their bytes.
 */
export function* zstdZeroFrames(length: number): Iterable<Uint8Array> {
  if (length % ZSTD_ZERO_UNIT !== 0) throw new RangeError(`${length} is no multiple of ${ZSTD_ZERO_UNIT}`);
  let left = length;
  let frame: Uint8Array | undefined;
  for (let size = LARGEST_FRAME; left > 0; size /= 2) {
    frame = undefined;
    for (; left >= size; left -= size) {
      frame ??= zeroFrame(Math.log2(size));
      yield frame;
    }
  }
}

function zeroFrame(exponent: number): Uint8Array {
  const size = 2 ** exponent;
  const blocks = size / BLOCK_SIZE;
  const frame = new Uint8Array(HEADER_SIZE + 4 * blocks + CHECKSUM_SIZE);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, DESCRIPTOR);
  view.setUint8(5, WINDOW);
  view.setUint32(6, size, true);
  for (let i = 0; i < blocks; i++) {
    // Three bytes of header (last block, type, size), and the byte that is repeated, which is 0.
    const last = i === blocks - 1 ? 1 : 0;
    view.setUint32(HEADER_SIZE + 4 * i, last | (BLOCK_RLE << 1) | (BLOCK_SIZE << 3), true);
  }
  view.setUint32(frame.length - CHECKSUM_SIZE, CHECKSUMS[exponent - SMALLEST] ?? 0, true);
  return frame;
}
