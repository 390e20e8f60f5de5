import type { Blob } from '../blob/blob.ts';
import { FactoryError } from '../errors.ts';
import { scopeOf } from './authorization.ts';
import { blobStream } from './blob-stream.ts';
import { checkBytes, digestOf, verified } from './digest.ts';
import { endpointOf } from './endpoint.ts';
import { badAnswer, digestMismatch } from './errors.ts';
import type { TransferLimiter } from './limiter.ts';
import { ACCEPT_MANIFESTS, isIndexType, isManifestType, MAX_MANIFEST } from './media-types.ts';
import { checkReference, type Digest, isDigest, type RepositoryName } from './names.ts';
import { listReferrers, parseSubject } from './referrers.ts';
import { RemoteReferrers } from './remote-referrers.ts';
import { mediaTypeOf, RepositoryRequests, tooMany } from './remote-requests.ts';
import type { Descriptor, RawManifest, Reference, Repository } from './repository.ts';
import type { RetryPolicy } from './retry.ts';
import type { Session } from './session.ts';
import type { TransportAnswer } from './transport.ts';
import { uploadBlob } from './upload.ts';

export interface RemoteParts {
  /** The session of now: rebuilt when the old one is too old. */
  readonly session: () => Session;
  readonly downloads: TransferLimiter;
  readonly uploads: TransferLimiter;
  readonly retry: RetryPolicy;
  /** Blobs above this many bytes are uploaded in chunks of it. */
  readonly chunkSize: number;
  /** Runs one writer of a subject's referrers tag after the other. */
  readonly serialise: <T>(key: string, work: () => Promise<T>) => Promise<T>;
}

const MAX_TAGS = 1_000_000;
const PAGE_SIZE = 1000;

/** A repository of a registry that speaks OCI distribution-spec 1.1 (or 1.0). */
export class RemoteRepository implements Repository {
  readonly name: RepositoryName;
  readonly #requests: RepositoryRequests;
  readonly #referrers: RemoteReferrers;
  readonly #parts: RemoteParts;

