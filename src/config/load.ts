import { FactoryError, withContext } from '../errors.ts';
import { type Environment, environmentSettings } from './environment.ts';
import { fileSettings } from './files.ts';
import { mergeSettings, plain, type Settings, type Tree, type UnknownKey } from './merge.ts';
import { type Config, configRoot, configSchema } from './schema.ts';
import { type ConfigSource, DEFAULT_SOURCE } from './sources.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** Settings that nothing reads, in order of appearance. */
  readonly unknown: readonly UnknownKey[];
}

/**
 * The configuration of the sources of `--config`, after the environment with the prefix `IF_`, over the defaults.
 * The first source that cannot be read ends it; values that cannot be converted are reported together.
 * Throws `invalid` with `failed to initialize config: ` before the cause.
 */
export async function loadConfig(given: readonly ConfigSource[], env: Environment): Promise<LoadedConfig> {
  const tree: Tree = new Map();
  const unknown: UnknownKey[] = [];
  for (const source of [DEFAULT_SOURCE, ...given]) {
    unknown.push(...mergeSettings(tree, configRoot, await settingsOf(source, env)));
  }
  const decoded = configSchema.safeParse(plain(tree));
  if (decoded.success) return { config: decoded.data, unknown };
  const problems = decoded.error.issues.map((issue) => `'${issue.path.join('.')}' ${issue.message}`);
  throw new FactoryError(
    'invalid',
    'CONFIG_VALUE_INVALID',
    `failed to initialize config: decoding failed due to the following error(s):\n\n${problems.join('\n')}`,
  );
}

async function settingsOf(source: ConfigSource, env: Environment): Promise<Settings> {
  if (source.kind === 'env') return environmentSettings(env, source.prefix);
  try {
    return await fileSettings(source.path, source.format);
  } catch (error) {
    throw withContext('failed to initialize config', error);
  }
}
