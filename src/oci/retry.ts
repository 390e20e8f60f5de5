import { setTimeout as delay } from 'node:timers/promises';
import { FactoryError, isAbort } from '../errors.ts';

/** How failed requests are tried again (spec: three attempts, about 1 s and 3 s apart). */
export interface RetryPolicy {
  /** All tries together, the first one too. */
  readonly attempts: number;
  /** Milliseconds before the second, third ... try; the last one is used for all further ones. */
  readonly delays: readonly number[];
  /** The longest `Retry-After` that is waited for, in milliseconds; a longer one ends the tries. */
  readonly maxRetryAfter: number;
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 3,
  delays: [1000, 3000],
  maxRetryAfter: 30_000,
  sleep: (milliseconds, signal) => delay(milliseconds, undefined, signal === undefined ? {} : { signal }),
};

const RETRIED_STATUSES: ReadonlySet<number> = new Set([408, 429, 499, 500, 502, 503, 504, 522]);

export function isRetriedStatus(status: number): boolean {
  return RETRIED_STATUSES.has(status);
}

/**
 * Waits before try `attempt + 1` (counted from 1). False when there is none: attempts are used up, or the
 * registry asked for a longer pause than we wait.
 */
export async function pause(
  policy: RetryPolicy,
  attempt: number,
  retryAfter: number | undefined,
  signal?: AbortSignal,
): Promise<boolean> {
  if (attempt >= policy.attempts) return false;
  const own = policy.delays[Math.min(attempt, policy.delays.length) - 1] ?? 0;
  const asked = retryAfter === undefined ? 0 : retryAfter * 1000;
  if (asked > policy.maxRetryAfter) return false;
  await policy.sleep(Math.max(own, asked), signal);
  return true;
}

/** Runs `attempt` until it succeeds, fails for good (not `unavailable` or `upstream` trouble), or tries end. */
export async function retrying<T>(
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
  attempt: (number: number) => Promise<T>,
): Promise<T> {
  for (let number = 1; ; number++) {
    signal?.throwIfAborted();
    try {
      return await attempt(number);
    } catch (error) {
      if (isAbort(error) || signal?.aborted || !isTransient(error)) throw error;
      if (!(await pause(policy, number, undefined, signal))) throw error;
    }
  }
}

/** Trouble that another try may not meet: the network's, and the registry's statuses of trouble. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof FactoryError &&
    (error.code === 'OCI_UNREACHABLE' ||
      error.code === 'OCI_REGISTRY_FAILED' ||
      error.code === 'OCI_RATE_LIMITED')
  );
}

/** `Retry-After` in seconds, from now (RFC 9110 §10.2.3: seconds or an HTTP date). */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}
