import { parseRepositoryName, type RepositoryName } from '../oci/names.ts';
import { type Config, defaultConfig, type OciRepositoryConfig } from './schema.ts';

/** `registry/namespace/repository` in one string (`spec/configuration.md` §3). It sets all four values. */
export function parseRepository(text: string): OciRepositoryConfig {
  const parts = text.split('/');
  const first = parts[0] ?? '';
  const hasRegistry = parts.length > 1 && /[.:]/.test(first);
  return {
    registry: hasRegistry ? first : '',
    namespace: parts.slice(hasRegistry ? 1 : 0, -1).join('/'),
    repository: parts.at(-1) ?? '',
    insecure: false,
  };
}

/** True when the configuration names no repository here. */
export function isEmptyRepository(repository: OciRepositoryConfig): boolean {
  return repository.registry + repository.namespace + repository.repository === '';
}

/**
 * The full name: the parts that are not empty, Docker Hub when no registry is given, `library/` for single names
 * there. Throws `invalid` `OCI_NAME_INVALID` when this is no name.
 */
export function repositoryName(repository: OciRepositoryConfig): RepositoryName {
  const path = joined([repository.namespace, repository.repository]);
  if (repository.registry !== '') return parseRepositoryName(joined([repository.registry, path]));
  const first = path.split('/')[0] ?? '';
  if (path.includes('/') && (/[.:]/.test(first) || first === 'localhost')) return parseRepositoryName(path);
  return parseRepositoryName(`index.docker.io/${path.includes('/') ? path : `library/${path}`}`);
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('/');
}

/** The repositories that this factory writes to. */
export interface OwnRepositories {
  readonly schematic: OciRepositoryConfig;
  readonly cache: OciRepositoryConfig;
  readonly installer: OciRepositoryConfig;
  readonly spdx: OciRepositoryConfig;
}

export function ownRepositories(config: Config): OwnRepositories {
  return {
    schematic: config.artifacts.schematic,
    cache: config.cache.oci,
    installer: config.artifacts.installer.internal,
    spdx: config.enterprise.spdx.cache,
  };
}

/**
 * Which of them the configuration leaves at their defaults. Those defaults belong to others, so with a data
 * directory such a repository is embedded there instead.
 */
export function repositoriesAtDefault(config: Config): Readonly<Record<keyof OwnRepositories, boolean>> {
  const given = ownRepositories(config);
  const usual = ownRepositories(defaultConfig());
  return {
    schematic: sameRepository(given.schematic, usual.schematic),
    cache: sameRepository(given.cache, usual.cache),
    installer: sameRepository(given.installer, usual.installer),
    spdx: sameRepository(given.spdx, usual.spdx),
  };
}

function sameRepository(a: OciRepositoryConfig, b: OciRepositoryConfig): boolean {
  return (
    a.registry === b.registry &&
    a.namespace === b.namespace &&
    a.repository === b.repository &&
    a.insecure === b.insecure
  );
}
