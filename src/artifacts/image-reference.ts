import { FactoryError } from '../errors.ts';
import {
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  repositoryPath,
  type Tag,
} from '../oci/names.ts';

export interface TaggedReference {
  readonly repository: RepositoryName;
  /** The repository without its registry: `siderolabs/gvisor`. */
  readonly path: string;
  readonly tag: Tag;
}

const DEFAULT_REGISTRY = 'index.docker.io';

/**
 * Reads `[registry/]path[:tag]` as Docker clients do: the first part is a registry when it has a dot or a port or is
 * `localhost`; without one it is Docker Hub (where a name of one part is below `library/`); the tag is `latest`
 * when absent. Throws `invalid` `OCI_NAME_INVALID`: `failed to parse tagged reference "x"`.
 */
export function parseTaggedReference(text: string): TaggedReference {
  const slash = text.indexOf('/');
  const colon = text.lastIndexOf(':');
  const tagged = colon > text.lastIndexOf('/');
  const name = tagged ? text.slice(0, colon) : text;
  const first = slash < 0 ? '' : text.slice(0, slash);
  const qualified = first === 'localhost' || /[.:]/.test(first);
  const path = qualified || slash >= 0 ? name : `library/${name}`;
  try {
    const repository = parseRepositoryName(qualified ? path : `${DEFAULT_REGISTRY}/${path}`);
    return {
      repository,
      path: repositoryPath(repository),
      tag: parseTag(tagged ? text.slice(colon + 1) : 'latest'),
    };
  } catch (cause) {
    throw new FactoryError(
      'invalid',
      'OCI_NAME_INVALID',
      `failed to parse tagged reference ${JSON.stringify(text.slice(0, 300))}`,
      { cause },
    );
  }
}

/** `<registry>/<namespace>/<path>`, slashes cleaned; empty parts count for nothing. Throws `invalid`. */
export function joinRepository(registry: string, ...parts: readonly string[]): RepositoryName {
  const path = parts.flatMap((part) => part.split('/')).filter((part) => part !== '' && part !== '.');
  return parseRepositoryName([registry, ...path].join('/'));
}
