import { hexDigit, isBlank, isBlankOrEnd, isBreak, TAB } from './characters.ts';
import type { Cursor } from './cursor.ts';
import { type Mark, syntaxError } from './errors.ts';
import type { ScalarToken } from './tokens.ts';

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const COLON = 0x3a;
const HASH = 0x23;

/** Escapes of one character (YAML 1.1 §5.7) and JSON's `\/`. */
const ESCAPES: ReadonlyMap<number, string> = new Map(
  Object.entries({
    '0': '\0',
    a: '\x07',
    b: '\b',
    t: '\t',
    '\t': '\t',
    n: '\n',
    v: '\v',
    f: '\f',
    r: '\r',
    e: '\x1b',
    ' ': ' ',
    '"': '"',
    "'": "'",
    '\\': '\\',
    '/': '/',
    N: '\x85',
    _: '\xa0',
    L: '\u2028',
    P: '\u2029',
  }).map(([key, value]) => [key.charCodeAt(0), value]),
);
/** Escapes by number: digits that follow. */
const NUMERIC: ReadonlyMap<number, number> = new Map([
  [0x78, 2],
  [0x75, 4],
  [0x55, 8],
]);

/** `---` or `...` at the begin of a line, and nothing after it. */
export function atDocumentIndicator(cursor: Cursor): boolean {
  return (
    cursor.column === 0 &&
    (cursor.startsWith('---') || cursor.startsWith('...')) &&
    isBlankOrEnd(cursor.peek(3))
  );
}

/** A scalar in quotes; lines are folded (YAML 1.1 §9.1.1, §9.1.2). The cursor is at the opening quote. */
export function scanQuoted(cursor: Cursor): ScalarToken {
  const start = cursor.mark();
  const quote = cursor.peek();
  const double = quote === QUOTE;
  const fail = (message: string, context = 'while scanning a quoted scalar', at = cursor.mark()): Error =>
    syntaxError('scanner', message, at, { while: context, since: start });
  const accept = double
    ? (code: number): boolean => code !== QUOTE && code !== BACKSLASH && !isBlank(code)
    : (code: number): boolean => code !== APOSTROPHE && !isBlank(code);
  cursor.skip();
  const parts: string[] = [];
  for (;;) {
    if (atDocumentIndicator(cursor)) throw fail('found unexpected document indicator');
    if (cursor.atEnd()) throw fail('found unexpected end of stream');
    let escapedBreak = false;
    for (;;) {
      const run = cursor.take(accept);
      if (run !== '') parts.push(run);
      const code = cursor.peek();
      if (!double && code === APOSTROPHE && cursor.peek(1) === APOSTROPHE) {
        cursor.skip(2);
        parts.push("'");
      } else if (double && code === BACKSLASH) {
        if (isBreak(cursor.peek(1))) {
          cursor.skip();
          cursor.takeBreak();
          escapedBreak = true;
          break;
        }
        parts.push(scanEscape(cursor, start));
      } else break;
    }
    if (cursor.peek() === quote) break;
    parts.push(foldWhiteSpace(cursor, escapedBreak));
  }
  cursor.skip();
  return { kind: 'scalar', value: parts.join(''), plain: false, start, end: cursor.mark() };
}

/** White space and line breaks between words: blanks on one line stay, one break is a space, more are one less. */
function foldWhiteSpace(cursor: Cursor, escapedBreak: boolean): string {
  let leading = escapedBreak;
  let blanks = '';
  let firstBreak = '';
  let more = '';
  for (;;) {
    const code = cursor.peek();
    if (isBlank(code)) {
      const run = cursor.take(isBlank);
      if (!leading) blanks += run;
    } else if (isBreak(code)) {
      const lineBreak = cursor.takeBreak();
      if (leading) more += lineBreak;
      else {
        blanks = '';
        firstBreak = lineBreak;
        leading = true;
      }
    } else break;
  }
  if (!leading) return blanks;
  if (firstBreak !== '\n') return firstBreak + more;
  return more === '' ? ' ' : more;
}

