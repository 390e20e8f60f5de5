import { ZSTD_BLOCK_SIZE, ZSTD_CHECKSUM_SIZE, zstdFrameHeader, zstdZeroBlock } from './zstd-blocks.ts';

/** The lower half of XXH64 with seed 0 of 2^17, 2^18, ... 2^26 zero bytes, which is a frame's checksum (§3.1.1). */
const CHECKSUMS: readonly number[] = [
  0x7a955073, 0xa60f2740, 0xb605c552, 0xe1163ef1, 0xf88e23db, 0x7cbc9d28, 0x61f6df0f, 0x5ee2d80b, 0x4c248a3f,
  0x7c250fa7,
];
const SMALLEST = 17;

/** Zero runs are frames of whole multiples of this; what is left over is for the compressor (bytes). */
export const ZSTD_ZERO_UNIT = 2 ** SMALLEST;

/**
 * Makes the frames that hold some number of zero bytes, a multiple of `ZSTD_ZERO_UNIT`, as RLE blocks of 4 bytes for
 * 128 KiB. Frames that are the same share their bytes.
 */
export function zstdZeroFrames(): (length: number) => readonly Uint8Array[] {
  const made = new Map<number, Uint8Array>();
  return (length) => {
    if (length % ZSTD_ZERO_UNIT !== 0) throw new RangeError(`${length} is no multiple of ${ZSTD_ZERO_UNIT}`);
    const frames: Uint8Array[] = [];
    let left = length;
    for (let i = CHECKSUMS.length - 1; i >= 0; i--) {
      const size = ZSTD_ZERO_UNIT * 2 ** i;
      for (; left >= size; left -= size) {
        const frame = made.get(size) ?? zeroFrame(size, CHECKSUMS[i] ?? 0);
        made.set(size, frame);
        frames.push(frame);
      }
    }
    return frames;
  };
}

function zeroFrame(size: number, checksum: number): Uint8Array {
  const header = zstdFrameHeader(size);
  const block = zstdZeroBlock(false);
  const last = zstdZeroBlock(true);
  const blocks = size / ZSTD_BLOCK_SIZE;
  const frame = new Uint8Array(header.length + blocks * block.length + ZSTD_CHECKSUM_SIZE);
  frame.set(header);
  for (let i = 0; i < blocks; i++) {
    frame.set(i === blocks - 1 ? last : block, header.length + i * block.length);
  }
  new DataView(frame.buffer).setUint32(frame.length - ZSTD_CHECKSUM_SIZE, checksum, true);
  return frame;
}
