/** Longest file identifier (name and extension together) and directory identifier of interchange level 2 and 3. */
const FILE_LENGTH = 30;
const DIRECTORY_LENGTH = 31;
const EXTENSION_LENGTH = 12;

/** A name of one directory and whether it is a directory itself. */
export interface NamedEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

/**
 * File identifiers (ECMA-119 §7.5 and §7.6) for the names of one directory, different from each other:
 * upper case, what is not allowed replaced by `_`. The real names are in Rock Ridge entries.
 */
export function isoIdentifiers(entries: readonly NamedEntry[]): readonly string[] {
  const taken = new Set<string>();
  return entries.map((entry) => {
    for (let n = 0; ; n++) {
      const identifier = entry.isDirectory
        ? directoryIdentifier(entry.name, n)
        : fileIdentifier(entry.name, n);
      // A directory and a file may not share a name either, of which the version is no part.
      const bare = identifier.replace(/\.?;1$/, '');
      if (taken.has(bare)) continue;
      taken.add(bare);
      return identifier;
    }
  });
}

/** Order of the records of a directory (ECMA-119 §9.3): by name, then extension, shorter ones padded with blanks. */
export function compareIdentifiers(a: string, b: string): number {
  const keyOf = (identifier: string): string => {
    const [name = '', extension = ''] = identifier.replace(/;1$/, '').split('.');
    return name.padEnd(DIRECTORY_LENGTH) + extension.padEnd(DIRECTORY_LENGTH);
  };
  const [keyA, keyB] = [keyOf(a), keyOf(b)];
  return keyA < keyB ? -1 : keyA > keyB ? 1 : 0;
}

function directoryIdentifier(name: string, n: number): string {
  return numbered(dCharacters(name), n, DIRECTORY_LENGTH);
}

function fileIdentifier(name: string, n: number): string {
  const dot = name.lastIndexOf('.');
  const base = dCharacters(dot > 0 ? name.slice(0, dot) : name);
  const extension = dot > 0 ? dCharacters(name.slice(dot + 1)).slice(0, EXTENSION_LENGTH) : '';
  return `${numbered(base, n, FILE_LENGTH - extension.length)}.${extension};1`;
}

function numbered(text: string, n: number, length: number): string {
  const tail = n === 0 ? '' : String(n).padStart(3, '0');
  return text.slice(0, length - tail.length) + tail;
}

function dCharacters(text: string): string {
  return [...text]
    .map((char) =>
      /[A-Z0-9_]/.test(char.toUpperCase()) && char.length === 1 && /[\x21-\x7e]/.test(char)
        ? char.toUpperCase()
        : '_',
    )
    .join('');
}
