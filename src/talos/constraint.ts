import { FactoryError } from '../errors.ts';
import { compareVersions, parseConfiguredVersion, type TalosVersion } from './version.ts';

type Test = (version: TalosVersion) => boolean;
type Operator = '=' | '!=' | '>' | '>=' | '<' | '<=';

const MAX_LENGTH = 1024;
const OPERATORS: Readonly<Record<string, Operator>> = {
  '': '=',
  '=': '=',
  '==': '=',
  '!': '!=',
  '!=': '!=',
  '>': '>',
  '>=': '>=',
  '<': '<',
  '<=': '<=',
};
const COMPARATOR = /^([=!<>]*)([^=!<>|\s]+)$/;
const WILDCARD =
  /^(?:x(?:\.x){0,2}|(?<major>0|[1-9][0-9]{0,8})\.(?:x(?:\.x)?|(?<minor>0|[1-9][0-9]{0,8})\.x))$/i;

/**
 * Whether a version is in a range of versions as extensions state their compatibility (`spec/initramfs.md` §2.3):
 * `>= v1.8.0 <1.10.0 || 1.12.x`. Comparators with blanks between them must all hold, `||` separates alternatives;
 * operators `=`/`==`/none, `!`/`!=`, `>`, `>=`, `<`, `<=`; versions `X.Y.Z[-pre]`, `X.Y.x`, `X.x`. A `v` before a
 * digit is ignored. Only major.minor.patch of `version` count: `>= 1.8.0` accepts `1.8.0-alpha.1`. A text of
 * blanks only accepts everything.
 * Throws `invalid` `CONSTRAINT_INVALID`: `error parsing Talos version constraint: …`.
 */
export function satisfies(version: TalosVersion, constraint: string): boolean {
  if (constraint.length > MAX_LENGTH) throw invalid('it is too long');
  const plain = constraint.replace(/v(?=[0-9])/g, '').trim();
  if (plain === '') return true;
  const release: TalosVersion = { ...version, prerelease: [], build: [] };
  const alternatives = plain.split('||').map(parseAlternative);
  return alternatives.some((tests) => tests.every((test) => test(release)));
}

function parseAlternative(text: string): readonly Test[] {
  // Blanks between an operator and its version belong to the comparator.
  const words = text
    .replace(/([=!<>])\s+/g, '$1')
    .trim()
    .split(/\s+/);
  return words.map(parseComparator);
}

function parseComparator(word: string): Test {
  const match = COMPARATOR.exec(word);
  const operator = match?.[1] === undefined ? undefined : operatorOf(match[1]);
  const bound = match?.[2];
  if (operator === undefined || bound === undefined) {
    throw invalid(word === '' ? 'an alternative is empty' : `could not parse ${JSON.stringify(word)}`);
  }
  const wildcard = WILDCARD.exec(bound);
  if (wildcard !== null) return wildcardTest(operator, wildcard.groups?.major, wildcard.groups?.minor);
  const version = parseConfiguredVersion(bound);
  if (version === undefined) throw invalid(`invalid version ${JSON.stringify(bound)}`);
  return (other) => holds(operator, compareVersions(other, version));
}

/** `1.2.x` is everything from 1.2.0 up to, not including, 1.3.0. */
function wildcardTest(operator: Operator, major: string | undefined, minor: string | undefined): Test {
  return (other) => {
    let order = 0;
    if (major !== undefined) order = other.major - Number(major);
    if (minor !== undefined && order === 0) order = other.minor - Number(minor);
    return holds(operator, order);
  };
}

function holds(operator: Operator, order: number): boolean {
  switch (operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
  }
}

function operatorOf(text: string): Operator | undefined {
  return Object.hasOwn(OPERATORS, text) ? OPERATORS[text] : undefined;
}

function invalid(reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'CONSTRAINT_INVALID',
    `error parsing Talos version constraint: ${reason}`,
  );
}
