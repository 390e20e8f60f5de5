/**
 * CRC-32 (IEEE 802.3, as in gzip and .xz) of long runs without touching their bytes: appending n zero bits
 * multiplies the register by x^n modulo the polynomial (G. L. Markowsky, "combining CRCs"; the way of zlib's
 * crc32_combine). Numbers are bit-reflected: the highest bit is x^0.
 */
const POLYNOMIAL = 0xedb88320;
const ONE = 0x80000000;

/** CRC-32 of `length` zero bytes. */
export function zeroCrc32(length: number): number {
  // The register starts as all ones and is inverted at the end.
  return (multiply(power(length), 0xffffffff) ^ 0xffffffff) >>> 0;
}

/** CRC-32 of one text after another, from theirs and the length (bytes) of the second. */
export function combineCrc32(first: number, second: number, secondLength: number): number {
  return (multiply(power(secondLength), first) ^ second) >>> 0;
}

/** x^(8 * bytes) modulo the polynomial, by squaring. */
function power(bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`${bytes} is no number of bytes`);
  let result = ONE;
  // x^8.
  let square = ONE >>> 8;
  for (let left = bytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = multiply(square, result);
    square = multiply(square, square);
  }
  return result;
}

function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) !== 0 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}
