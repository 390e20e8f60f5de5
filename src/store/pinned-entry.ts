import { join } from 'node:path';
import type { LeafBlob, Nature } from '../blob/blob.ts';
import { fileBlob } from '../blob/file.ts';
import { FactoryError } from '../errors.ts';
import { type EntryContent, FILES } from './entry-directory.ts';
import type { StoredEntry } from './store.ts';

/** An entry for one who holds it; `unpin` is called once, at its disposal. */
export function pinnedEntry(directory: string, content: EntryContent, unpin: () => void): StoredEntry {
  const { key, sizes } = content;
  let disposed = false;
  const known = (name: string): number => {
    const size = sizes.get(name);
    if (disposed) {
      throw new FactoryError(
        'internal',
        'STORE_ENTRY_DISPOSED',
        `store entry ${key} is used after its disposal`,
      );
    }
    if (size === undefined) {
      throw new FactoryError(
        'internal',
        'STORE_FILE_MISSING',
        `store entry ${key} has no file ${JSON.stringify(name)}`,
      );
    }
    return size;
  };
  const path = (name: string): string => {
    known(name);
    return join(directory, FILES, name);
  };
  return {
    key,
    path,
    blob: (name: string, nature: Nature = 'plain'): LeafBlob =>
      fileBlob(path(name), { size: known(name), nature, key: `${key}/${name}` }),
    has: (name) => sizes.has(name),
    names: () => [...sizes.keys()],
    [Symbol.dispose]: () => {
      if (disposed) return;
      disposed = true;
      unpin();
    },
  };
}
