/**
 * Limits how many transfers move bytes at the same time. A slot is held only while bytes are awaited from the
 * network, never while the consumer is busy with them: so a reader that waits for another fetch holds nothing
 * that the other fetch needs, and any limit of at least one is free of deadlocks.
 */
export class TransferLimiter {
  readonly #limit: number;
  #running = 0;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new RangeError(`transfer limit ${limit} is not at least 1`);
    this.#limit = limit;
  }

  /** Transfers that hold a slot now. */
  get running(): number {
    return this.#running;
  }

  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#acquire(signal);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  async #acquire(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < this.#limit) {
      this.#running++;
      return;
    }
    const turn = Promise.withResolvers<void>();
    const wake = (): void => turn.resolve();
    const abort = (): void => {
      // Only while it still waits: a slot that was handed over is returned by `run`.
      if (this.#waiting.delete(wake)) turn.reject(signal?.reason);
    };
    this.#waiting.add(wake);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await turn.promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  #release(): void {
    for (const next of this.#waiting) {
      // The slot goes to the longest waiting one.
      this.#waiting.delete(next);
      next();
      return;
    }
    this.#running--;
  }
}
