import { isBlank, isBlankOrEnd, isBreakOrEnd, isDecimalDigit, isWord } from './characters.ts';
import type { Cursor } from './cursor.ts';
import { syntaxError } from './errors.ts';
import { scanTagDirective } from './tags.ts';
import type { NameToken, Token } from './tokens.ts';

/** `&name` or `*name` (YAML 1.1 §6.8.1, §7.1). */
export function scanName(cursor: Cursor, kind: NameToken['kind']): NameToken {
  const start = cursor.mark();
  cursor.skip();
  const name = cursor.take(isWord);
  const code = cursor.peek();
  const ends = isBlankOrEnd(code) || '?:,]}%@`'.includes(String.fromCharCode(code));
  if (name === '' || !ends) {
    throw syntaxError('scanner', 'did not find expected alphabetic or numeric character', cursor.mark(), {
      while: `while scanning an ${kind}`,
      since: start,
    });
  }
  return { kind, name, start, end: cursor.mark() };
}

/** `%YAML 1.1` or `%TAG !handle! prefix` (YAML 1.1 §7.1). */
export function scanDirective(cursor: Cursor): Token {
  const start = cursor.mark();
  const fail = (message: string): Error =>
    syntaxError('scanner', message, cursor.mark(), { while: 'while scanning a directive', since: start });
  cursor.skip();
  const name = cursor.take(isWord);
  if (name !== 'YAML' && name !== 'TAG') throw fail('found unknown directive name');
  cursor.take(isBlank);
  let token: Token;
  if (name === 'YAML') {
    const major = cursor.take(isDecimalDigit);
    if (cursor.peek() !== 0x2e) throw fail("did not find expected digit or '.' character");
    cursor.skip();
    const minor = cursor.take(isDecimalDigit);
    if (!/^[0-9]{1,9}$/.test(major) || !/^[0-9]{1,9}$/.test(minor)) {
      throw fail('did not find expected version number');
    }
    token = {
      kind: 'version-directive',
      major: Number(major),
      minor: Number(minor),
      start,
      end: cursor.mark(),
    };
  } else token = { kind: 'tag-directive', ...scanTagDirective(cursor, start), start, end: cursor.mark() };
  cursor.take(isBlank);
  if (cursor.peek() === 0x23) cursor.take(() => true);
  if (!isBreakOrEnd(cursor.peek())) throw fail('did not find expected comment or line break');
  return token;
}
