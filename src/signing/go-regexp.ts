import { signingError } from './errors.ts';

/** POSIX classes of RE2, inside of brackets. */
const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

/** What a token at some place becomes; `undefined`: Go does not know it, or it has no counterpart. */
type Rule = readonly [RegExp, (...groups: readonly string[]) => string | undefined];

const character = (text: string): string => `\\u{${(text.codePointAt(0) ?? 0).toString(16)}}`;

const ESCAPES: readonly Rule[] = [
  [/\\x\{([0-9A-Fa-f]{1,6})\}/y, (_, code = '') => `\\u{${code}}`],
  [/\\(?:x[0-9A-Fa-f]{2}|[dDsSwWfnrtv])/y, (all) => all],
  [/\\a/y, () => '\\x07'],
  [/\\([!-/:-@[-`{-~])/y, (_, punctuation = '') => character(punctuation)],
];

const OUTSIDE: readonly Rule[] = [
  [/\(\?P?<([A-Za-z_][0-9A-Za-z_]*)>/y, (_, name = '') => `(?<${name}>`],
  [/\(\?(?:[ims]*|[ims]*-[ims]+):/y, (all) => all],
  [/\(\?/y, () => undefined],
  [/\\A/y, () => '(?<![^])'],
  [/\\z/y, () => '(?![^])'],
  [/\\[bB]/y, (all) => all],
  ...ESCAPES,
  [/\\/y, () => undefined],
  [/\{[0-9]+(?:,[0-9]*)?\}/y, (all) => all],
  // Literal where they stand alone.
  [/[{}\]]/y, (all) => character(all ?? '')],
  [/./suy, (all) => all],
];

const INSIDE: readonly Rule[] = [
  [/\[:([a-z]+):\]/y, (_, name = '') => POSIX[name]],
  [/\[:\^/y, () => undefined],
  ...ESCAPES,
  [/\\/y, () => undefined],
  [/\[/y, (all) => character(all ?? '')],
  [/./suy, (all) => all],
];

/**
 * A regular expression in Go's syntax (RE2, google/re2 wiki "Syntax"), for an unanchored search in printable ASCII:
 * where the two languages differ on other characters (`.`, `\s`, case folding) is not told apart.
 * Throws `invalid` `SIGNATURE_POLICY_INVALID`, which names `setting`: what Go would refuse, too (look-around,
 * back-references), and the few things that JavaScript cannot say (`\Q...\E`, `\C`, Unicode classes, flags in the
 * middle of the expression).
 */
export function goRegExp(pattern: string, setting: string): RegExp {
  // Leading flags; U exchanges greedy and lazy, which makes no difference to whether there is a match.
  const leading = /^\(\?([imsU]+)\)/.exec(pattern);
  const flags = new Set([...(leading?.[1] ?? '')].filter((flag) => flag !== 'U'));
  const refuse = (reason: string, cause?: unknown): never => {
    throw signingError(
      'invalid',
      'SIGNATURE_POLICY_INVALID',
      `${setting}: regular expression ${JSON.stringify(pattern)} cannot be used: ${reason}`,
      { cause },
    );
  };
  let result = '';
  let at = leading?.[0].length ?? 0;
  let inside = false;
  while (at < pattern.length) {
    const open = inside ? null : matchAt(/\[(\^?)(\]?)/y, pattern, at);
    if (open !== null) {
      inside = true;
      result += `[${open[1]}${open[2] === '' ? '' : '\\]'}`;
      at += open[0].length;
      continue;
    }
    if (inside && pattern[at] === ']') {
      inside = false;
      result += ']';
      at += 1;
      continue;
    }
    for (const [token, translate] of inside ? INSIDE : OUTSIDE) {
      const match = matchAt(token, pattern, at);
      if (match === null) continue;
      result +=
        translate(...match) ?? refuse(`${JSON.stringify(pattern.slice(at, at + 4))} is not supported`);
      at += match[0].length;
      break;
    }
  }
  try {
    return new RegExp(result, `${[...flags].join('')}u`);
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function matchAt(token: RegExp, text: string, at: number): RegExpExecArray | null {
  // A copy: `lastIndex` of a table's expression would be state that calls share.
  const sticky = new RegExp(token.source, token.flags);
  sticky.lastIndex = at;
  return sticky.exec(text);
}
