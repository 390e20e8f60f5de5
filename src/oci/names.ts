import { FactoryError } from '../errors.ts';

/** `sha256:<64 hex>` or `sha512:<128 hex>`, lower case. */
export type Digest = string & { readonly __brand: 'Digest' };
/** `host[:port]/path`, for example `ghcr.io/siderolabs/imager`. */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' };
/** OCI distribution-spec 1.1: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`. */
export type Tag = string & { readonly __brand: 'Tag' };

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const HOST = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

export function parseDigest(text: string): Digest {
  if (!isDigest(text))
    throw new FactoryError('invalid', 'OCI_DIGEST_INVALID', `invalid digest: ${JSON.stringify(text)}`);
  return text;
}

export function parseTag(text: string): Tag {
  if (!TAG.test(text))
    throw new FactoryError('invalid', 'OCI_TAG_INVALID', `invalid tag: ${JSON.stringify(text)}`);
  return text as Tag;
}

/** `host/path`, both required. */
export function parseRepositoryName(text: string): RepositoryName {
  const slash = text.indexOf('/');
  const path = text.slice(slash + 1);
  if (slash <= 0 || !HOST.test(text.slice(0, slash)) || !PATH.test(path) || path.length > 255) {
    throw new FactoryError('invalid', 'OCI_NAME_INVALID', `invalid repository name: ${JSON.stringify(text)}`);
  }
  return text as RepositoryName;
}

export function registryHost(name: RepositoryName): string {
  return name.slice(0, name.indexOf('/'));
}

export function repositoryPath(name: RepositoryName): string {
  return name.slice(name.indexOf('/') + 1);
}

/** A reference as it may stand in a path: a digest or a tag. Throws `OCI_TAG_INVALID`. */
export function checkReference<T extends string>(reference: T): T {
  if (!isDigest(reference)) parseTag(reference);
  return reference;
}
