import type { Blob } from '../blob/blob.ts';
import { chunkedBlob } from './interleaved-blob.ts';

/** Pieces of a raw deflate stream (RFC 1951) that begin and end at a byte, so that they can follow one another. */

/** §3.2.4: the most bytes of a stored block. */
const STORED_MAX = 0xffff;
const STORED_HEADER = 5;

/** `content` as stored blocks, none of them the last of the stream. */
export function deflateStored(content: Blob): Blob {
  return chunkedBlob(content, {
    chunkSize: STORED_MAX,
    headerSize: STORED_HEADER,
    header: (_offset, length) => Uint8Array.of(0, length, length >> 8, ~length, ~length >> 8),
  });
}

/** §3.2.6: a last block with nothing in it (fixed codes, end of block). */
export const DEFLATE_END = Uint8Array.of(0x03, 0x00);

/** §3.2.5: the longest match. */
const MATCH = 258;
/** §3.2.7: the order of the code lengths of code lengths, up to the last one that is used. */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1];

/**
 * `length` (at least 1) zero bytes: one block with a code of 1 bit for "258 bytes more", 1 bit for "from 1 byte
 * before" and 2 bits for a zero byte and for the end, which is the best that deflate can (1 : 1032); then an empty
 * stored block, which ends at a byte.
 */
export function deflateZeros(length: number): Uint8Array {
  const matches = Math.floor((length - 1) / MATCH);
  const literals = length - matches * MATCH;
  const bits = new BitWriter(40 + Math.ceil((2 * (matches + literals)) / 8));
  // §3.2.7: not the last, dynamic codes, 286 literal and length codes, 1 distance code.
  bits.put(0, 1);
  bits.put(2, 2);
  bits.put(286 - 257, 5);
  bits.put(0, 5);
  bits.put(LENGTH_ORDER.length - 4, 4);
  for (const symbol of LENGTH_ORDER) bits.put(symbol === 18 ? 1 : symbol === 1 || symbol === 2 ? 2 : 0, 3);
  // Codes then: 18 is 0, 1 is 10, 2 is 11 (written from the first bit on, so mirrored here).
  const zeroLengths = (count: number): void => {
    bits.put(0, 1);
    bits.put(count - 11, 7);
  };
  const two = (): void => bits.put(0b11, 2);
  const one = (): void => bits.put(0b01, 2);
  two(); // literal 0: 10
  zeroLengths(138);
  zeroLengths(117);
  two(); // end of block: 11
  zeroLengths(28);
  one(); // length code 285 (258 bytes): 0
  one(); // distance code 0 (1 byte before): 0
  bits.put(0b01, 2);
  bits.zeros(2 * matches);
  for (let i = 1; i < literals; i++) bits.put(0b01, 2);
  bits.put(0b11, 2);
  bits.put(0, 3);
  bits.align();
  return Buffer.concat([bits.bytes(), Uint8Array.of(0, 0, 0xff, 0xff)]);
}

/** §3.1.1: bits go into bytes from the least significant one on. */
class BitWriter {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
  }

  put(value: number, width: number): void {
    for (let i = 0; i < width; i++, this.#at++) {
      if (((value >> i) & 1) === 1) {
        const index = this.#at >> 3;
        this.#bytes[index] = (this.#bytes[index] ?? 0) | (1 << (this.#at & 7));
      }
    }
  }

  zeros(count: number): void {
    this.#at += count;
  }

  align(): void {
    this.#at = Math.ceil(this.#at / 8) * 8;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at / 8);
  }
}