function scanEscape(cursor: Cursor, start: Mark): string {
  const context = { while: 'while parsing a quoted scalar', since: start };
  const code = cursor.peek(1);
  const simple = ESCAPES.get(code);
  if (simple !== undefined) {
    cursor.skip(2);
    return simple;
  }
  const digits = NUMERIC.get(code);
  if (digits === undefined) {
    throw syntaxError('scanner', 'found unknown escape character', cursor.mark(), context);
  }
  cursor.skip(2);
  const value = scanHexadecimal(cursor, digits, start);
  if (value >= 0xd800 && value <= 0xdbff && digits === 4 && cursor.startsWith('\\u')) {
    // RFC 8259 §7: a character outside of the basic plane is a pair of escapes.
    cursor.skip(2);
    const low = scanHexadecimal(cursor, 4, start);
    if (low >= 0xdc00 && low <= 0xdfff) return String.fromCharCode(value, low);
    throw syntaxError('scanner', 'found invalid Unicode character escape code', cursor.mark(), context);
  }
  if ((value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff) {
    throw syntaxError('scanner', 'found invalid Unicode character escape code', cursor.mark(), context);
  }
  return String.fromCodePoint(value);
}

function scanHexadecimal(cursor: Cursor, digits: number, start: Mark): number {
  let value = 0;
  for (let i = 0; i < digits; i++) {
    const digit = hexDigit(cursor.peek(i));
    if (digit < 0) {
      throw syntaxError('scanner', 'did not find expected hexdecimal number', cursor.mark(), {
        while: 'while parsing a quoted scalar',
        since: start,
      });
    }
    value = value * 16 + digit;
  }
  cursor.skip(digits);
  return value;
}

/** Plain text, possibly on several lines (YAML 1.1 §9.1.3), and whether it ended at the begin of a line. */
export function scanPlain(
  cursor: Cursor,
  inFlow: boolean,
  indent: number,
): { readonly token: ScalarToken; readonly atLineStart: boolean } {
  const start = cursor.mark();
  let end = start;
  const accept = inFlow ? inFlowPlain : inBlockPlain;
  const parts: string[] = [];
  let space = '';
  let atLineStart = false;
  for (;;) {
    if (atDocumentIndicator(cursor) || cursor.peek() === HASH) break;
    let run = '';
    // A run ends at each `:`, which belongs to the text unless a blank follows.
    for (;;) {
      run += cursor.take(accept);
      if (cursor.peek() !== COLON || isBlankOrEnd(cursor.peek(1))) break;
      run += cursor.takeCount(1);
    }
    if (run !== '') {
      parts.push(space, run);
      space = '';
      atLineStart = false;
      end = cursor.mark();
    }
    if (!isBlank(cursor.peek()) && !isBreak(cursor.peek())) break;
    const folded = foldPlain(cursor, start, indent);
    space = folded.space;
    if (folded.crossedLine) atLineStart = true;
    if (!inFlow && cursor.column < indent) break;
  }
  return { token: { kind: 'scalar', value: parts.join(''), plain: true, start, end }, atLineStart };
}

/** `:` is looked at by itself. */
function inBlockPlain(code: number): boolean {
  return code !== COLON && !isBlank(code);
}

/** In flow context brackets and commas end the text too. */
function inFlowPlain(code: number): boolean {
  switch (code) {
    case COLON:
    case 0x2c: // ,
    case 0x5b: // [
    case 0x5d: // ]
    case 0x7b: // {
    case 0x7d: // }
      return false;
    default:
      return !isBlank(code);
  }
}

function foldPlain(
  cursor: Cursor,
  start: Mark,
  indent: number,
): { readonly space: string; readonly crossedLine: boolean } {
  let crossedLine = false;
  let blanks = '';
  let firstBreak = '';
  let more = '';
  for (;;) {
    const code = cursor.peek();
    if (isBlank(code)) {
      if (crossedLine && cursor.column < indent && code === TAB) {
        throw syntaxError('scanner', 'found a tab character that violates indentation', cursor.mark(), {
          while: 'while scanning a plain scalar',
          since: start,
        });
      }
      if (!crossedLine) blanks += cursor.takeCount(1);
      else cursor.skip();
    } else if (isBreak(code)) {
      const lineBreak = cursor.takeBreak();
      if (crossedLine) more += lineBreak;
      else {
        firstBreak = lineBreak;
        crossedLine = true;
      }
    } else break;
  }
  if (!crossedLine) return { space: blanks, crossedLine };
  if (firstBreak !== '\n') return { space: firstBreak + more, crossedLine };
  return { space: more === '' ? ' ' : more, crossedLine };
}
