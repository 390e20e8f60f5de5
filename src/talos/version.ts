import { FactoryError } from '../errors.ts';

/** A semantic version (semver 2.0) of a Talos release. */
export interface TalosVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** Pre-release identifiers, numeric ones as numbers; empty for a release. */
  readonly prerelease: readonly (string | number)[];
  readonly build: readonly string[];
}

const NUMBER = '(0|[1-9][0-9]{0,15})';
const STRICT = new RegExp(
  `^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-([0-9A-Za-z.-]+))?(?:\\+([0-9A-Za-z.-]+))?$`,
);

function parseStrict(text: string): TalosVersion | undefined {
  if (text.length > 256) return undefined;
  const match = STRICT.exec(text);
  if (match === null) return undefined;
  const [, major, minor, patch, pre, build] = match;
  const prerelease: (string | number)[] = [];
  for (const identifier of pre === undefined ? [] : pre.split('.')) {
    if (identifier === '') return undefined;
    if (/^[0-9]+$/.test(identifier)) {
      if (identifier.length > 1 && identifier.startsWith('0')) return undefined;
      prerelease.push(Number(identifier));
    } else prerelease.push(identifier);
  }
  const buildIdentifiers = build === undefined ? [] : build.split('.');
  if (buildIdentifiers.includes('')) return undefined;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    prerelease,
    build: buildIdentifiers,
  };
}

/**
 * The version of a request: strict semver with an optional `v`, without build metadata.
 * Throws `invalid` `VERSION_INVALID`: `invalid Talos version: "<as given>"` (`spec/http-api.md` §5.2).
 */
export function parseTalosVersion(text: string): TalosVersion {
  const version = parseStrict(text.startsWith('v') ? text.slice(1) : text);
  if (version === undefined || version.build.length > 0) {
    throw new FactoryError('invalid', 'VERSION_INVALID', `invalid Talos version: ${JSON.stringify(text)}`);
  }
  return version;
}

/** A version as the configuration writes it: strict semver without `v`; `undefined` when it is none. */
export function parseConfiguredVersion(text: string): TalosVersion | undefined {
  return parseStrict(text);
}

/** A registry tag read tolerantly (`spec/artifacts.md` §3.1): `v1.5` is 1.5.0; `undefined` when it is no version. */
export function parseTolerantVersion(text: string): TalosVersion | undefined {
  const trimmed = text.trim();
  const parts = splitFirst(trimmed.startsWith('v') ? trimmed.slice(1) : trimmed, '.', 3).map(
    stripLeadingZeros,
  );
  if (parts.length < 3) {
    if (/[+-]/.test(parts.at(-1) ?? '')) return undefined;
    while (parts.length < 3) parts.push('0');
  }
  return parseStrict(parts.join('.'));
}

function splitFirst(text: string, separator: string, most: number): string[] {
  const all = text.split(separator);
  return all.length <= most ? all : [...all.slice(0, most - 1), all.slice(most - 1).join(separator)];
}

function stripLeadingZeros(part: string): string {
  if (part.length <= 1) return part;
  const stripped = part.replace(/^0+/, '');
  return /^[0-9]/.test(stripped) ? stripped : `0${stripped}`;
}

/** `1.10.0-alpha.0`, without `v` and without build metadata. */
export function formatVersion(version: TalosVersion): string {
  const core = `${version.major}.${version.minor}.${version.patch}`;
  return version.prerelease.length === 0 ? core : `${core}-${version.prerelease.join('.')}`;
}

/** The tag of the release's images: `v1.10.0-alpha.0`. */
export function versionTag(version: TalosVersion): string {
  return `v${formatVersion(version)}`;
}

/** Semver precedence (semver 2.0 §11): negative, zero or positive; build metadata does not count. */
export function compareVersions(a: TalosVersion, b: TalosVersion): number {
  const core = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  if (core !== 0) return core;
  if (a.prerelease.length === 0 || b.prerelease.length === 0)
    return b.prerelease.length - a.prerelease.length;
  for (let i = 0; i < Math.min(a.prerelease.length, b.prerelease.length); i++) {
    const order = compareIdentifiers(a.prerelease[i] ?? 0, b.prerelease[i] ?? 0);
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

/**
 * Whether a table row that starts at `minVersion` (strict semver; absent: from the beginning) holds for `version`.
 * Unlike gates this counts pre-releases: `1.8.0-alpha.1` is before `1.8.0-alpha.2` (`spec/profile.md` §8).
 */
export function isAtLeast(version: TalosVersion, minVersion: string | undefined): boolean {
  if (minVersion === undefined) return true;
  const least = parseStrict(minVersion);
  if (least === undefined) throw new RangeError(`not a version: ${JSON.stringify(minVersion)}`);
  return compareVersions(version, least) >= 0;
}

function compareIdentifiers(a: string | number, b: string | number): number {
  if (typeof a === 'number') return typeof b === 'number' ? a - b : -1;
  if (typeof b === 'number') return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
