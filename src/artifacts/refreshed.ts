import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import type { Log } from '../log.ts';
import { orAborted } from '../store/abortable.ts';

export interface RefreshedOptions<T> {
  /** For the log and for errors. */
  readonly what: string;
  /** Gets the value anew; `previous` may be given back when it still holds. */
  readonly load: (previous: T | undefined, signal: AbortSignal) => Promise<T>;
  /** Milliseconds for which a value is used without asking. */
  readonly interval: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds that one load may take: 20 minutes unless told. */
  readonly timeout?: number;
}

const LOAD_TIMEOUT = 20 * 60_000;
/** Milliseconds that a caller waits for news when there is an old value to be had. */
const PATIENCE = 5_000;
/** Milliseconds between tries after failures, doubled from the one to the other. */
const FIRST_PAUSE = 5_000;
const LONGEST_PAUSE = 5 * 60_000;

/**
 * A value from upstream that is kept fresh and never lost: asked for once by all callers together, renewed in
 * the background when it is older than the interval, and served old, with a line in the log, while upstream fails.
 */
export class Refreshed<T> {
  readonly #options: RefreshedOptions<T>;
  #value: { readonly value: T; readonly at: number } | undefined;
  #running: Promise<T> | undefined;
  #failures = 0;
  #failedAt = 0;

  constructor(options: RefreshedOptions<T>) {
    this.#options = options;
  }

  /** The last value, however old, without asking. */
  get last(): T | undefined {
    return this.#value?.value;
  }

  /** The value; the first one is waited for. A signal ends the waiting, not the asking. */
  async get(signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const kept = this.#value;
    if (kept === undefined) return orAborted(this.#refresh(), signal);
    const age = this.#options.clock.now() - kept.at;
    if (age < this.#options.interval) return kept.value;
    if (this.#mayTry()) this.#refresh().catch(ignored);
    // Nobody asked for long: the caller had better wait a little than get what may be very old.
    return age < 2 * this.#options.interval ? kept.value : this.#renewed(kept.value, signal);
  }

  /** As `get`, but what is older than the interval is waited for: for those who miss something in the old value. */
  async fresh(signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const kept = this.#value;
    if (kept === undefined || this.#options.clock.now() - kept.at < this.#options.interval)
      return this.get(signal);
    if (this.#mayTry()) this.#refresh().catch(ignored);
    return this.#renewed(kept.value, signal);
  }

  async #renewed(old: T, signal: AbortSignal | undefined): Promise<T> {
    const running = this.#running;
    if (running === undefined) return old;
    const patience = Promise.withResolvers<T>();
    const timer = setTimeout(() => patience.resolve(old), PATIENCE);
    try {
      return await orAborted(Promise.race([running.catch(() => old), patience.promise]), signal);
    } finally {
      clearTimeout(timer);
    }
  }

  #mayTry(): boolean {
    if (this.#running !== undefined || this.#failures === 0) return true;
    const pause = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE, this.#options.interval);
    return this.#options.clock.now() - this.#failedAt >= pause;
  }

  #refresh(): Promise<T> {
    this.#running ??= this.#load().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #load(): Promise<T> {
    const { what, load, clock, log, timeout = LOAD_TIMEOUT } = this.#options;
    const deadline = AbortSignal.timeout(timeout);
    try {
      const value = await orAborted(load(this.#value?.value, deadline), deadline);
      this.#value = { value, at: clock.now() };
      this.#failures = 0;
      return value;
    } catch (error) {
      this.#failures++;
      this.#failedAt = clock.now();
      if (this.#value !== undefined) {
        const age = Math.round((clock.now() - this.#value.at) / 1000);
        log.warn(`failed to refresh ${what}, using what is known`, { error, age_seconds: age });
      }
      if (!deadline.aborted) throw error;
      throw new FactoryError(
        'unavailable',
        'ARTIFACT_TIMEOUT',
        `${what}: no answer within ${timeout / 1000} s`,
        {
          cause: error,
          retryAfter: 60,
        },
      );
    }
  }
}

/** Reported by the load itself. */
const ignored = (): void => {};
