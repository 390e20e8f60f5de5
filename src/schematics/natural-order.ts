import { isTimestamp, type OptionMap, type OptionScalar, type OptionValue } from './schematic.ts';

/** A key with what its comparisons need. */
interface Candidate {
  readonly key: OptionScalar;
  /** Code points of a text. */
  readonly points: readonly number[];
  readonly value: OptionValue;
}

/** The entries of a mapping in the order of canonical YAML (`spec/schematic.md` §3.6). */
export function sortedEntries(map: OptionMap): readonly (readonly [OptionScalar, OptionValue])[] {
  const candidates: Candidate[] = [];
  for (const [key, value] of map) {
    const text = typeof key === 'string' ? key : '';
    candidates.push({ key, points: Array.from(text, (point) => point.codePointAt(0) ?? 0), value });
  }
  return candidates.sort(compareKeys).map(({ key, value }) => [key, value]);
}

/** Numbers and booleans, then null, texts, timestamps. */
function rank(key: OptionScalar): number {
  if (key === null) return 1;
  if (typeof key === 'string') return 2;
  return isTimestamp(key) ? 3 : 0;
}

function compareKeys(a: Candidate, b: Candidate): number {
  const ranks = rank(a.key) - rank(b.key);
  if (ranks !== 0) return ranks;
  if (typeof a.key === 'string') return compareNaturally(a.points, b.points);
  if (isTimestamp(a.key) && isTimestamp(b.key)) return order(a.key.instant, b.key.instant);
  return order(numeric(a.key), numeric(b.key)) || typeRank(a.key) - typeRank(b.key);
}

function numeric(key: OptionScalar): bigint | number {
  if (typeof key === 'bigint' || typeof key === 'number') return key;
  return key === true ? 1 : 0;
}

function typeRank(key: OptionScalar): number {
  if (typeof key === 'boolean') return 0;
  return typeof key === 'bigint' ? 1 : 2;
}

function order(a: bigint | number, b: bigint | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Texts with numbers in them by the size of the numbers: `key9` before `key10`. Negative, zero or positive.
 * Not transitive for keys with runs of 19 and more digits, whose value wraps at 64 bits.
 */
function compareNaturally(a: readonly number[], b: readonly number[]): number {
  let digits = false;
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    if (x === y) {
      digits = isDigit(x);
      continue;
    }
    const letterX = isLetter(x);
    const letterY = isLetter(y);
    if (letterX && letterY) return x - y;
    // After a digit the letter comes first, else the other one.
    if (letterX || letterY) return digits === letterX ? -1 : 1;
    // Inside of a number leading zeros do not count.
    const inside = (x === ZERO || y === ZERO) && followsNonZeroDigit(a, i) ? 1n : 0n;
    const left = readNumber(a, i, inside);
    const right = readNumber(b, i, inside);
    return order(left.value, right.value) || left.end - right.end || x - y;
  }
  return a.length - b.length;
}

const ZERO = 0x30;

function followsNonZeroDigit(points: readonly number[], at: number): boolean {
  for (let i = at - 1; i >= 0; i--) {
    const point = points[i] ?? 0;
    if (!isDigit(point)) return false;
    if (point !== ZERO) return true;
  }
  return false;
}

function readNumber(
  points: readonly number[],
  at: number,
  start: bigint,
): { readonly value: bigint; readonly end: number } {
  let value = start;
  let end = at;
  // Nine characters at a time fit a float exactly, whatever script their digits are of.
  while (end < points.length) {
    let chunk = 0;
    let scale = 1;
    while (scale < 1e9 && end < points.length && isDigit(points[end] ?? 0)) {
      chunk = chunk * 10 + (points[end] ?? 0) - ZERO;
      scale *= 10;
      end++;
    }
    if (scale === 1) break;
    value = BigInt.asIntN(64, value * BigInt(scale) + BigInt(chunk));
  }
  return { value, end };
}

function isDigit(point: number): boolean {
  if (point < 0x80) return point >= 0x30 && point <= 0x39;
  return /^\p{Nd}$/u.test(String.fromCodePoint(point));
}

function isLetter(point: number): boolean {
  if (point < 0x80) return (point | 0x20) >= 0x61 && (point | 0x20) <= 0x7a;
  return /^\p{L}$/u.test(String.fromCodePoint(point));
}
