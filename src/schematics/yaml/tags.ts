import { hexDigit, isBlank, isBlankOrEnd, isWord } from './characters.ts';
import type { Cursor } from './cursor.ts';
import { type Mark, syntaxError } from './errors.ts';
import type { TagToken } from './tokens.ts';

const BANG = 0x21;
const URI_EXTRA = new Set([...";/?:@&=+$.!~*'()%[]"].map((character) => character.charCodeAt(0)));

/** `!`, `!local`, `!!str`, `!handle!suffix`, `!<uri>` (YAML 1.1 §6.8.2). */
export function scanTag(cursor: Cursor): TagToken {
  const start = cursor.mark();
  const fail = (message: string): Error =>
    syntaxError('scanner', message, cursor.mark(), { while: 'while scanning a tag', since: start });
  let handle = '';
  let suffix: string;
  if (cursor.peek(1) === 0x3c) {
    cursor.skip(2);
    suffix = unescapeUri(cursor, cursor.take(isUri), start);
    if (suffix === '') throw fail('did not find expected tag URI');
    if (cursor.peek() !== 0x3e) throw fail("did not find the expected '>'");
    cursor.skip();
  } else {
    cursor.skip();
    const word = cursor.take(isWord);
    if (cursor.peek() === BANG) {
      cursor.skip();
      handle = `!${word}!`;
      suffix = unescapeUri(cursor, cursor.take(isTagUri), start);
      if (suffix === '') throw fail('did not find expected tag URI');
    } else {
      handle = '!';
      suffix = word + unescapeUri(cursor, cursor.take(isTagUri), start);
    }
  }
  const code = cursor.peek();
  if (!isBlankOrEnd(code) && code !== 0x2c && code !== 0x5d && code !== 0x7d) {
    throw fail('did not find expected whitespace or line break');
  }
  return { kind: 'tag', handle, suffix, start, end: cursor.mark() };
}

/** What follows `%TAG `. */
export function scanTagDirective(
  cursor: Cursor,
  start: Mark,
): { readonly handle: string; readonly prefix: string } {
  const fail = (message: string): Error =>
    syntaxError('scanner', message, cursor.mark(), {
      while: 'while scanning a %TAG directive',
      since: start,
    });
  if (cursor.peek() !== BANG) throw fail("did not find expected '!'");
  cursor.skip();
  const word = cursor.take(isWord);
  let handle = '!';
  if (cursor.peek() === BANG) {
    cursor.skip();
    handle = `!${word}!`;
  } else if (word !== '') throw fail("did not find expected '!'");
  if (!isBlank(cursor.peek())) throw fail('did not find expected whitespace');
  cursor.take(isBlank);
  const prefix = unescapeUri(cursor, cursor.take(isUri), start);
  if (prefix === '') throw fail('did not find expected tag URI');
  return { handle, prefix };
}

function isUri(code: number): boolean {
  return isWord(code) || code === 0x2c || URI_EXTRA.has(code);
}

/** Without the brackets and commas that end a tag in flow context. */
function isTagUri(code: number): boolean {
  return isWord(code) || (URI_EXTRA.has(code) && code !== 0x5b && code !== 0x5d);
}

function unescapeUri(cursor: Cursor, text: string, start: Mark): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '%') {
      bytes.push(text.charCodeAt(i));
      continue;
    }
    const high = i + 2 < text.length ? hexDigit(text.charCodeAt(i + 1)) : -1;
    const low = i + 2 < text.length ? hexDigit(text.charCodeAt(i + 2)) : -1;
    if (high < 0 || low < 0) {
      throw syntaxError('scanner', 'did not find URI escaped octet', cursor.mark(), {
        while: 'while parsing a tag',
        since: start,
      });
    }
    bytes.push(high * 16 + low);
    i += 2;
  }
  return Buffer.from(bytes).toString('utf8');
}
