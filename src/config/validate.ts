import { FactoryError } from '../errors.ts';
import { parseConfiguredVersion } from '../talos/version.ts';
import { formatDuration } from './go-values.ts';
import type { Config } from './schema.ts';

/**
 * Checks what the types cannot say. The first failure ends it: `invalid` `CONFIG_INVALID` with
 * `invalid configuration: ` before the text (`spec/configuration.md` §5, in that order; then what only this
 * factory checks).
 */
export function validateConfig(config: Config): void {
  const problem =
    urlProblem('http.externalURL', config.http.externalURL, true) ??
    urlProblem('http.externalPXEURL', config.http.externalPXEURL, false) ??
    atLeast('registry.jobs', config.registry.jobs, 0) ??
    oneOf('audit.mode', config.audit.mode, ['', 'file', 'log']) ??
    authenticationProblem(config.authentication) ??
    atLeast('build.maxConcurrency', config.build.maxConcurrency, 1) ??
    atLeast('build.queueLimit', config.build.queueLimit, 0) ??
    positive('artifacts.refreshInterval', config.artifacts.refreshInterval) ??
    positive('artifacts.talosVersionRecheckInterval', config.artifacts.talosVersionRecheckInterval) ??
    atLeast('store.maxSize', config.store.maxSize, 1);
  if (problem !== undefined) {
    throw new FactoryError('invalid', 'CONFIG_INVALID', `invalid configuration: ${problem}`);
  }
}

/**
 * Checks that belong to the start of single parts, in the order of the start (§5, steps 7 to 14), without I/O.
 * Throws `invalid` `CONFIG_INVALID` with the texts that those parts have.
 */
export function checkParts(config: Config): void {
  const problem =
    hashProblem(config.containerSignature) ??
    versionProblem('failed to parse minimum Talos version', config.build.minTalosVersion) ??
    firstProblem(config.build.brokenTalosVersions, (version) =>
      versionProblem(`failed to parse broken Talos version ${JSON.stringify(version)}`, version),
    ) ??
    cdnProblem(config.cache.cdn) ??
    timeOfDayProblem(config.enterprise.scanner.databaseUpdateAt);
  if (problem !== undefined) throw new FactoryError('invalid', 'CONFIG_INVALID', problem);
}

function urlProblem(key: string, value: string, required: boolean): string | undefined {
  if (value === '') return required ? `${key} is required` : undefined;
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(value)?.[1]?.toLowerCase() ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0020\u007f]/.test(value)) return `${key} is not a valid URL: it contains blanks`;
  if (value.startsWith(':')) return `${key} is not a valid URL: missing protocol scheme`;
  if (scheme === '' && /^[^/?#]*:/.test(value)) {
    return `${key} is not a valid URL: first path segment in URL cannot contain colon`;
  }
  if (scheme !== 'http' && scheme !== 'https') {
    return `${key} must have http or https scheme, got ${JSON.stringify(scheme)}`;
  }
  // The platform's parser is kinder than RFC 3986: it takes the first path element of `http:///path` for a host.
  const host = /^[^:]*:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(value)?.[1] ?? '';
  if (host === '' || host.startsWith(':')) return `${key} must have a host, got ${JSON.stringify(value)}`;
  return URL.canParse(value) ? undefined : `${key} is not a valid URL: its host or port is malformed`;
}

function authenticationProblem(authentication: Config['authentication']): string | undefined {
  if (!authentication.enabled) return undefined;
  const { provider } = authentication;
  const known = oneOf('authentication.provider', provider, ['htpasswd', 'auth0']);
  if (known !== undefined) return known;
  const required = (key: string): string =>
    `authentication.${key} is required when authentication.provider is ${JSON.stringify(provider)}`;
  if (provider === 'htpasswd' && authentication.htpasswdPath === '') return required('htpasswdPath');
  if (provider === 'auth0') {
    const { auth0 } = authentication;
    for (const key of ['domain', 'audience', 'clientID', 'clientSecret'] as const) {
      if (auth0[key] === '') return required(`auth0.${key}`);
    }
    const problem =
      sessionKeyProblem(auth0.sessionKey) ??
      (auth0.maxNodeAppsPerOrg > 0
        ? undefined
        : `authentication.auth0.maxNodeAppsPerOrg must be positive, got ${auth0.maxNodeAppsPerOrg}`);
    if (problem !== undefined) return problem;
  }
  return ttlProblem(authentication.downloadTokenTTL);
}

/** Standard base64 with padding (RFC 4648 §4) of 32 bytes. */
function sessionKeyProblem(given: string): string | undefined {
  const key = 'authentication.auth0.sessionKey';
  const text = given.trim();
  if (text === '') return undefined;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    return `${key} must be base64-encoded: illegal base64 data`;
  }
  const size = Buffer.from(text, 'base64').length;
  return size === 32 ? undefined : `${key} must decode to 32 bytes, got ${size}`;
}

function ttlProblem(ttl: Config['authentication']['downloadTokenTTL']): string | undefined {
  const key = 'authentication.downloadTokenTTL';
  const [min, normal, max] = [ttl.min, ttl.default, ttl.max].map(formatDuration);
  if (ttl.min <= 0) return `${key}.min must be positive, got ${min}`;
  if (ttl.max < ttl.min) return `${key}.max ${max} is below .min ${min}`;
  if (ttl.default < ttl.min || ttl.default > ttl.max) {
    return `${key}.default ${normal} is outside [${min}, ${max}]`;
  }
  return undefined;
}

function hashProblem(signature: Config['containerSignature']): string | undefined {
  if (signature.disabled || signature.publicKeyFile.trim() === '') return undefined;
  const name = signature.publicKeyHashAlgo.trim().toLowerCase();
  return ['', 'sha224', 'sha256', 'sha384', 'sha512'].includes(name)
    ? undefined
    : `unknown digest algorithm: ${signature.publicKeyHashAlgo}`;
}

function versionProblem(prefix: string, version: string): string | undefined {
  return parseConfiguredVersion(version) === undefined
    ? `${prefix}: ${JSON.stringify(version)} is not a full semantic version without v, such as 1.10.0`
    : undefined;
}

function cdnProblem(cdn: Config['cache']['cdn']): string | undefined {
  if (!cdn.enabled) return undefined;
  if (cdn.host === '') return 'failed to initialize CDN cache: CDN host must be specified';
  if (cdn.trimPrefix === '') return 'failed to initialize CDN cache: CDN trim prefix must be specified';
  return undefined;
}

function timeOfDayProblem(time: string): string | undefined {
  return time === '' || /^(?:[01][0-9]|2[0-3]):[0-5][0-9]$/.test(time)
    ? undefined
    : `invalid time of day ${JSON.stringify(time)}, expected "HH:MM": hours are 00 to 23, minutes 00 to 59`;
}

function oneOf(key: string, value: string, allowed: readonly string[]): string | undefined {
  return allowed.includes(value)
    ? undefined
    : `${key} must be one of [${allowed.join(' ')}], got ${JSON.stringify(value)}`;
}

function atLeast(key: string, value: number, least: number): string | undefined {
  return value >= least ? undefined : `${key} must be >= ${least}, got ${value}`;
}

function positive(key: string, milliseconds: number): string | undefined {
  return milliseconds > 0 ? undefined : `${key} must be positive, got ${formatDuration(milliseconds)}`;
}

function firstProblem(
  values: readonly string[],
  check: (value: string) => string | undefined,
): string | undefined {
  for (const value of values) {
    const problem = check(value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
