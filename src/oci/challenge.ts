/** One challenge of a `WWW-Authenticate` header: scheme in lower case, parameter names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const BLANKS = /[ \t]*/y;
const SEPARATORS = /[ \t,]*/y;
const EQUALS = /[ \t]*=[ \t]*/y;

/** Longer headers are not parsed: nobody sends them. */
const MAX_HEADER = 16 * 1024;

/** RFC 9110 §11.6.1. What does not parse ends the list; the challenges before it count. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: Challenge[] = [];
  if (header.length > MAX_HEADER) return challenges;
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  take(SEPARATORS);
  while (at < header.length) {
    const scheme = take(TOKEN);
    if (scheme === null) return challenges;
    const parameters = new Map<string, string>();
    challenges.push({ scheme: scheme[0].toLowerCase(), parameters });
    take(BLANKS);
    if (take(TOKEN68) === null) {
      while (at < header.length) {
        const start = at;
        const name = take(TOKEN);
        if (name === null || take(EQUALS) === null) {
          at = start; // the next challenge's scheme
          break;
        }
        const quoted = take(QUOTED);
        const value = quoted === null ? take(TOKEN)?.[0] : quoted[1]?.replaceAll(/\\(.)/g, '$1');
        if (value === undefined) return challenges;
        if (!parameters.has(name[0].toLowerCase())) parameters.set(name[0].toLowerCase(), value);
        take(SEPARATORS);
      }
    }
    take(SEPARATORS);
  }
  return challenges;
}
