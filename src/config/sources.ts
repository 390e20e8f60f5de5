import { FactoryError } from '../errors.ts';

export type ConfigFormat = 'json' | 'yaml' | 'dotenv';

/** Where settings come from; later sources override earlier ones (`spec/configuration.md` §2). */
export type ConfigSource =
  | { readonly kind: 'env'; readonly prefix: string }
  | { readonly kind: 'file'; readonly path: string; readonly format: ConfigFormat };

/** Always the first source, whatever `--config` says. */
export const DEFAULT_SOURCE: ConfigSource = { kind: 'env', prefix: 'IF_' };

const FORMATS: ReadonlyMap<string, ConfigFormat> = new Map([
  ['.json', 'json'],
  ['.yaml', 'yaml'],
  ['.yml', 'yaml'],
  ['.env', 'dotenv'],
]);

/**
 * The sources of one value of `--config`: a comma-separated list, not trimmed.
 * Throws `invalid` `CONFIG_SOURCE_INVALID` with the cause alone as its message.
 */
export function parseSources(value: string): readonly ConfigSource[] {
  if (value.trim() === '') throw invalid('configs value must not be empty');
  return value.split(',').map(parseSource);
}

function parseSource(element: string): ConfigSource {
  const equals = element.indexOf('=');
  const provider = equals < 0 ? 'file' : element.slice(0, equals);
  const argument = element.slice(equals + 1);
  if (provider === 'env') return { kind: 'env', prefix: argument };
  if (provider !== 'file') throw invalid(`unsupported config provider: ${provider}`);
  const extension = extensionOf(argument);
  const format = FORMATS.get(extension);
  if (format === undefined) throw invalid(`unsupported config format: ${extension}`);
  return { kind: 'file', path: argument, format };
}

/** From the last dot of the last path element, lower-cased; unlike `path.extname`, `.env` has one. */
function extensionOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(dot).toLowerCase();
}

function invalid(message: string): FactoryError {
  return new FactoryError('invalid', 'CONFIG_SOURCE_INVALID', message);
}
