import { LRUCache } from 'lru-cache';
import { bytesBlob } from '../blob/bytes.ts';
import { type Clock, systemClock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { parseTag } from '../oci/names.ts';
import type { Repository } from '../oci/repository.ts';
import { type CanonicalSchematic, canonicalize } from './canonicalize.ts';
import { decodeSchematic } from './decode.ts';
import { encodeSchematic, MAX_CANONICAL_LENGTH } from './encode.ts';
import { parseSchematicId, type SchematicId, schematicId, schematicNotFound } from './id.ts';
import { KeyedQueue } from './keyed-queue.ts';
import { blobDigest, MANIFEST_TYPE, schematicImage } from './manifest.ts';
import { ANYONE, type Caller, owned } from './ownership.ts';

export interface SchematicStoreOptions {
  /** Schematics held in memory. */
  readonly capacity?: number;
  /** Milliseconds that a not-found answer of the repository counts. */
  readonly negativeTtl?: number;
  /** Milliseconds after which one access to the repository is given up. */
  readonly timeout?: number;
  readonly clock?: Clock;
  readonly metrics?: SchematicMetrics;
}

/** What is counted of a store. */
export interface SchematicMetrics {
  /** The repository was read. */
  read(): void;
  created(): void;
  /** A creation of what was there already. */
  duplicate(): void;
  /** Schematics in memory. */
  cached(entries: number): void;
}

export interface CreatedSchematic extends CanonicalSchematic {
  /** It was in the repository already. */
  readonly existed: boolean;
}

/** Milliseconds after which a not-found answer is asked for again: another replica may have created it. */
const RECHECK_INTERVAL = 1000;
const DEFAULTS = { capacity: 100_000, negativeTtl: 30_000, timeout: 60_000 };
/** Characters of all schematics in memory: they may carry machine configuration, so their number is no bound. */
const MAX_CACHED_LENGTH = 256 * 1024 * 1024;
/** Bytes of a stored schematic: a character of canonical YAML has four at most. */
const MAX_BLOB_SIZE = 4 * MAX_CANONICAL_LENGTH;

/**
 * Schematics in a repository, by the hash of their canonical form, with a memory before it
 * (`spec/schematic.md` §4, `spec/asset-cache.md` §9). Work on one id is done one after the other and goes on when
 * the caller that began it leaves.
 */
export class SchematicStore {
  readonly #repository: Repository;
  readonly #present: LRUCache<SchematicId, CanonicalSchematic>;
  /** When the repository said that an id is not there. Apart, so that guessing ids does not push out schematics. */
  readonly #absent: LRUCache<SchematicId, number>;
  readonly #negativeTtl: number;
  readonly #timeout: number;
  readonly #clock: Clock;
  readonly #metrics: SchematicMetrics | undefined;
  readonly #queue = new KeyedQueue<SchematicId>();
  /** Reads that later readers may join: those that no creation has come after. */
  readonly #reads = new Map<SchematicId, Promise<CanonicalSchematic>>();

  constructor(repository: Repository, options: SchematicStoreOptions = {}) {
    this.#repository = repository;
    this.#negativeTtl = options.negativeTtl ?? DEFAULTS.negativeTtl;
    this.#timeout = options.timeout ?? DEFAULTS.timeout;
    this.#clock = options.clock ?? systemClock;
    this.#metrics = options.metrics;
    const max = Math.max(1, options.capacity ?? DEFAULTS.capacity);
    this.#present = new LRUCache({
      max,
      maxSize: MAX_CACHED_LENGTH,
      sizeCalculation: ({ canonical }) => canonical.length,
    });
    this.#absent = new LRUCache({ max });
  }

  /**
   * Stores the schematic of a YAML or JSON text unless it is there; returns its id and canonical form.
   * Throws `invalid` `SCHEMATIC_INVALID` for what is no schematic, and the repository's errors.
   */
  async create(bytes: Uint8Array, signal?: AbortSignal, caller: Caller = ANYONE): Promise<CreatedSchematic> {
    const wanted = canonicalize(owned(decodeSchematic(bytes), caller));
    // Whoever reads from now on waits for this creation.
    this.#reads.delete(wanted.id);
    const existed = await unlessAborted(
      this.#queue.run(wanted.id, () => this.#createQueued(wanted)),
      signal,
    );
    return { ...wanted, existed };
  }

  /**
   * The schematic with an id. Throws `not-found` `SCHEMATIC_NOT_FOUND` (also for what is no id, without asking the
   * repository), `invalid` when what is stored is no schematic for this build, and the repository's errors.
   */
  async get(id: string, signal?: AbortSignal): Promise<CanonicalSchematic> {
    const known = parseSchematicId(id);
    const stored = this.#present.get(known);
    if (stored !== undefined) return stored;
    return unlessAborted(this.#read(known), signal);
  }

  #read(id: SchematicId): Promise<CanonicalSchematic> {
    const running = this.#reads.get(id);
    if (running !== undefined) return running;
    const read = this.#queue.run(id, () => this.#readQueued(id));
    this.#reads.set(id, read);
    const forget = (): void => {
      if (this.#reads.get(id) === read) this.#reads.delete(id);
    };
    read.then(forget, forget);
    return read;
  }

  async #readQueued(id: SchematicId): Promise<CanonicalSchematic> {
    const stored = this.#present.get(id);
    if (stored !== undefined) return stored;
    const absence = this.#absenceAge(id);
    if (absence !== undefined && absence < RECHECK_INTERVAL) throw schematicNotFound(id);
    try {
      return await this.#load(id);
    } catch (error) {
      // The repository said so a moment ago; that it is silent now does not change it.
      if (absence !== undefined && isOutage(error)) throw schematicNotFound(id);
      throw error;
    }
  }

  async #createQueued(wanted: CanonicalSchematic): Promise<boolean> {
    if (await this.#exists(wanted.id)) {
      this.#metrics?.duplicate();
      return true;
    }
    await this.#write(wanted);
    this.#remember(wanted);
    this.#metrics?.created();
    return false;
  }

  async #exists(id: SchematicId): Promise<boolean> {
    if (this.#present.has(id)) return true;
    if (this.#absenceAge(id) !== undefined) return false;
    try {
      await this.#load(id);
      return true;
    } catch {
      // Whatever the reason: writing tells whether the repository works, and is harmless when it is there.
      return false;
    }
  }

  /** Milliseconds since the repository said that it is not there; `undefined` when that is too long ago. */
  #absenceAge(id: SchematicId): number | undefined {
    const since = this.#absent.get(id);
    if (since === undefined) return undefined;
    const age = this.#clock.now() - since;
    return age < this.#negativeTtl ? age : undefined;
  }

  /** Reads from the repository into memory. */
  async #load(id: SchematicId): Promise<CanonicalSchematic> {
    this.#metrics?.read();
    const bytes = await this.#withDeadline(async (signal) => {
      const chunks = await this.#repository.openBlob(blobDigest(id), { signal });
      return chunks === undefined ? undefined : await collect(chunks, id);
    });
    if (bytes === undefined) {
      this.#absent.set(id, this.#clock.now());
      throw schematicNotFound(id);
    }
    const schematic = decodeSchematic(bytes);
    const stored = { id, canonical: encodeSchematic(schematic), schematic };
    this.#remember(stored);
    return stored;
  }

  #remember(stored: CanonicalSchematic): void {
    this.#absent.delete(stored.id);
    this.#present.set(stored.id, stored);
    this.#metrics?.cached(this.#present.size);
  }

  async #write({ id, canonical }: CanonicalSchematic): Promise<void> {
    const bytes = Buffer.from(canonical);
    const { config, configDigest, manifest } = schematicImage(id, bytes.length);
    const blob = { digest: blobDigest(id), size: bytes.length };
    const configBlob = { digest: configDigest, size: config.length };
    await this.#withDeadline(async (signal) => {
      await this.#repository.pushBlob(blob, bytesBlob(bytes), { signal });
      await this.#repository.pushBlob(configBlob, bytesBlob(config), { signal });
      await this.#repository.pushManifest(parseTag(id), MANIFEST_TYPE, manifest, signal);
    });
  }

  async #withDeadline<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(this.#timeout);
    try {
      return await work(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new FactoryError(
        'unavailable',
        'SCHEMATIC_REPOSITORY_TIMEOUT',
        `the schematic repository ${this.#repository.name} did not answer in ${this.#timeout / 1000} s; try again`,
        { cause: error, retryAfter: 5 },
      );
    }
  }
}

/** The content of a schematic's blob, which has to hash to its id. */
async function collect(chunks: AsyncIterable<Uint8Array>, id: SchematicId): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > MAX_BLOB_SIZE) throw broken(id, `it is longer than ${MAX_BLOB_SIZE} bytes`);
    parts.push(chunk);
  }
  const bytes = Buffer.concat(parts, size);
  if (schematicId(bytes) !== id) throw broken(id, 'its content has another hash');
  return bytes;
}

function broken(id: SchematicId, reason: string): FactoryError {
  return new FactoryError(
    'upstream',
    'SCHEMATIC_BLOB_BROKEN',
    `the stored schematic ${id} is broken: ${reason}`,
  );
}

/** The repository did not answer as it should; not that what it has is absent or no schematic. */
function isOutage(error: unknown): boolean {
  return !(error instanceof FactoryError) || (error.kind !== 'not-found' && error.kind !== 'invalid');
}

/** Waits for work that goes on when the waiting is aborted. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  // Nobody may be left to see it fail.
  work.catch(() => {});
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
