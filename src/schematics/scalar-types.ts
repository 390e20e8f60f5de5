import { parseTimestamp, type Timestamp } from './timestamp.ts';

/** What a plain scalar denotes. Integers are exact up to 64 bits and are not floats. */
export type TypedScalar =
  | { readonly type: 'null' }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'int'; readonly value: bigint }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'timestamp'; readonly value: Timestamp }
  | { readonly type: 'merge' }
  | { readonly type: 'string' };

const STRING: TypedScalar = { type: 'string' };
const NULL: TypedScalar = { type: 'null' };

const WORDS: ReadonlyMap<string, TypedScalar> = new Map<string, TypedScalar>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word): [string, TypedScalar] => [word, NULL]),
  ...['true', 'True', 'TRUE'].map((word): [string, TypedScalar] => [word, { type: 'bool', value: true }]),
  ...['false', 'False', 'FALSE'].map((word): [string, TypedScalar] => [word, { type: 'bool', value: false }]),
  ...['.nan', '.NaN', '.NAN'].map((word): [string, TypedScalar] => [word, float(Number.NaN)]),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word): [string, TypedScalar] => [
    word,
    float(Number.POSITIVE_INFINITY),
  ]),
  ...['-.inf', '-.Inf', '-.INF'].map((word): [string, TypedScalar] => [
    word,
    float(Number.NEGATIVE_INFINITY),
  ]),
  ...['-0', '-0.0'].map((word): [string, TypedScalar] => [word, float(-0)]),
  ['<<', { type: 'merge' }],
]);

const INT = /^([+-]?)(?:(0[xX][0-9a-fA-F]+)|(0[bB][01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const DOT_FLOAT = /^\.[0-9]+(?:[eE][-+]?[0-9]+)?$/;
/** Digits of the largest integer; making a number of a longer text would take long for nothing. */
const MAX_DECIMAL_DIGITS = 20;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MAX = 2n ** 63n - 1n;

function float(value: number): TypedScalar {
  return { type: 'float', value };
}

/** The type of an unquoted, untagged scalar from its text (`spec/schematic.md` §2.3). */
export function resolvePlain(text: string): TypedScalar {
  const word = WORDS.get(text);
  if (word !== undefined) return word;
  const first = text.charCodeAt(0);
  if (first === 0x2e) return DOT_FLOAT.test(text) ? finite(text) : STRING;
  const signed = first === 0x2b || first === 0x2d;
  if (!signed && !(first >= 0x30 && first <= 0x39)) return STRING;
  const timestamp = parseTimestamp(text);
  if (timestamp !== undefined) return { type: 'timestamp', value: timestamp };
  const digits = text.replaceAll('_', '');
  return resolveInt(digits) ?? (FLOAT.test(digits) ? finite(digits) : STRING);
}

function resolveInt(text: string): TypedScalar | undefined {
  const match = INT.exec(text);
  if (match === null) return undefined;
  const [, sign = '', hex, binary, octal, decimal] = match;
  if (decimal !== undefined && decimal.length > MAX_DECIMAL_DIGITS) return undefined;
  const magnitude = BigInt(hex ?? binary ?? (octal === undefined ? (decimal ?? '0') : `0o${octal}`));
  const value = sign === '-' ? -magnitude : magnitude;
  const most = sign === '' ? UINT64_MAX : INT64_MAX;
  return value >= INT64_MIN && value <= most ? { type: 'int', value } : undefined;
}

function finite(text: string): TypedScalar {
  const value = Number(text);
  return Number.isFinite(value) ? float(value) : STRING;
}

const YES: ReadonlySet<string> = new Set(['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON']);
const NO: ReadonlySet<string> = new Set(['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF']);

/** YAML 1.1's other booleans: strings, but a boolean field takes them. */
export function legacyBoolean(text: string): boolean | undefined {
  if (YES.has(text)) return true;
  return NO.has(text) ? false : undefined;
}
