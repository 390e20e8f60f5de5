import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Clock, systemClock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import { orAborted } from './abortable.ts';
import { lockDirectory } from './directory-lock.ts';
import { diskFullError, isDiskFull } from './disk-full.ts';
import {
  directoryName,
  type EntryContent,
  FILES,
  readEntry,
  sealEntry,
  stampUse,
  syncDirectory,
} from './entry-directory.ts';
import { pinnedEntry } from './pinned-entry.ts';
import type { LocalStore, ScratchDirectory, StoredEntry } from './store.ts';
import { joined, type Waiter } from './waiters.ts';

export interface LocalStoreOptions {
  /** Made when absent; of this process alone while the store is open. */
  readonly directory: string;
  /** The most bytes that entries may take; what is held may exceed it. */
  readonly maxBytes: number;
  readonly log?: Log;
  readonly clock?: Clock;
  /** Milliseconds that one `make` may take: 20 minutes unless told (`spec/artifacts.md` §8). */
  readonly makeTimeout?: number;
}

export interface StoreUsage {
  readonly bytes: number;
  readonly entries: number;
  /** Entries that someone holds. */
  readonly pinned: number;
}

/** A local store with its lifetime: disposing stops what is being made and frees the directory. */
export interface OpenLocalStore extends LocalStore, AsyncDisposable {
  usage(): StoreUsage;
}

const MAKE_TIMEOUT = 20 * 60_000;
/** Milliseconds that closing waits for work that was told to stop. */
const CLOSE_TIMEOUT = 5_000;
/** Milliseconds between two writes of one entry's stamp: the order of use needs no more. */
const STAMP_INTERVAL = 60_000;

/**
 * Opens the local store in a directory:
 * `lock` (see `lockDirectory`), `entries/<sha256 of the key>/` (`entry.json` and `files/`), and `work/`, whose
 * content never outlives the process that made it and is swept here.
 * Throws `unavailable` `STORE_IN_USE`, `internal` `STORE_UNUSABLE`.
 */
