import { isDeepStrictEqual } from 'node:util';
import { type Config, configRoot, defaultConfig, fieldsOf, valueAt } from './schema.ts';

/**
 * Keys, or sections of keys, whose capability this factory does not have yet. They are accepted, so that existing
 * configurations load, and named in the log when they are set. Remove a line when its capability arrives.
 */
const NOT_YET: readonly string[] = [
  'cache.oci',
  'cache.gsa',
  'cache.cdn',
  'cache.s3',
  'secureBoot',
  'authentication',
  'enterprise.spdx',
  'enterprise.vex',
  'enterprise.scanner',
  'registry.debug',
  'audit',
];

/**
 * The keys that are set to something else than their default although nothing reads them yet. Emptied texts are not
 * among them: they ask for nothing.
 */
export function keysWithoutEffect(config: Config): readonly string[] {
  const defaults = defaultConfig();
  return [...fieldsOf(configRoot)]
    .filter(({ path }) => {
      const value = valueAt(config, path);
      return value !== '' && !isDeepStrictEqual(value, valueAt(defaults, path));
    })
    .map(({ path }) => path.join('.'))
    .filter((key) => NOT_YET.some((listed) => key === listed || key.startsWith(`${listed}.`)));
}
