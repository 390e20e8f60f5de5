import type { StoredEntry } from './store.ts';

/** One who waits for an entry to be made. */
export interface Waiter {
  readonly resolve: (entry: StoredEntry) => void;
  readonly reject: (error: unknown) => void;
}

/** Waits for the making of an entry, or leaves when the caller's signal aborts; the making goes on. */
export function joined(waiters: Set<Waiter>, signal: AbortSignal | undefined): Promise<StoredEntry> {
  const { promise, resolve, reject } = Promise.withResolvers<StoredEntry>();
  const leave = (): void => {
    waiters.delete(waiter);
    reject(signal?.reason);
  };
  const waiter: Waiter = {
    resolve: (entry) => {
      signal?.removeEventListener('abort', leave);
      resolve(entry);
    },
    reject: (error) => {
      signal?.removeEventListener('abort', leave);
      reject(error);
    },
  };
  waiters.add(waiter);
  signal?.addEventListener('abort', leave, { once: true });
  return promise;
}
