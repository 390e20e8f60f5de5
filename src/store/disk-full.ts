import { FactoryError } from '../errors.ts';

/** True when the error, or what caused it, is a full disk or quota (`ENOSPC`, `EDQUOT` of write(2)). */
export function isDiskFull(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if ('code' in at && (at.code === 'ENOSPC' || at.code === 'EDQUOT')) return true;
    if (at instanceof FactoryError && at.code === 'STORE_DISK_FULL') return true;
  }
  return false;
}

export function diskFullError(directory: string, cause: unknown): FactoryError {
  return new FactoryError(
    'unavailable',
    'STORE_DISK_FULL',
    `no space left in the store directory ${directory}: free some, or lower the maximum size of the store`,
    { cause, retryAfter: 60 },
  );
}
