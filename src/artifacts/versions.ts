import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Facts } from '../store/facts.ts';
import { compareVersions, formatVersion, parseTolerantVersion, type TalosVersion } from '../talos/version.ts';
import { lastHeard } from './last-heard.ts';
import { Refreshed } from './refreshed.ts';

export interface VersionRules {
  readonly minimum: TalosVersion;
  /** Never offered. Build metadata does not count. */
  readonly broken: readonly TalosVersion[];
}

const STAGES: ReadonlySet<unknown> = new Set(['alpha', 'beta', 'rc']);

/** A release, or a pre-release as releases have them: `-alpha.N`, `-beta.N`, `-rc.N`; no development builds. */
function isOffered({ prerelease }: TalosVersion): boolean {
  if (prerelease.length === 0) return true;
  return prerelease.length === 2 && STAGES.has(prerelease[0]) && typeof prerelease[1] === 'number';
}

/**
 * The versions that tags offer, ascending, each once (`spec/artifacts.md` §3.1). Pre-releases only of the newest
 * minor; what is newest is decided among acceptable versions, so that a stray development tag hides nothing.
 */
export function selectVersions(tags: readonly string[], rules: VersionRules): readonly TalosVersion[] {
  const byName = new Map<string, TalosVersion>();
  let newest: TalosVersion | undefined;
  for (const tag of tags) {
    const version = parseTolerantVersion(tag);
    if (version === undefined || !isOffered(version)) continue;
    byName.set(formatVersion(version), version);
    if (newest === undefined || compareVersions(version, newest) > 0) newest = version;
  }
  const broken = new Set(rules.broken.map(formatVersion));
  return [...byName]
    .filter(([name, version]) => {
      if (compareVersions(version, rules.minimum) < 0 || broken.has(name)) return false;
      return (
        version.prerelease.length === 0 || (version.major === newest?.major && version.minor === newest.minor)
      );
    })
    .map(([, version]) => version)
    .sort(compareVersions);
}

export interface VersionListOptions extends VersionRules {
  /** Where tags come from, for messages. */
  readonly source: string;
  readonly tags: (signal: AbortSignal) => Promise<readonly string[]>;
  /** Milliseconds for which a list is used. */
  readonly interval: number;
  readonly clock: Clock;
  readonly log: Log;
  /** For a start while the registry is down. */
  readonly facts: Facts;
}

interface Listing {
  readonly versions: readonly TalosVersion[];
  readonly names: ReadonlySet<string>;
}

/** Milliseconds: a list of tags is a few pages. */
const LISTING_TIMEOUT = 2 * 60_000;

/** The Talos versions that there are. */
export class VersionList {
  readonly #listing: Refreshed<Listing>;

  constructor(options: VersionListOptions) {
    this.#listing = new Refreshed({
      what: `the list of Talos versions from ${options.source}`,
      interval: options.interval,
      clock: options.clock,
      log: options.log,
      timeout: LISTING_TIMEOUT,
      load: async (previous, signal) => {
        const heard = await lastHeard(
          {
            facts: options.facts,
            key: `tags ${options.source}`,
            what: `the list of Talos versions from ${options.source}`,
            hasPrevious: previous !== undefined,
            log: options.log,
          },
          async () => JSON.stringify(await listTags(options, signal)),
        );
        const versions = selectVersions(JSON.parse(heard) as readonly string[], options);
        return { versions, names: new Set(versions.map(formatVersion)) };
      },
    });
  }

  /** Ascending; nobody may change it. Throws only before the first success. */
  async versions(signal?: AbortSignal): Promise<readonly TalosVersion[]> {
    return (await this.#listing.get(signal)).versions;
  }

  /** Throws `not-found` `VERSION_NOT_AVAILABLE`: `version 1.10.0 is not available`. */
  async require(version: TalosVersion, signal?: AbortSignal): Promise<void> {
    const name = formatVersion(version);
    if ((await this.#listing.get(signal)).names.has(name)) return;
    // It may have been published since.
    if ((await this.#listing.fresh(signal)).names.has(name)) return;
    throw versionNotAvailable(version);
  }

  /** True since the first success. */
  get known(): boolean {
    return this.#listing.last !== undefined;
  }
}

async function listTags(options: VersionListOptions, signal: AbortSignal): Promise<readonly string[]> {
  const tags = await options.tags(signal);
  if (tags.some((tag) => parseTolerantVersion(tag) !== undefined)) return tags;
  throw new FactoryError(
    'unavailable',
    'VERSIONS_UNAVAILABLE',
    `no Talos versions found among the tags of ${options.source}`,
    { retryAfter: 60 },
  );
}

export function versionNotAvailable(version: TalosVersion): FactoryError {
  return new FactoryError(
    'not-found',
    'VERSION_NOT_AVAILABLE',
    `version ${formatVersion(version)} is not available`,
  );
}
