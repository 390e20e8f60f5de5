import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FactoryError } from '../errors.ts';

/** SQLite's primary result code for a lock that another connection holds (sqlite.org/rescode.html). */
const SQLITE_BUSY = 5;

/**
 * Takes a directory for this process alone, until disposed or the process is gone, however it went.
 * The lock is the kernel's lock on a file (through SQLite's exclusive mode; Node itself offers none), so
 * nothing stale stays after `kill -9` and process numbers of other containers cannot be mistaken for ours.
 * Throws `unavailable` `STORE_IN_USE` when another process holds it.
 */
export function lockDirectory(directory: string): Disposable {
  const path = join(directory, 'lock');
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
      throw new FactoryError(
        'unavailable',
        'STORE_IN_USE',
        `store directory ${directory} is in use by another process (it holds the lock on ${path}): stop it, or give each process a directory of its own`,
        { cause: error },
      );
    }
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}
