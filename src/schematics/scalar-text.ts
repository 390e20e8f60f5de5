import { bytesOfText } from './binary-text.ts';
import { legacyBoolean, resolvePlain } from './scalar-types.ts';
import { isTimestamp, type OptionScalar } from './schematic.ts';

type Style = 'plain' | 'single' | 'double' | 'literal';

const BREAK = /[\n\r\u0085\u2028\u2029]/;
/** Outside of LF, U+0020..7E, U+00A0..D7FF, U+E000..FFFD without U+FEFF; so every character above U+FFFF too. */
const UNPRINTABLE = /[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/;
const UNPRINTABLE_BUT_TAB = /[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/;
const NOT_WHITE_SPACE = /[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
const SPACE_BEFORE_BREAK = / [\n\r\u0085\u2028\u2029]/;
const SPACE_AFTER_BREAK = /[\n\r\u0085\u2028\u2029] /;
/** What makes a plain scalar something else (`spec/schematic.md` §3.3 step 3). */
const NOT_PLAIN: readonly RegExp[] = [
  /^[#,[\]{}&*!|>'"%@`]/,
  /^[-?:](?:[ \t]|$)/,
  /^(?:---|\.\.\.)/,
  /:(?:[ \t]|$)/,
  /[ \t\0\n\r\u0085\u2028\u2029]#/,
  /^ | $/,
  BREAK,
  /\t/,
  UNPRINTABLE,
];

const NAMED_ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x00, '\\0'],
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x1b, '\\e'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x85, '\\N'],
  [0xa0, '\\_'],
  [0x2028, '\\L'],
  [0x2029, '\\P'],
]);

/** A key that stands before its `:` on one line; longer ones and those with line breaks need `?`. */
export function isSimpleKey(key: OptionScalar): boolean {
  return typeof key !== 'string' || (!BREAK.test(key) && Buffer.byteLength(key) <= 128);
}

/**
 * A scalar as canonical YAML writes it (`spec/schematic.md` §3.2-3.4), with a line break at its end unless it is
 * a simple key. Lines of a block scalar are indented by `indent` blanks.
 */
export function scalarLines(value: OptionScalar, indent: number): string {
  if (typeof value !== 'string') return `${scalarText(value)}\n`;
  if (!value.isWellFormed()) return binaryLines(value, indent);
  if (chooseStyle(value) === 'literal') return literal(value, indent);
  return `${scalarText(value, indent)}\n`;
}

/** A scalar on one line. */
export function scalarText(value: OptionScalar, indent = 0): string {
  if (value === null) return 'null';
  if (isTimestamp(value)) return value.text;
  switch (typeof value) {
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'number':
      return formatFloat(value);
    case 'string':
      return quoted(value, indent);
  }
}

function quoted(text: string, indent: number): string {
  if (!text.isWellFormed()) return `!!binary ${bytesOfText(text).toString('base64')}`;
  switch (chooseStyle(text)) {
    case 'plain':
      return text;
    case 'single':
      // Only LS and PS can be breaks here: they are written as they are, and the next line is indented.
      return `'${text.replaceAll("'", "''").replace(/([\u2028\u2029])(?=[^ \u2028\u2029])/g, `$1${' '.repeat(indent)}`)}'`;
    case 'double':
    case 'literal':
      return double(text);
  }
}

function chooseStyle(text: string): Style {
  if (text.includes('\n')) {
    const fits = text.length >= 2 && NOT_WHITE_SPACE.test(text) && !text.endsWith(' ');
    return fits && !SPACE_BEFORE_BREAK.test(text) && !UNPRINTABLE_BUT_TAB.test(text) ? 'literal' : 'double';
  }
  // What another reader would take for a number or a boolean is quoted, even where we would not.
  if (legacyBoolean(text) !== undefined || BASE_60.test(text)) return 'double';
  if (resolvePlain(text).type !== 'string') return 'double';
  if (!NOT_PLAIN.some((pattern) => pattern.test(text))) return 'plain';
  const single =
    !text.includes('\t') &&
    !UNPRINTABLE.test(text) &&
    !SPACE_BEFORE_BREAK.test(text) &&
    !SPACE_AFTER_BREAK.test(text);
  return single ? 'single' : 'double';
}

function double(text: string): string {
  // A byte order mark at the begin makes the reference escape all of the text.
  const escapeAll = text.startsWith('\ufeff');
  const special = escapeAll
    ? /[\s\S]/gu
    : /["\\\n\u2028\u2029]|[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/gu;
  return `"${text.replace(special, escapeSequence)}"`;
}

function escapeSequence(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const named = NAMED_ESCAPES.get(code);
  if (named !== undefined) return named;
  const digits = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${digits.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

function literal(text: string, indent: number): string {
  // The hint is always 4, also where the indentation is another one (`spec/schematic.md` §3.5).
  const hint = text.startsWith(' ') ? '4' : '';
  const blanks = ' '.repeat(indent);
  const body = text.replace(/(^|[\n\u2028\u2029])(?=[^\n\u2028\u2029])/g, `$1${blanks}`);
  return `|${hint}${chomping(text)}\n${body}${endsWithBreak(text) ? '' : '\n'}`;
}

function chomping(text: string): string {
  if (!endsWithBreak(text)) return '-';
  return text.length === 1 || endsWithBreak(text.slice(0, -1)) ? '+' : '';
}

function endsWithBreak(text: string): boolean {
  return BREAK.test(text.slice(-1));
}

function binaryLines(text: string, indent: number): string {
  const base64 = bytesOfText(text).toString('base64');
  if (base64.length <= 70) return `!!binary ${base64}\n`;
  const lines = base64.match(/.{1,70}/g) ?? [];
  return `!!binary ${literal(`${lines.join('\n')}\n`, indent)}`;
}

/** Shortest digits that read back, in the layout of Go's `%g`. */
function formatFloat(value: number): string {
  if (Number.isNaN(value)) return '.nan';
  if (value === Number.POSITIVE_INFINITY) return '.inf';
  if (value === Number.NEGATIVE_INFINITY) return '-.inf';
  if (Object.is(value, -0)) return '-0';
  if (value === 0) return '0';
  const [mantissa = '', exponentText = ''] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(value);
  const sign = exponent < 0 ? '-' : '+';
  return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
