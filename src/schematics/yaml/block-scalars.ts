import { isBlank, isBreak, isBreakOrEnd, isDecimalDigit, SPACE, TAB } from './characters.ts';
import type { Cursor } from './cursor.ts';
import { type Mark, syntaxError } from './errors.ts';
import type { ScalarToken } from './tokens.ts';

type Chomping = 'clip' | 'strip' | 'keep';

/**
 * `|` and `>` scalars (YAML 1.1 §9.2). The cursor is at the indicator; `parentIndent` is the column of the
 * surrounding block collection, -1 at the top.
 */
export function scanBlockScalar(cursor: Cursor, folded: boolean, parentIndent: number): ScalarToken {
  const start = cursor.mark();
  cursor.skip();
  const header = scanHeader(cursor, start);
  let indent = header.increment === 0 ? 0 : Math.max(parentIndent, 0) + header.increment;
  const parts: string[] = [];
  let lineBreak = '';
  const first = scanBreaks(cursor, indent, parentIndent, start);
  indent = first.indent;
  let breaks = first.breaks;
  let end = first.end;
  let startsBlank = false;
  while (cursor.column === indent && !cursor.atEnd()) {
    const beforeBlank = startsBlank;
    startsBlank = isBlank(cursor.peek());
    // Folding: a break between two lines of text is a space, when no empty lines are between them.
    if (folded && lineBreak.startsWith('\n') && !beforeBlank && !startsBlank) {
      if (breaks === '') parts.push(' ');
    } else parts.push(lineBreak);
    parts.push(
      breaks,
      cursor.take(() => true),
    );
    lineBreak = cursor.takeBreak();
    const next = scanBreaks(cursor, indent, parentIndent, start);
    breaks = next.breaks;
    end = next.end;
  }
  if (header.chomping !== 'strip') parts.push(lineBreak);
  if (header.chomping === 'keep') parts.push(breaks);
  return { kind: 'scalar', value: parts.join(''), plain: false, start, end };
}

/** `|`, then `+` or `-` and a digit in any order, blanks, a comment, the end of the line. */
function scanHeader(
  cursor: Cursor,
  start: Mark,
): { readonly chomping: Chomping; readonly increment: number } {
  const fail = (message: string): Error =>
    syntaxError('scanner', message, cursor.mark(), { while: 'while scanning a block scalar', since: start });
  let chomping: Chomping | undefined;
  let increment = 0;
  for (;;) {
    const code = cursor.peek();
    if (chomping === undefined && (code === 0x2b || code === 0x2d))
      chomping = code === 0x2b ? 'keep' : 'strip';
    else if (increment === 0 && isDecimalDigit(code)) {
      increment = code - 0x30;
      if (increment === 0) throw fail('found an indentation indicator equal to 0');
    } else break;
    cursor.skip();
  }
  cursor.take(isBlank);
  if (cursor.peek() === 0x23) cursor.take(() => true);
  if (!isBreakOrEnd(cursor.peek())) throw fail('did not find expected comment or line break');
  cursor.atEnd();
  cursor.takeBreak();
  return { chomping: chomping ?? 'clip', increment };
}

/** Indentation and empty lines; an `indent` of 0 is found out from the first line that is not empty. */
function scanBreaks(
  cursor: Cursor,
  indent: number,
  parentIndent: number,
  start: Mark,
): { readonly breaks: string; readonly indent: number; readonly end: Mark } {
  let breaks = '';
  let widest = 0;
  let end = cursor.mark();
  for (;;) {
    while ((indent === 0 || cursor.column < indent) && cursor.peek() === SPACE) cursor.skip();
    widest = Math.max(widest, cursor.column);
    if ((indent === 0 || cursor.column < indent) && cursor.peek() === TAB) {
      throw syntaxError(
        'scanner',
        'found a tab character where an indentation space is expected',
        cursor.mark(),
        { while: 'while scanning a block scalar', since: start },
      );
    }
    if (!isBreak(cursor.peek())) break;
    breaks += cursor.takeBreak();
    end = cursor.mark();
  }
  return { breaks, indent: indent === 0 ? Math.max(widest, parentIndent + 1, 1) : indent, end };
}