  constructor(name: RepositoryName, parts: RemoteParts) {
    this.name = name;
    this.#requests = new RepositoryRequests(name, parts.session, parts.retry);
    this.#referrers = new RemoteReferrers(this.#requests, this, parts.serialise);
    this.#parts = parts;
  }

  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor | undefined> {
    const answer = await this.#requests.send({
      method: 'HEAD',
      target: this.#requests.url(`manifests/${checkReference(reference)}`),
      headers: { accept: ACCEPT_MANIFESTS },
      what: `manifest ${reference}`,
      expected: [200, 404, 405],
      signal,
    });
    await answer.discard();
    if (answer.status === 404) return undefined;
    const digest = answer.header('docker-content-digest');
    const size = Number(answer.header('content-length') ?? Number.NaN);
    const mediaType = mediaTypeOf(answer);
    if (answer.status !== 200 || digest === undefined || !isDigest(digest) || !Number.isSafeInteger(size)) {
      return (await this.manifest(reference, signal))?.descriptor;
    }
    if (!isManifestType(mediaType) && !isIndexType(mediaType)) {
      return (await this.manifest(reference, signal))?.descriptor;
    }
    if (isDigest(reference) && digest !== reference) {
      throw digestMismatch(`${this.name}: manifest ${reference}`, reference, digest);
    }
    return { mediaType, digest, size };
  }

  async manifest(reference: Reference, signal?: AbortSignal): Promise<RawManifest | undefined> {
    const what = `manifest ${reference}`;
    const read = await this.#requests.read(
      {
        method: 'GET',
        target: this.#requests.url(`manifests/${checkReference(reference)}`),
        headers: { accept: ACCEPT_MANIFESTS },
        what,
        expected: [200, 404],
        signal,
      },
      MAX_MANIFEST,
      'OCI_MANIFEST_TOO_LARGE',
    );
    if (read.answer.status === 404) return undefined;
    const { bytes } = read;
    const thing = `${this.name}: ${what}`;
    const stated = read.answer.header('docker-content-digest');
    const digest = isDigest(reference) ? reference : stated === undefined ? digestOf(bytes) : stated;
    if (!isDigest(digest))
      throw badAnswer('OCI_RESPONSE_INVALID', `${thing} was answered with a malformed digest`);
    checkBytes(thing, digest, bytes);
    const served = mediaTypeOf(read.answer);
    const mediaType = isManifestType(served) || isIndexType(served) ? served : (statedType(bytes) ?? served);
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
  }

  async blobSize(digest: Digest, signal?: AbortSignal): Promise<number | undefined> {
    const request = { target: this.#requests.url(`blobs/${digest}`), what: `blob ${digest}`, signal };
    const answer = await this.#requests.send({ ...request, method: 'HEAD', expected: [200, 404, 405] });
    await answer.discard();
    if (answer.status === 404) return undefined;
    const size = answer.status === 200 ? sizeOf(answer) : undefined;
    if (size !== undefined) return size;
    // HEAD without a length, or refused: GET tells, and its body is not read.
    const whole = await this.#requests.send({ ...request, method: 'GET', expected: [200, 404] });
    whole.destroy();
    if (whole.status === 404) return undefined;
    const told = sizeOf(whole);
    if (told === undefined) {
      throw badAnswer('OCI_RESPONSE_INVALID', `${this.name}: the size of blob ${digest} is not told`);
    }
    return told;
  }

  async openBlob(
    digest: Digest,
    options: { readonly offset?: number; readonly length?: number; readonly signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { offset = 0, length, signal } = options;
    const what = `blob ${digest}`;
    const thing = `${this.name}: ${what}`;
    const isPart = offset > 0 || length !== undefined;
    if (isPart && length === 0) {
      return (await this.blobSize(digest, signal)) === undefined ? undefined : nothing();
    }
    const open = (from: number, expected: readonly number[]): Promise<TransportAnswer> =>
      this.#requests.send({
        method: 'GET',
        target: this.#requests.url(`blobs/${digest}`),
        headers: {
          // Bytes as they are stored: an encoding on the way would break ranges.
          'accept-encoding': 'identity',
          ...(from === 0 && length === undefined
            ? {}
            : { range: `bytes=${from}-${length === undefined ? '' : offset + length - 1}` }),
        },
        what,
        expected,
        signal,
      });
    const first = await this.#parts.downloads.run(() => open(offset, [200, 206, 404, 416]), signal);
    if (first.status === 404 || first.status === 416) {
      await first.discard();
      if (first.status === 404) return undefined;
      const size = await this.blobSize(digest, signal);
      if (size === offset) return nothing();
      throw new FactoryError('invalid', 'OCI_RANGE_INVALID', `${thing} has no bytes from ${offset} on`);
    }
    const stream = blobStream({
      what: thing,
      open: (from) => open(from, [200, 206]),
      first,
      offset,
      length,
      limiter: this.#parts.downloads,
      retry: this.#parts.retry,
      signal,
    });
    return isPart ? stream : verified(stream, thing, digest);
  }

  async tags(signal?: AbortSignal): Promise<readonly string[]> {
    const tags = new Set<string>();
    const first = `${this.#requests.url('tags/list')}?n=${PAGE_SIZE}`;
    await this.#requests.pages(first, 'tags', [200, 404], signal, (answer, bytes) => {
      if (answer.status === 404) return;
      const listed: unknown = parseJson(`${this.name}: tags`, bytes).tags ?? [];
      if (!Array.isArray(listed) || !listed.every((tag) => typeof tag === 'string')) {
        throw badAnswer('OCI_RESPONSE_INVALID', `${this.name}: the list of tags is malformed`);
      }
      for (const tag of listed) tags.add(tag);
      if (tags.size > MAX_TAGS) throw tooMany(`${this.name}: tags`);
    });
    return [...tags].sort();
  }

  async referrers(
    digest: Digest,
    artifactType?: string,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    return listReferrers(await this.#referrers.list(digest, artifactType, signal), artifactType);
  }

  async pushBlob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    content: Blob,
    options: { readonly mountFrom?: RepositoryName; readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { digest, size } = descriptor;
    if (content.size !== size) {
      throw new FactoryError(
        'internal',
        'OCI_SIZE_MISMATCH',
        `${this.name}: blob ${digest} should have ${size} bytes, its content has ${content.size}`,
      );
    }
    const present = await this.blobSize(digest, options.signal);
    if (present === size) return;
    const { mountFrom, signal } = options;
    const from = mountFrom === undefined ? undefined : endpointOf(mountFrom);
    await uploadBlob({
      send: (request) => this.#requests.send({ ...request, what: `blob ${digest}`, push: true, signal }),
      uploads: this.#requests.url('blobs/uploads/'),
      thing: `${this.name}: blob ${digest}`,
      digest,
      content,
      mountFrom:
        from?.host === this.#requests.endpoint.host && from.path !== this.#requests.endpoint.path
          ? from.path
          : undefined,
      limiter: this.#parts.uploads,
      retry: this.#parts.retry,
      chunkSize: this.#parts.chunkSize,
      signal,
    });
  }

  async pushManifest(
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Descriptor> {
    const thing = `${this.name}: manifest ${reference}`;
    if (bytes.length > MAX_MANIFEST) {
      throw new FactoryError(
        'internal',
        'OCI_MANIFEST_TOO_LARGE',
        `${thing} has more than ${MAX_MANIFEST} bytes`,
      );
    }
    if (isDigest(reference)) checkBytes(thing, reference, bytes);
    const digest = isDigest(reference) ? reference : digestOf(bytes);
    const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
    const image = parseSubject({ descriptor, bytes });
    const answer = await this.#requests.send({
      method: 'PUT',
      target: this.#requests.url(`manifests/${checkReference(reference)}`),
      headers: { 'content-type': mediaType },
      body: () => bytes,
      what: `manifest ${reference}`,
      expected: [200, 201, 202],
      push: true,
      signal,
    });
    await answer.discard();
    const stored = answer.header('docker-content-digest');
    if (
      stored !== undefined &&
      isDigest(stored) &&
      stored.startsWith('sha256:') &&
      stored !== digestOf(bytes)
    ) {
      throw digestMismatch(thing, digestOf(bytes), stored);
    }
    // A registry with the referrers API says that it has understood the subject (distribution-spec 1.1).
    const subject = image?.subject;
    if (image !== undefined && subject !== undefined && answer.header('oci-subject') !== subject.digest) {
      await this.#referrers.add(subject.digest, image, signal);
    }
    return descriptor;
  }

  async deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void> {
    const raw = await this.manifest(digest, signal);
    if (raw === undefined) return;
    const answer = await this.#requests.send({
      method: 'DELETE',
      target: this.#requests.url(`manifests/${digest}`),
      what: `manifest ${digest}`,
      expected: [200, 202, 204, 404, 400, 405, 501],
      push: true,
      extraScopes: [scopeOf(this.#requests.endpoint.path, 'delete')],
      signal,
    });
    await answer.discard();
    if (answer.status === 405 || answer.status === 400 || answer.status === 501) {
      throw badAnswer('OCI_UNSUPPORTED', `${this.name}: the registry does not allow to delete manifests`);
    }
    const subject = parseSubject(raw)?.subject;
    if (subject !== undefined) await this.#referrers.remove(subject.digest, digest, signal);
  }
}

/** The media type that a manifest states of itself, for registries that serve all as octets. */
function statedType(bytes: Uint8Array): string | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    const mediaType = (value as { mediaType?: unknown } | null)?.mediaType;
    return typeof mediaType === 'string' ? mediaType : undefined;
  } catch {
    // Not JSON: it stays what it was served as.
    return undefined;
  }
}

function sizeOf(answer: TransportAnswer): number | undefined {
  const text = answer.header('content-length');
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function parseJson(thing: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (error) {
    throw badAnswer('OCI_RESPONSE_INVALID', `${thing}: the answer is not JSON`, error);
  }
  throw badAnswer('OCI_RESPONSE_INVALID', `${thing}: the answer is not a JSON object`);
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
