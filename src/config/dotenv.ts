import { FactoryError } from '../errors.ts';

/**
 * Reads a dotenv file: `KEY=value` or `KEY: value`, optionally after `export`, with `#` comments. Single quotes
 * are literal; double quotes know `\n`, `\r`, `\t`, `\"`, `\\`, `\$` and `${NAME}` of an earlier line; text without
 * quotes means itself, up to a comment after a blank, so that regular expressions need no quotes.
 * Throws `invalid` `CONFIG_MALFORMED` that names the line, never its text.
 */
export function parseDotenv(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  let at = 0;
  while (at < source.length) {
    const blank = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
    blank.lastIndex = at;
    if (blank.test(source)) {
      at = Math.max(blank.lastIndex, at + 1);
      continue;
    }
    const start = /[ \t]*(?:export[ \t]+)?([A-Za-z0-9_.-]+)[ \t]*[=:][ \t]*/y;
    start.lastIndex = at;
    const key = start.exec(source)?.[1];
    if (key === undefined) throw malformed(source, at, 'expected KEY=value');
    const { value, end } = readValue(source, start.lastIndex, pairs);
    pairs.set(key, value);
    at = end;
  }
  return pairs;
}

interface Value {
  readonly value: string;
  readonly end: number;
}

function readValue(source: string, at: number, earlier: ReadonlyMap<string, string>): Value {
  const quote = source[at];
  if (quote !== '"' && quote !== "'") {
    const line = /[^\n]*/y;
    line.lastIndex = at;
    const raw = line.exec(source)?.[0] ?? '';
    return { value: raw.replace(/(?:^|[ \t])#.*$/, '').trim(), end: at + raw.length + 1 };
  }
  const body = quote === '"' ? /"((?:[^"\\]|\\[\s\S])*)"/y : /'([^']*)'/y;
  body.lastIndex = at;
  const inner = body.exec(source)?.[1];
  if (inner === undefined) throw malformed(source, at, 'a quote is not closed');
  const rest = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
  rest.lastIndex = body.lastIndex;
  if (!rest.test(source)) throw malformed(source, body.lastIndex, 'text after the closing quote');
  const end = Math.max(rest.lastIndex, body.lastIndex);
  return { value: quote === '"' ? unescaped(inner, earlier) : inner, end };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

function unescaped(text: string, earlier: ReadonlyMap<string, string>): string {
  return text.replace(
    /\\([\s\S])|\$\{([A-Za-z0-9_.-]+)\}/g,
    (_, escaped: string | undefined, name: string | undefined) =>
      escaped === undefined ? (earlier.get(name ?? '') ?? '') : (ESCAPES.get(escaped) ?? escaped),
  );
}

/** A value as `parseDotenv` reads it back. */
export function quoteDotenv(value: string): string {
  if (/^[^\s"'#][^\n\r]*$/.test(value) && !/[ \t](?:#|$)/.test(value) && value === value.trim()) return value;
  if (value === '') return '';
  const escaped = value
    .replace(/[\\"$]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `"${escaped}"`;
}

function malformed(source: string, at: number, problem: string): FactoryError {
  const line = source.slice(0, at).split('\n').length;
  return new FactoryError('invalid', 'CONFIG_MALFORMED', `dotenv: line ${line}: ${problem}`);
}
