/** RFC 1950 §9. */
const BASE = 65521;
/** The most bytes whose sums fit into 32 bits. */
const STEP = 5552;

/** Adler-32 of `bytes` behind those that `previous` is of (1 is of none); Node's zlib does not give it away. */
export function adler32(bytes: Uint8Array, previous = 1): number {
  let a = previous & 0xffff;
  let b = previous >>> 16;
  for (let from = 0; from < bytes.length; from += STEP) {
    const end = Math.min(from + STEP, bytes.length);
    for (let i = from; i < end; i++) {
      a += bytes[i] ?? 0;
      b += a;
    }
    a %= BASE;
    b %= BASE;
  }
  return ((b << 16) | a) >>> 0;
}
