import type { Setting, Settings } from './merge.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The settings of the variables with a prefix: `IF_HTTP_EXTERNALURL` is `http.externalurl`. No key contains an
 * underscore. With an empty prefix the whole environment is looked at, and what does not fit is left alone.
 */
export function environmentSettings(env: Environment, prefix: string): Settings {
  const settings: Setting[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith(prefix) || name.length === prefix.length) continue;
    settings.push(variable(name, name.slice(prefix.length), value));
  }
  return { source: 'environment', settings: parentsFirst(settings), mixed: prefix === '' };
}

/** The same for the pairs of a dotenv file: `IF_` is optional, and dots may stand for underscores. */
export function dotenvSettings(pairs: ReadonlyMap<string, string>, source: string): Settings {
  const settings = [...pairs].map(([name, value]) => variable(name, name.replace(/^IF_/, ''), value));
  return { source, settings: parentsFirst(settings), mixed: false };
}

function variable(written: string, name: string, value: string): Setting {
  return { path: name.split(/[_.]/), value, written, textual: true };
}

/** `IF_CACHE_OCI` before `IF_CACHE_OCI_INSECURE`, which refines it; by name among equals, for one fixed result. */
function parentsFirst(settings: readonly Setting[]): readonly Setting[] {
  return settings.toSorted(
    (a, b) => a.path.length - b.path.length || (a.written < b.written ? -1 : a.written > b.written ? 1 : 0),
  );
}

/** The environment of this process: the only place that reads it. */
export function processEnvironment(): Environment {
  return { ...process.env };
}