export async function openLocalStore(options: LocalStoreOptions): Promise<OpenLocalStore> {
  const root = resolve(options.directory);
  try {
    await mkdir(join(root, 'entries'), { recursive: true, mode: 0o700 });
    const lock = lockDirectory(root);
    try {
      return await openLocked(root, options, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  } catch (error) {
    if (error instanceof FactoryError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new FactoryError(
      'internal',
      'STORE_UNUSABLE',
      `store directory ${root} cannot be used: ${reason}`,
      {
        cause: error,
      },
    );
  }
}

async function openLocked(
  root: string,
  options: LocalStoreOptions,
  lock: Disposable,
): Promise<DirectoryStore> {
  const log = options.log ?? silentLog;
  await rm(join(root, 'work'), { recursive: true, force: true });
  await mkdir(join(root, 'work'), { mode: 0o700 });
  const store = new DirectoryStore(root, options, lock);
  for (const name of await readdir(join(root, 'entries'))) {
    const directory = join(root, 'entries', name);
    const found = await readEntry(directory, name);
    if (found === undefined) {
      log.warn('removing a damaged entry of the local store', { directory });
      await rm(directory, { recursive: true, force: true });
    } else store.adopt(directory, found, found.usedAt);
  }
  store.fit();
  return store;
}

interface Entry {
  readonly directory: string;
  readonly content: EntryContent;
  readonly bytes: number;
  pins: number;
  /** Milliseconds of the last use as known here, and as written to the disk. */
  usedAt: number;
  stampedAt: number;
}

type Make = (directory: string, signal: AbortSignal) => Promise<void>;

class DirectoryStore implements OpenLocalStore {
  readonly #root: string;
  readonly #maxBytes: number;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #makeTimeout: number;
  readonly #lock: Disposable;
  /** In order of use, the least recent first. */
  readonly #entries = new Map<string, Entry>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #closing = new AbortController();
  /** Work on the disk that nobody waits for, but closing does. */
  readonly #background = new Set<Promise<void>>();
  readonly #evictions = new Set<Promise<void>>();
  #bytes = 0;

  constructor(root: string, options: LocalStoreOptions, lock: Disposable) {
    this.#root = root;
    this.#maxBytes = options.maxBytes;
    this.#log = options.log ?? silentLog;
    this.#clock = options.clock ?? systemClock;
    this.#makeTimeout = options.makeTimeout ?? MAKE_TIMEOUT;
    this.#lock = lock;
  }

  /** Takes over an entry that lies in its place. */
  adopt(directory: string, content: EntryContent, usedAt: number): Entry {
    let bytes = 0;
    for (const size of content.sizes.values()) bytes += size;
    const entry: Entry = { directory, content, bytes, pins: 0, usedAt, stampedAt: usedAt };
    this.#entries.set(content.key, entry);
    this.#bytes += bytes;
    return entry;
  }

  lookup(key: string): StoredEntry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : this.#pin(entry);
  }

  async obtain(key: string, make: Make, signal?: AbortSignal): Promise<StoredEntry> {
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw closedError(this.#root);
    const found = this.lookup(key);
    if (found !== undefined) return found;
    let waiters = this.#waiters.get(key);
    if (waiters === undefined) {
      waiters = new Set();
      this.#waiters.set(key, waiters);
      this.#inBackground(this.#settle(key, waiters, make));
    }
    return joined(waiters, signal);
  }

  async scratch(): Promise<ScratchDirectory> {
    if (this.#closing.signal.aborted) throw closedError(this.#root);
    const path = await this.#workDirectory().catch((error: unknown) => {
      throw isDiskFull(error) ? diskFullError(this.#root, error) : error;
    });
    return {
      path,
      [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
    };
  }

  usage(): StoreUsage {
    let pinned = 0;
    for (const entry of this.#entries.values()) if (entry.pins > 0) pinned++;
    return { bytes: this.#bytes, entries: this.#entries.size, pinned };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closedError(this.#root));
    const drained = (async () => {
      while (this.#background.size > 0) await Promise.all(this.#background);
    })();
    // What does not heed its signal is left behind: the next process sweeps it.
    const timer = new AbortController();
    await Promise.race([drained, setTimeout(CLOSE_TIMEOUT, undefined, { signal: timer.signal })]);
    timer.abort();
    this.#lock[Symbol.dispose]();
  }

  /** Evicts the least recently used entries that nobody holds until the rest fits into `limit` bytes. */
  fit(limit = this.#maxBytes): void {
    if (this.#bytes <= limit) return;
    const byUse = [...this.#entries.values()].sort((a, b) => a.usedAt - b.usedAt);
    for (const entry of byUse) {
      if (this.#bytes <= limit) return;
      if (entry.pins === 0) this.#evict(entry);
    }
  }

  #evict(entry: Entry): void {
    this.#entries.delete(entry.content.key);
    this.#bytes -= entry.bytes;
    const trash = join(this.#root, 'work', `evicted-${randomUUID()}`);
    try {
      // At once and not in the background: the same key may be made again before the next turn.
      renameSync(entry.directory, trash);
    } catch (error) {
      this.#log.warn('failed to evict from the local store', { directory: entry.directory, error });
      return;
    }
    this.#log.debug('evicted from the local store', { key: entry.content.key, bytes: entry.bytes });
    const removed = rm(trash, { recursive: true, force: true }).finally(() =>
      this.#evictions.delete(removed),
    );
    this.#evictions.add(removed);
    this.#inBackground(removed);
  }

  #pin(entry: Entry): StoredEntry {
    entry.pins++;
    entry.usedAt = this.#clock.now();
    // Map order breaks ties of one millisecond: fit() sorts stably.
    this.#entries.delete(entry.content.key);
    this.#entries.set(entry.content.key, entry);
    if (entry.usedAt - entry.stampedAt >= STAMP_INTERVAL) {
      entry.stampedAt = entry.usedAt;
      this.#inBackground(stampUse(entry.directory, entry.usedAt));
    }
    return pinnedEntry(entry.directory, entry.content, () => {
      entry.pins--;
      if (entry.pins === 0) this.fit();
    });
  }

  async #settle(key: string, waiters: Set<Waiter>, make: Make): Promise<void> {
    try {
      const entry = await this.#makeEntry(key, make);
      this.#waiters.delete(key);
      for (const waiter of waiters) waiter.resolve(this.#pin(entry));
      this.fit();
    } catch (error) {
      this.#waiters.delete(key);
      if (waiters.size === 0) this.#log.warn('making a store entry failed', { key, error });
      for (const waiter of waiters) waiter.reject(error);
    }
  }

  async #makeEntry(key: string, make: Make): Promise<Entry> {
    try {
      return await this.#tryMake(key, make);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#log.warn('no space left: emptying the local store of what nobody holds', {
        directory: this.#root,
      });
      this.fit(0);
      await Promise.allSettled(this.#evictions);
    }
    try {
      return await this.#tryMake(key, make);
    } catch (error) {
      throw isDiskFull(error) ? diskFullError(this.#root, error) : error;
    }
  }

  async #tryMake(key: string, make: Make): Promise<Entry> {
    const timeout = AbortSignal.timeout(this.#makeTimeout);
    const signal = AbortSignal.any([timeout, this.#closing.signal]);
    const work = await this.#workDirectory();
    const made = (async () => {
      await mkdir(join(work, FILES), { mode: 0o700 });
      signal.throwIfAborted();
      await make(join(work, FILES), signal);
      signal.throwIfAborted();
      return sealEntry(work, key);
    })();
    try {
      const content = await orAborted(made, signal);
      const place = join(this.#root, 'entries', directoryName(key));
      // What lies there is no entry any more: its eviction failed, or somebody else put it there.
      await rm(place, { recursive: true, force: true });
      await rename(work, place);
      await syncDirectory(join(this.#root, 'entries'));
      return this.adopt(place, content, this.#clock.now());
    } catch (error) {
      // A `make` that does not heed its signal may still be writing: its directory goes when it has ended.
      const cleared = made.catch(() => {}).then(() => rm(work, { recursive: true, force: true }));
      if (signal.aborted) this.#inBackground(cleared);
      else await cleared;
      if (!timeout.aborted || this.#closing.signal.aborted) throw error;
      throw new FactoryError(
        'unavailable',
        'STORE_MAKE_TIMEOUT',
        `${key} was not made within ${this.#makeTimeout / 1000} s`,
        { cause: error, retryAfter: 60 },
      );
    }
  }

  async #workDirectory(): Promise<string> {
    const path = join(this.#root, 'work', randomUUID());
    await mkdir(path, { mode: 0o700 });
    return path;
  }

  #inBackground(work: Promise<void>): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => this.#log.warn('the local store failed in the background', { error }))
      .finally(() => this.#background.delete(tracked));
    this.#background.add(tracked);
  }
}

function closedError(root: string): FactoryError {
  return new FactoryError('unavailable', 'STORE_CLOSED', `the store directory ${root} is being closed`, {
    retryAfter: 10,
  });
}
