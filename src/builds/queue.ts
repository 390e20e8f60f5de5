import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';

/** `interactive`: somebody waits for it; `background`: for later. */
export type Lane = 'interactive' | 'background';

export interface QueueOptions {
  /** Builds at the same time (`build.maxConcurrency`). */
  readonly slots: number;
  /** Builds that may wait (`build.queueLimit`). */
  readonly limit: number;
  readonly clock: Clock;
}

/** The right to build, until disposed. */
export interface Slot extends Disposable {
  /** Milliseconds that were spent waiting for it. */
  readonly waitedMs: number;
}

interface Waiting {
  readonly since: number;
  readonly grant: () => void;
}

/** Interactive builds that may overtake a waiting background build, one after the other. */
const MOST_OVERTAKING = 8;
/** What one build is taken to last before any has ended, milliseconds. */
const FIRST_GUESS_MS = 10_000;

/**
 * Build slots with a bounded queue: first come, first served within a lane, interactive before background, but
 * background always moves on. With several slots background never takes the last one.
 */
export class BuildQueue {
  readonly #options: QueueOptions;
  readonly #lanes: Readonly<Record<Lane, Set<Waiting>>> = { interactive: new Set(), background: new Set() };
  readonly #busy: Record<Lane, number> = { interactive: 0, background: 0 };
  #overtaken = 0;
  /** How long builds last, as a moving average. */
  #usualMs = FIRST_GUESS_MS;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Builds that wait. */
  get length(): number {
    return this.#lanes.interactive.size + this.#lanes.background.size;
  }

  /** Builds that run. */
  get active(): number {
    return this.#busy.interactive + this.#busy.background;
  }

  /** Builds that may run or wait at the same time. */
  get capacity(): number {
    return this.#options.slots + this.#options.limit;
  }

  /**
   * Waits for a slot. Throws `unavailable` `BUILD_QUEUE_FULL` with an estimate of when to come back; rejects with the
   * signal's reason when that aborts first.
   */
  async acquire(lane: Lane, signal?: AbortSignal): Promise<Slot> {
    signal?.throwIfAborted();
    const since = this.#options.clock.now();
    // Nobody is overtaken: whoever waits in the other lane is kept by the number of background builds alone.
    if (this.#lanes[lane].size === 0 && this.#hasRoom(lane)) return this.#take(lane, since);
    if (this.length >= this.#options.limit) throw this.full();
    const { promise, resolve, reject } = Promise.withResolvers<Slot>();
    const leave = (): void => {
      this.#lanes[lane].delete(waiting);
      reject(signal?.reason);
    };
    const waiting: Waiting = {
      since,
      grant: () => {
        signal?.removeEventListener('abort', leave);
        resolve(this.#take(lane, since));
      },
    };
    this.#lanes[lane].add(waiting);
    signal?.addEventListener('abort', leave, { once: true });
    return promise;
  }

  /** The error for who comes when there is no room left. */
  full(): FactoryError {
    const { slots, limit } = this.#options;
    const seconds = Math.ceil((this.#usualMs * (this.length + 1)) / slots / 1000);
    return new FactoryError(
      'unavailable',
      'BUILD_QUEUE_FULL',
      `${slots} builds are running and ${limit} are waiting, which is all this factory takes on: try again later`,
      { retryAfter: Math.min(Math.max(seconds, 1), 600) },
    );
  }

  #hasRoom(lane: Lane): boolean {
    if (this.active >= this.#options.slots) return false;
    return lane === 'interactive' || this.#busy.background < Math.max(1, this.#options.slots - 1);
  }

  #take(lane: Lane, since: number): Slot {
    this.#busy[lane]++;
    const start = this.#options.clock.now();
    let held = true;
    return {
      waitedMs: start - since,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#busy[lane]--;
        this.#usualMs += (this.#options.clock.now() - start - this.#usualMs) / 8;
        this.#advance();
      },
    };
  }

  /** Grants slots to who waits, as long as there are any. */
  #advance(): void {
    for (;;) {
      const lane = this.#next();
      if (lane === undefined) return;
      const [first] = this.#lanes[lane];
      if (first === undefined) return;
      this.#lanes[lane].delete(first);
      if (lane === 'background') this.#overtaken = 0;
      else if (this.#lanes.background.size > 0) this.#overtaken++;
      first.grant();
    }
  }

  #next(): Lane | undefined {
    const interactive = this.#lanes.interactive.size > 0 && this.#hasRoom('interactive');
    const background = this.#lanes.background.size > 0 && this.#hasRoom('background');
    if (interactive && background) return this.#overtaken >= MOST_OVERTAKING ? 'background' : 'interactive';
    if (interactive) return 'interactive';
    return background ? 'background' : undefined;
  }
}
