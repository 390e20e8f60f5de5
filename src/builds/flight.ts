import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';

export interface FlightOptions {
  readonly clock: Clock;
  /** Milliseconds after which the signal of the work aborts; then all who wait get `BUILD_DEADLINE`. */
  readonly deadlineMs: number;
  /** Milliseconds that an error of kind `invalid` is remembered, since trying again cannot help; 0: not at all. */
  readonly rememberInvalidMs: number;
}

/** The most errors that are remembered at a time. */
const MOST_REMEMBERED = 1000;

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

interface Running<T> {
  readonly waiters: Set<Waiter<T>>;
  readonly stop: AbortController;
}

/**
 * Single flight: one work a key at a time, whose result all who ask meanwhile get. Who asks may leave (by signal);
 * the work goes on, for those who come back.
 *
 * `share` makes the result for one of them out of the result of the work. It runs in the same turn in which the work
 * ends, so that results that are counted cannot vanish in between. `landed` runs after it: for what remains.
 */
export class Flight<R, T> {
  readonly #options: FlightOptions;
  readonly #share: (result: R) => T;
  readonly #landed: (result: R) => void;
  readonly #running = new Map<string, Running<T>>();
  readonly #refused = new Map<string, { readonly error: FactoryError; readonly until: number }>();

  constructor(options: FlightOptions, share: (result: R) => T, landed: (result: R) => void) {
    this.#options = options;
    this.#share = share;
    this.#landed = landed;
  }

  /** Works that are running. */
  get size(): number {
    return this.#running.size;
  }

  has(key: string): boolean {
    return this.#running.has(key);
  }

  /** Joins the work under `key`, or starts `work` (whose signal is not the caller's). */
  run(key: string, work: (signal: AbortSignal) => Promise<R>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const refused = this.#refusal(key);
    if (refused !== undefined) return Promise.reject(refused);
    let running = this.#running.get(key);
    if (running === undefined) {
      running = { waiters: new Set(), stop: new AbortController() };
      this.#running.set(key, running);
      // Started after this caller has joined, even if the work ends at once.
      queueMicrotask(() => void this.#fly(key, running as Running<T>, work));
    }
    return join(running, signal);
  }

  /** Aborts all work; who waits gets `reason`. */
  abort(reason: Error): void {
    for (const { stop } of [...this.#running.values()]) stop.abort(reason);
  }

  async #fly(key: string, running: Running<T>, work: (signal: AbortSignal) => Promise<R>): Promise<void> {
    const { stop, waiters } = running;
    const timer = setTimeout(() => stop.abort(deadline(this.#options.deadlineMs)), this.#options.deadlineMs);
    timer.unref();
    const aborted = Promise.withResolvers<never>();
    stop.signal.addEventListener('abort', () => aborted.reject(stop.signal.reason), { once: true });
    const flown = stop.signal.aborted ? Promise.reject(stop.signal.reason) : attempt(work, stop.signal);
    let over = false;
    flown.then(
      (result) => {
        // A work that did not listen to its signal: nobody waits for its result any more.
        if (over) this.#landed(result);
      },
      () => {},
    );
    try {
      const result = await Promise.race([flown, aborted.promise]);
      this.#running.delete(key);
      for (const waiter of waiters) settle(waiter, () => this.#share(result));
      this.#landed(result);
    } catch (error) {
      over = true;
      this.#running.delete(key);
      this.#remember(key, error);
      for (const waiter of waiters) waiter.reject(error);
    } finally {
      clearTimeout(timer);
    }
  }

  #refusal(key: string): FactoryError | undefined {
    const refused = this.#refused.get(key);
    if (refused === undefined) return undefined;
    if (refused.until > this.#options.clock.now()) return refused.error;
    this.#refused.delete(key);
    return undefined;
  }

  #remember(key: string, error: unknown): void {
    if (this.#options.rememberInvalidMs <= 0) return;
    if (!(error instanceof FactoryError) || error.kind !== 'invalid') return;
    const oldest = this.#refused.keys().next();
    if (this.#refused.size >= MOST_REMEMBERED && oldest.done !== true) this.#refused.delete(oldest.value);
    this.#refused.set(key, { error, until: this.#options.clock.now() + this.#options.rememberInvalidMs });
  }
}

function join<T>(running: Running<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const leave = (): void => {
    running.waiters.delete(waiter);
    reject(signal?.reason);
  };
  const stay = (): void => signal?.removeEventListener('abort', leave);
  const waiter: Waiter<T> = {
    resolve: (value) => {
      stay();
      resolve(value);
    },
    reject: (error) => {
      stay();
      reject(error);
    },
  };
  running.waiters.add(waiter);
  signal?.addEventListener('abort', leave, { once: true });
  return promise;
}

function settle<T>(waiter: Waiter<T>, make: () => T): void {
  try {
    waiter.resolve(make());
  } catch (error) {
    waiter.reject(error);
  }
}

async function attempt<R>(work: (signal: AbortSignal) => Promise<R>, signal: AbortSignal): Promise<R> {
  return work(signal);
}

function deadline(milliseconds: number): FactoryError {
  return new FactoryError(
    'internal',
    'BUILD_DEADLINE',
    `the build did not end within ${milliseconds / 1000} s`,
  );
}
