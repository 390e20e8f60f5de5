import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrustMaterial } from '@sigstore/verify';
import { z } from 'zod';
import { type Clock, systemClock } from '../clock.ts';
import type { FactoryError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import { parseJsonBytes } from './encoding.ts';
import { reasons, signingError } from './errors.ts';
import type { TrustedRootSource } from './trusted-root.ts';

/** The public good instance's TUF repository; the packages ship its first root. */
export const SIGSTORE_MIRROR = 'https://tuf-repo-cdn.sigstore.dev';
const TARGET = 'trusted_root.json';

/** Where the trusted root is fetched, and kept (`spec/artifacts.md` §6.4). */
export interface TufSettings {
  /** `TUF_MIRROR`; empty: `SIGSTORE_MIRROR`. */
  readonly mirror: string;
  /** `TUF_ROOT`: directory of the cache; made when it is needed. */
  readonly cacheDirectory: string;
  /** `TUF_ROOT_JSON`: file with the first root of the mirror; empty: the one that is shipped. */
  readonly rootFile: string;
}

export interface TufOptions {
  readonly clock?: Clock;
  readonly log?: Log;
}

/** Milliseconds. */
const DAY = 24 * 60 * 60_000;
/** Until a mirror that failed is asked again: with a root at hand, and without one. */
const RETRY_WITH_ROOT = 60 * 60_000;
const RETRY = 30_000;
const FETCH_TIMEOUT = 5_000;

/**
 * The trusted root of a TUF repository, fetched at first use and then once a day. Reads no more than `rootFile` before
 * that. Throws `invalid`: a mirror that is no URL, or whose first root is not known.
 */
export async function tufTrustedRoot(
  settings: TufSettings,
  options: TufOptions = {},
): Promise<TrustedRootSource> {
  const mirror = mirrorUrl(settings.mirror);
  const { rootFile } = settings;
  if (rootFile === '' && mirror !== SIGSTORE_MIRROR) {
    throw invalidTuf(`TUF_MIRROR ${mirror} needs TUF_ROOT_JSON, the file of its first root`);
  }
  const anchor = rootFile === '' ? SIGSTORE_MIRROR : await readAnchor(rootFile);
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([mirror, anchor]))
    .digest('hex');
  return new TufTrustedRoot(
    {
      mirror,
      rootFile,
      fingerprint,
      // Another first root must not find the metadata that an earlier one vouched for.
      cache:
        rootFile === ''
          ? settings.cacheDirectory
          : join(settings.cacheDirectory, `anchor-${anchor.slice(0, 16)}`),
    },
    options.clock ?? systemClock,
    options.log ?? silentLog,
  );
}

interface TufRepository {
  readonly mirror: string;
  readonly rootFile: string;
  readonly fingerprint: string;
  readonly cache: string;
}

class TufTrustedRoot implements TrustedRootSource {
  readonly fingerprint: string;
  readonly #repository: TufRepository;
  readonly #clock: Clock;
  readonly #log: Log;
  #material: TrustMaterial | undefined;
  #failure: FactoryError | undefined;
  /** Until then `#material` or `#failure` is the answer. */
  #until = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<TrustMaterial> | undefined;

  constructor(repository: TufRepository, clock: Clock, log: Log) {
    this.fingerprint = repository.fingerprint;
    this.#repository = repository;
    this.#clock = clock;
    this.#log = log;
  }

  async load(): Promise<TrustMaterial> {
    if (this.#clock.now() < this.#until) {
      if (this.#material !== undefined) return this.#material;
      if (this.#failure !== undefined) throw this.#failure;
    }
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<TrustMaterial> {
    const { mirror, cache } = this.#repository;
    try {
      this.#material = await fetchRoot(this.#repository);
      this.#until = this.#clock.now() + DAY;
      return this.#material;
    } catch (cause) {
      const reason = reasons(cause).join(': ').slice(0, 300);
      // What was verified once goes on being trusted: a factory without network works as before.
      this.#material ??= await cachedRoot(this.#repository);
      if (this.#material !== undefined) {
        this.#until = this.#clock.now() + RETRY_WITH_ROOT;
        this.#log.warn('Sigstore trusted root cannot be refreshed, the cached one is used', {
          mirror,
          reason,
        });
        return this.#material;
      }
      this.#until = this.#clock.now() + RETRY;
      this.#failure = signingError(
        'unavailable',
        'SIGNATURE_TRUSTED_ROOT_UNAVAILABLE',
        `failed to get the Sigstore trusted root from ${mirror} (cache ${cache}): ${reason}; set containerSignature.trustedRootFile to a trusted_root.json, or TUF_MIRROR and TUF_ROOT_JSON to a mirror that can be reached, or verify by containerSignature.publicKeyFile alone`,
        { cause, retryAfter: RETRY / 1000 },
      );
      throw this.#failure;
    }
  }
}

async function fetchRoot({ mirror, rootFile, cache }: TufRepository): Promise<TrustMaterial> {
  const [{ getTrustedRoot }, { trustMaterial }] = await Promise.all([
    import('@sigstore/tuf'),
    import('./trust-material.ts'),
  ]);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  return trustMaterial(
    await getTrustedRoot({
      mirrorURL: mirror,
      cachePath: cache,
      ...(rootFile === '' ? {} : { rootPath: rootFile }),
      timeout: FETCH_TIMEOUT,
      retry: { retries: 1, minTimeout: 200, maxTimeout: 1000 },
    }),
  );
}

const targetsSchema = z.object({
  signed: z.object({
    targets: z.object({ [TARGET]: z.object({ hashes: z.object({ sha256: z.string() }) }) }),
  }),
});

/**
 * What an earlier fetch left: `targets.json` is kept only once its signatures were verified, and the target must be
 * the one it names, so the one that the package ships does not count.
 */
async function cachedRoot({ mirror, cache }: TufRepository): Promise<TrustMaterial | undefined> {
  const url = new URL(mirror);
  // As @sigstore/tuf names the directory of a mirror.
  const directory = join(cache, encodeURIComponent(url.host + url.pathname.replace(/\/$/, '')));
  try {
    const targets = parseJsonBytes(targetsSchema, await readFile(join(directory, 'targets.json')));
    const bytes = await readFile(join(directory, 'targets', TARGET));
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (targets?.signed.targets[TARGET].hashes.sha256 !== digest) return undefined;
    const { parseTrustedRoot } = await import('./trust-material.ts');
    return parseTrustedRoot(bytes);
  } catch {
    // Absent or damaged: the error that matters is that of the fetch.
    return undefined;
  }
}

function mirrorUrl(text: string): string {
  if (text === '') return SIGSTORE_MIRROR;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw invalidTuf('TUF_MIRROR must be an http or https URL without a user name or password');
  }
  return text.replace(/\/+$/, '');
}

/** Hex SHA-256 of the file. */
async function readAnchor(path: string): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
  } catch (cause) {
    throw invalidTuf(
      `TUF_ROOT_JSON ${path} cannot be read: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
}

function invalidTuf(message: string): FactoryError {
  return signingError('invalid', 'SIGNATURE_POLICY_INVALID', message);
}
