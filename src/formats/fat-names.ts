import { FactoryError } from '../errors.ts';

/** How a name is stored in a directory: the 11 bytes of the short one, and what it takes to get the real one back. */
export interface FatName {
  readonly short: string;
  /** Bits 3 and 4 of byte 12: base or extension are shown in lower case (Windows NT). */
  readonly caseFlags: number;
  /** The long name, when the short one with its flags is not the same. */
  readonly long: string | undefined;
}

export const LOWER_BASE = 0x08;
export const LOWER_EXTENSION = 0x10;

const SHORT_CHARS = /^[A-Z0-9$%'\-_@~`!(){}^#&]*$/;
/** Control characters and those that Windows refuses (FAT specification §7). */
const FORBIDDEN = /["*/:<>?\\|\p{Cc}]/u;
const LONGEST = 255;

/**
 * Gives each name of one directory its stored form. Throws `invalid` `FAT_NAME_INVALID`, and `FAT_NAME_CONFLICT`
 * for names that differ in case only.
 */
export function fatNames(names: readonly string[]): readonly FatName[] {
  const seen = new Set<string>();
  for (const name of names) {
    checkName(name);
    const folded = name.toUpperCase();
    if (seen.has(folded))
      throw new FactoryError(
        'invalid',
        'FAT_NAME_CONFLICT',
        `two files of one FAT directory are called ${JSON.stringify(name)} but for upper and lower case`,
      );
    seen.add(folded);
  }
  const simple = names.map(simpleName);
  const taken = new Set(simple.flatMap((name) => (name === undefined ? [] : [name.short])));
  return names.map((name, i) => {
    const own = simple[i];
    if (own !== undefined) return own;
    const short = numberedName(name, taken);
    taken.add(short);
    return { short, caseFlags: 0, long: name };
  });
}

/** The name that a short name and its flags stand for. */
export function shortNameText(short: string, caseFlags: number): string {
  const base = short.slice(0, 8).trimEnd();
  const extension = short.slice(8).trimEnd();
  const shownBase = caseFlags & LOWER_BASE ? base.toLowerCase() : base;
  const shownExtension = caseFlags & LOWER_EXTENSION ? extension.toLowerCase() : extension;
  return extension === '' ? shownBase : `${shownBase}.${shownExtension}`;
}

/** The checksum that ties long name entries to their short one (FAT specification §7.2). */
export function shortNameChecksum(short: string): number {
  let sum = 0;
  for (let i = 0; i < 11; i++) sum = (((sum & 1) << 7) + (sum >> 1) + short.charCodeAt(i)) & 0xff;
  return sum;
}

function checkName(name: string): void {
  const fault =
    name === '' || name === '.' || name === '..'
      ? 'no name'
      : name.length > LONGEST
        ? `longer than ${LONGEST} characters`
        : FORBIDDEN.test(name) || !name.isWellFormed()
          ? 'a character that FAT does not allow'
          : /[. ]$/.test(name)
            ? 'it ends with a dot or a blank'
            : undefined;
  if (fault !== undefined)
    throw new FactoryError('invalid', 'FAT_NAME_INVALID', `file name ${JSON.stringify(name)}: ${fault}`);
}

/** The short form of a name of 8.3 characters of which base and extension each are of one case. */
function simpleName(name: string): FatName | undefined {
  const [base = '', extension = '', ...more] = name.split('.');
  if (more.length > 0 || base === '' || base.length > 8 || extension.length > 3) return undefined;
  if (name.endsWith('.') || !isOneCase(base) || !isOneCase(extension)) return undefined;
  const short = base.toUpperCase().padEnd(8) + extension.toUpperCase().padEnd(3);
  if (!SHORT_CHARS.test(short.replaceAll(' ', ''))) return undefined;
  const caseFlags =
    (base === base.toUpperCase() ? 0 : LOWER_BASE) |
    (extension === extension.toUpperCase() ? 0 : LOWER_EXTENSION);
  return name.includes(' ') ? undefined : { short, caseFlags, long: undefined };
}

function isOneCase(part: string): boolean {
  // Only ASCII letters are stored in short names: others need the long one.
  return /^[\x21-\x7e]*$/.test(part) && (part === part.toUpperCase() || part === part.toLowerCase());
}

/** `LONGNA~1EXT`: the first number that is free (FAT specification §7.4, "numeric tail"). */
function numberedName(name: string, taken: ReadonlySet<string>): string {
  const dot = name.lastIndexOf('.');
  const base = basis(dot > 0 ? name.slice(0, dot) : name);
  const extension = dot > 0 ? basis(name.slice(dot + 1)).slice(0, 3) : '';
  for (let n = 1; n <= 999_999; n++) {
    const tail = `~${n}`;
    const short = (base.slice(0, 8 - tail.length) + tail).padEnd(8) + extension.padEnd(3);
    if (!taken.has(short)) return short;
  }
  throw new FactoryError(
    'invalid',
    'FAT_NAME_CONFLICT',
    `too many files are called like ${JSON.stringify(name)}`,
  );
}

function basis(part: string): string {
  const upper = part.toUpperCase().replaceAll(/[ .]/g, '');
  return [...upper].map((char) => (SHORT_CHARS.test(char) ? char : '_')).join('');
}
