/**
 * Zero bytes as LZMA data, for LZMA2 chunks: with lc = lp = pb = 0 it is one literal and then "the last distance
 * again" with length 273, which the adaptive coder soon says in a quarter of a bit. Written from the description
 * of the format (LZMA specification of the LZMA SDK 9.22: range coder §"Range decoder", states §"State", lengths).
 */

/** Bits of a probability, its start value, and how fast it adapts. */
const PROBABILITY_BITS = 11;
const HALF = 1 << (PROBABILITY_BITS - 1);
const MOVE_BITS = 5;
const TOP = 2 ** 24;

/** The range of lengths that a repeated match may have. */
const MATCH_MIN = 2;
const MATCH_MAX = 273;
/** Lengths from 2, 10 and 18 on are coded in 3, 3 and 8 bits. */
const LOW = 8;
const MIDDLE = 8;

/** States: after literals; after a repeated match, or a short one, that followed a literal, or that did not. */
const STATE_LITERAL = 0;
const AFTER_REPEAT = 8;
const AFTER_SHORT_REPEAT = 9;
const AFTER_OTHER = 11;
/** From here on the last thing was no literal. */
const FIRST_OTHER = 7;

/** `length` zero bytes, at least 1, beginning with fresh probabilities and ending with the range coder's flush. */
export function lzmaZeros(length: number): Uint8Array {
  const coder = new RangeEncoder();
  const isMatch = probabilities(12);
  const isRepeat = probabilities(12);
  const isRepeatOther = probabilities(12);
  const isRepeatLong = probabilities(12);
  const literal = probabilities(256);
  const choice = probabilities(2);
  const low = probabilities(LOW);
  const middle = probabilities(MIDDLE);
  const high = probabilities(256);
  let state = STATE_LITERAL;

  coder.bit(isMatch, state, 0);
  coder.tree(literal, 8, 0);
  let left = length - 1;
  while (left > 0) {
    coder.bit(isMatch, state, 1);
    coder.bit(isRepeat, state, 1);
    coder.bit(isRepeatOther, state, 0);
    if (left < MATCH_MIN) {
      coder.bit(isRepeatLong, state, 0);
      state = state < FIRST_OTHER ? AFTER_SHORT_REPEAT : AFTER_OTHER;
      left--;
      continue;
    }
    const match = Math.min(left, MATCH_MAX);
    coder.bit(isRepeatLong, state, 1);
    state = state < FIRST_OTHER ? AFTER_REPEAT : AFTER_OTHER;
    codeLength(match - MATCH_MIN);
    left -= match;
  }
  return coder.finish();

  function codeLength(code: number): void {
    if (code < LOW) {
      coder.bit(choice, 0, 0);
      coder.tree(low, 3, code);
    } else if (code < LOW + MIDDLE) {
      coder.bit(choice, 0, 1);
      coder.bit(choice, 1, 0);
      coder.tree(middle, 3, code - LOW);
    } else {
      coder.bit(choice, 0, 1);
      coder.bit(choice, 1, 1);
      coder.tree(high, 8, code - LOW - MIDDLE);
    }
  }
}

function probabilities(count: number): Uint16Array {
  return new Uint16Array(count).fill(HALF);
}

/** The range coder: `low` has 33 bits, of which the highest is a carry into bytes that are held back. */
class RangeEncoder {
  readonly #bytes: number[] = [];
  #low = 0;
  #range = 0xffffffff;
  #held = 0;
  #heldCount = 1;

  bit(model: Uint16Array, index: number, bit: 0 | 1): void {
    const probability = model[index] ?? HALF;
    const bound = (this.#range >>> PROBABILITY_BITS) * probability;
    if (bit === 0) {
      this.#range = bound;
      model[index] = probability + (((1 << PROBABILITY_BITS) - probability) >> MOVE_BITS);
    } else {
      this.#low += bound;
      this.#range -= bound;
      model[index] = probability - (probability >> MOVE_BITS);
    }
    while (this.#range < TOP) {
      this.#range *= 256;
      this.#shift();
    }
  }

  /** `width` bits of `value` from the highest on, each with the probability of its place in a binary tree. */
  tree(model: Uint16Array, width: number, value: number): void {
    let node = 1;
    for (let i = width - 1; i >= 0; i--) {
      const bit = ((value >> i) & 1) === 1 ? 1 : 0;
      this.bit(model, node, bit);
      node = (node << 1) | bit;
    }
  }

  finish(): Uint8Array {
    for (let i = 0; i < 5; i++) this.#shift();
    return Uint8Array.from(this.#bytes);
  }

  #shift(): void {
    // A byte is certain when no carry can come any more; a run of 0xff behind it waits with it.
    if (this.#low < 0xff000000 || this.#low >= 2 ** 32) {
      const carry = this.#low >= 2 ** 32 ? 1 : 0;
      for (; this.#heldCount > 0; this.#heldCount--) {
        this.#bytes.push((this.#held + carry) & 0xff);
        this.#held = 0xff;
      }
      this.#held = Math.floor(this.#low / TOP) % 256;
    }
    this.#heldCount++;
    this.#low = (this.#low % TOP) * 256;
  }
}
