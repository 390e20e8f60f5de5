import type { LeafBlob, Nature } from '../blob/blob.ts';

/**
 * The local store: directories of files, each made once under a key that names its content for ever
 * (a digest, or a hash of all inputs). It survives restarts, is bounded in size, and forgets what was least
 * recently used, but never what someone holds.
 */
export interface LocalStore {
  /** The entry under `key`, pinned until disposed; `undefined` when it is not there. */
  lookup(key: string): StoredEntry | undefined;
  /**
   * The entry under `key`, made by `make` when it is not there. Concurrent callers share one `make`, which
   * goes on when a caller's signal aborts (it has a deadline of its own). `make` writes into `directory` (empty,
   * private); the entry appears whole, synced and renamed, or not at all.
   */
  obtain(
    key: string,
    make: (directory: string, signal: AbortSignal) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<StoredEntry>;
  /** An empty directory that is gone when disposed, and swept at the next start after a crash. */
  scratch(): Promise<ScratchDirectory>;
}

/** A pinned entry. Blobs got from it may be read until it is disposed. */
export interface StoredEntry extends Disposable {
  readonly key: string;
  /** Absolute path of a file of the entry, for programs. Throws when there is no such file. */
  path(name: string): string;
  /** Throws when there is no such file; `has` asks. */
  blob(name: string, nature?: Nature): LeafBlob;
  has(name: string): boolean;
  /** Paths of all files below the entry, relative, sorted. */
  names(): readonly string[];
}

export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}
