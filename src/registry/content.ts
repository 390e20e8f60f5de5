import { bytesBlob } from '../blob/bytes.ts';
import type { HeaderFields, Representation } from '../http/result.ts';
import { digestOf } from '../oci/digest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { type Digest, isDigest, parseTag } from '../oci/names.ts';
import { referrersIndex } from '../oci/referrers.ts';
import type { Descriptor, Reference, RepositoryReader } from '../oci/repository.ts';
import { repositoryBlob } from '../oci/repository-blob.ts';
import { manifestUnknown, registryError } from './errors.ts';

/** What a digest names never changes, what a tag names may. */
export const IMMUTABLE = 'public, max-age=31536000, immutable';
export const REVALIDATE = 'no-cache';

/** A tag or digest of a path. Throws `not-found` `REGISTRY_MANIFEST_UNKNOWN`: nothing has a malformed name. */
export function parseReference(text: string): Reference {
  if (isDigest(text)) return text;
  try {
    return parseTag(text);
  } catch {
    throw manifestUnknown(text);
  }
}

export function manifestAnswer(
  descriptor: Descriptor,
  bytes: Uint8Array,
  cacheControl: string,
  headers: HeaderFields = {},
): Representation {
  const { digest, mediaType } = descriptor;
  return {
    kind: 'representation',
    blob: bytesBlob(bytes),
    contentType: mediaType,
    cacheControl,
    etag: digest,
    headers: { ...headers, 'Docker-Content-Digest': digest },
  };
}

/** `undefined` when it is not there. */
export async function readManifest(
  repository: RepositoryReader,
  reference: Reference,
  signal: AbortSignal,
): Promise<Representation | undefined> {
  const raw = await repository.manifest(reference, signal);
  if (raw === undefined) return undefined;
  return manifestAnswer(raw.descriptor, raw.bytes, isDigest(reference) ? IMMUTABLE : REVALIDATE);
}

/** A blob that is read when it is sent; `undefined` when it is not there. */
export async function readBlob(
  repository: RepositoryReader,
  digest: Digest,
  signal: AbortSignal,
): Promise<Representation | undefined> {
  const size = await repository.blobSize(digest, signal);
  if (size === undefined) return undefined;
  return {
    kind: 'representation',
    blob: repositoryBlob(repository, digest, size),
    contentType: 'application/octet-stream',
    cacheControl: IMMUTABLE,
    etag: digest,
    headers: { 'Docker-Content-Digest': digest },
  };
}

/** A digest of a blob's path. Throws `not-found` `REGISTRY_BLOB_UNKNOWN`. */
export function parseBlobDigest(text: string): Digest {
  if (!isDigest(text)) throw blobUnknown(text);
  return text;
}

export function blobUnknown(text: string): Error {
  return registryError('not-found', 'REGISTRY_BLOB_UNKNOWN', `blob unknown: ${JSON.stringify(text)}`);
}

/** The manifests that refer to a subject, which need not be there (`spec/registry.md` §11). */
export async function readReferrers(
  repository: RepositoryReader,
  subject: string,
  artifactType: string | undefined,
  signal: AbortSignal,
): Promise<Representation> {
  if (!isDigest(subject) || !subject.startsWith('sha256:')) {
    throw registryError(
      'not-found',
      'REGISTRY_SUBJECT_INVALID',
      `invalid referrers subject digest: ${subject.slice(0, 200)}`,
    );
  }
  const bytes = referrersIndex(await repository.referrers(subject, artifactType, signal));
  const descriptor = { mediaType: OCI_INDEX, digest: digestOf(bytes), size: bytes.length };
  const filter = artifactType === undefined ? {} : { 'Oci-Filters-Applied': 'artifactType' };
  return manifestAnswer(descriptor, bytes, REVALIDATE, filter);
}

/** OCI distribution-spec 1.1 "Listing Tags": all of them, or `n` after `last`. */
export async function readTags(
  repository: RepositoryReader,
  name: string,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<Representation> {
  const count = query.get('n');
  if (count !== null && !/^[0-9]{1,9}$/.test(count)) {
    throw registryError(
      'invalid',
      'REGISTRY_PAGE_INVALID',
      `invalid number of tags: ${JSON.stringify(count)}`,
    );
  }
  const all = [...(await repository.tags(signal))].sort();
  if (all.length === 0) throw imageUnknown(name);
  const last = query.get('last');
  const rest = last === null ? all : all.filter((tag) => tag > last);
  const page = count === null ? rest : rest.slice(0, Number(count));
  const end = page.at(-1);
  const next = new URLSearchParams({ n: count ?? '', last: end ?? '' });
  const bytes = Buffer.from(JSON.stringify({ name, tags: page }));
  return {
    kind: 'representation',
    blob: bytesBlob(bytes),
    contentType: 'application/json',
    cacheControl: REVALIDATE,
    etag: digestOf(bytes),
    headers:
      page.length < rest.length && end !== undefined
        ? { Link: `</v2/${name}/tags/list?${next}>; rel="next"` }
        : {},
  };
}

export function imageUnknown(name: string): Error {
  return registryError('not-found', 'REGISTRY_IMAGE_UNKNOWN', `unknown image: ${name.slice(0, 200)}`);
}
