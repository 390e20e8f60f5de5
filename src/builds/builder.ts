import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { Flight } from './flight.ts';
import type { BuildQueue, Lane } from './queue.ts';

/** Told of what happens; `about` is what the caller said of the asset. */
export interface BuildHooks<A> {
  /** An asset was there already. */
  known?(about: A): void;
  /** A build got its slot after so many milliseconds. */
  waited?(milliseconds: number, about: A): void;
  /** An asset was built; milliseconds in the slot. */
  built?(milliseconds: number, about: A): void;
  failed?(error: unknown, about: A): void;
}

export interface AssetBuilderOptions<A> {
  readonly queue: BuildQueue;
  readonly clock: Clock;
  /** The most finished assets that are kept. */
  readonly maxAssets: number;
  /** Milliseconds that an asset nobody asks for is kept, and with it what it pins. */
  readonly keepMs: number;
  /** Milliseconds for a whole build, waiting included; 20 minutes when absent (`spec/asset-cache.md` §3). */
  readonly deadlineMs?: number;
  /** Milliseconds that a refusal of kind `invalid` is remembered; 10 s when absent. */
  readonly rememberInvalidMs?: number;
  readonly hooks?: BuildHooks<A>;
}

export interface BuildContext {
  /** Aborts at the deadline and at the end of the factory, not when a caller leaves. */
  readonly signal: AbortSignal;
  /** Runs what needs the processor when its turn has come; what waits for the network stays outside. */
  readonly slot: <S>(work: () => Promise<S>) => Promise<S>;
}

export interface AssetRequest<T, A> {
  /** Names the asset's content for ever. */
  readonly key: string;
  readonly about: A;
  readonly build: (context: BuildContext) => Promise<T>;
  /** `interactive` when absent. */
  readonly lane?: Lane;
  /** Leaves; the build goes on. */
  readonly signal?: AbortSignal;
}

/** An asset that stays until this is disposed. */
export interface Lease<T> extends Disposable {
  readonly asset: T;
  /** It was finished before it was asked for. */
  readonly known: boolean;
}

const DEADLINE_MS = 20 * 60_000;
const REMEMBER_INVALID_MS = 10_000;

/**
 * Finished assets by key, built when they are asked for: memory, then a build that is running, then a new build. An
 * asset is disposed when it is forgotten and the last response that reads it has ended.
 */
export class AssetBuilder<T extends Disposable, A> {
  readonly #options: AssetBuilderOptions<A>;
  readonly #memory: LRUCache<string, Held<T>>;
  readonly #flight: Flight<Built<T>, Lease<T>>;
  #closed = false;

  constructor(options: AssetBuilderOptions<A>) {
    this.#options = options;
    this.#memory = new LRUCache({
      max: options.maxAssets,
      ttl: options.keepMs,
      ttlAutopurge: true,
      updateAgeOnGet: true,
      dispose: (held) => held.release(),
    });
    this.#flight = new Flight<Built<T>, Lease<T>>(
      {
        clock: options.clock,
        deadlineMs: options.deadlineMs ?? DEADLINE_MS,
        rememberInvalidMs: options.rememberInvalidMs ?? REMEMBER_INVALID_MS,
      },
      ({ held }) => held.lease(false),
      ({ key, held }) => {
        // The reference of the build becomes that of the memory.
        if (this.#closed) held.release();
        else this.#memory.set(key, held);
      },
    );
  }

  /** Builds that run or wait. */
  get building(): number {
    return this.#flight.size;
  }

  /** Assets that are kept. */
  get size(): number {
    return this.#memory.size;
  }

  /**
   * The asset under a key. Rejects with the error of the build, `internal` `BUILD_DEADLINE`, `unavailable`
   * `BUILD_QUEUE_FULL`, or the signal's reason.
   */
  async open(request: AssetRequest<T, A>): Promise<Lease<T>> {
    const { key, about, signal, lane = 'interactive' } = request;
    signal?.throwIfAborted();
    if (this.#closed) throw closed();
    const held = this.#memory.get(key);
    if (held !== undefined) {
      this.#options.hooks?.known?.(about);
      return held.lease(true);
    }
    // What is not a build of its own yet also fetches: so many at most, however many may come.
    const { queue } = this.#options;
    if (!this.#flight.has(key) && this.#flight.size >= queue.capacity) throw queue.full();
    return this.#flight.run(key, (buildSignal) => this.#build(request, lane, buildSignal), signal);
  }

  /** Ends all builds and forgets all assets; those that are read stay until then. */
  close(): void {
    this.#closed = true;
    this.#flight.abort(closed());
    this.#memory.clear();
  }

  async #build(request: AssetRequest<T, A>, lane: Lane, signal: AbortSignal): Promise<Built<T>> {
    const { queue, clock, hooks } = this.#options;
    const { key, about } = request;
    let busyMs = 0;
    try {
      const asset = await request.build({
        signal,
        slot: async (work) => {
          using slot = await queue.acquire(lane, signal);
          hooks?.waited?.(slot.waitedMs, about);
          const start = clock.now();
          try {
            return await work();
          } finally {
            busyMs += clock.now() - start;
          }
        },
      });
      hooks?.built?.(busyMs, about);
      return { key, held: new Held(asset) };
    } catch (error) {
      hooks?.failed?.(error, about);
      throw error;
    }
  }
}

interface Built<T> {
  readonly key: string;
  readonly held: Held<T>;
}

/** An asset with the number of those who hold it; made with one. */
class Held<T> {
  readonly #asset: T & Disposable;
  #references = 1;

  constructor(asset: T & Disposable) {
    this.#asset = asset;
  }

  lease(known: boolean): Lease<T> {
    this.#references++;
    let held = true;
    return {
      asset: this.#asset,
      known,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.release();
      },
    };
  }

  release(): void {
    this.#references--;
    if (this.#references === 0) this.#asset[Symbol.dispose]();
  }
}

function closed(): FactoryError {
  return new FactoryError('unavailable', 'BUILDS_CLOSED', 'the factory is shutting down', { retryAfter: 5 });
}
