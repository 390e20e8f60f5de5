import { FactoryError } from '../errors.ts';
import { digestOf } from './digest.ts';
import { badAnswer } from './errors.ts';
import { type ImageIndex, type ImageManifest, parseImage } from './image.ts';
import { isIndexType, OCI_INDEX } from './media-types.ts';
import type { Digest } from './names.ts';
import { referrerDescriptor, referrersIndex, referrersTag } from './referrers.ts';
import { mediaTypeOf, type RepositoryRequests, tooMany } from './remote-requests.ts';
import type { Descriptor, Repository } from './repository.ts';

const MAX_REFERRERS = 100_000;

/** The referrers of one remote repository: by the API, or by the tag that stands in for it. */
export class RemoteReferrers {
  readonly #requests: RepositoryRequests;
  readonly #manifests: Pick<Repository, 'manifest' | 'pushManifest'>;
  readonly #serialise: <T>(key: string, work: () => Promise<T>) => Promise<T>;

  /** `serialise` runs one writer of a subject's tag after the other. */
  constructor(
    requests: RepositoryRequests,
    manifests: Pick<Repository, 'manifest' | 'pushManifest'>,
    serialise: <T>(key: string, work: () => Promise<T>) => Promise<T>,
  ) {
    this.#requests = requests;
    this.#manifests = manifests;
    this.#serialise = serialise;
  }

  /** Not filtered, in no order; the API may have filtered by `artifactType`. */
  async list(
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<readonly Descriptor[]> {
    const found = await this.#native(digest, artifactType, signal);
    return found ?? this.#tagged(digest, signal);
  }

  /**
   * Adds to the referrers tag when the registry has no referrers API. Reading and writing are two requests:
   * writers of this process follow one another, those of others are met by looking again afterwards.
   */
  async add(
    subject: Digest,
    image: ImageManifest | ImageIndex,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if ((await this.#native(subject, undefined, signal)) !== undefined) return;
    const added = referrerDescriptor(image);
    await this.#serialise(`${this.#requests.name}@${subject}`, async () => {
      for (let attempt = 1; attempt <= 5; attempt++) {
        const known = await this.#tagged(subject, signal);
        if (known.some(({ digest }) => digest === added.digest)) return;
        const bytes = referrersIndex([...known, added]);
        await this.#manifests.pushManifest(referrersTag(subject), OCI_INDEX, bytes, signal);
      }
      const known = await this.#tagged(subject, signal);
      if (known.some(({ digest }) => digest === added.digest)) return;
      throw new FactoryError(
        'unavailable',
        'OCI_REGISTRY_FAILED',
        `${this.#requests.name}: other writers keep replacing the referrers of ${subject}; try again`,
        { retryAfter: 5 },
      );
    });
  }

  async remove(subject: Digest, gone: Digest, signal: AbortSignal | undefined): Promise<void> {
    if ((await this.#native(subject, undefined, signal)) !== undefined) return;
    await this.#serialise(`${this.#requests.name}@${subject}`, async () => {
      const known = await this.#tagged(subject, signal);
      const left = known.filter(({ digest }) => digest !== gone);
      if (left.length === known.length) return;
      await this.#manifests.pushManifest(referrersTag(subject), OCI_INDEX, referrersIndex(left), signal);
    });
  }

  /** By the API; `undefined` when the registry does not have it. */
  async #native(
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<readonly Descriptor[] | undefined> {
    const found: Descriptor[] = [];
    let isNative = true;
    const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
    const first = `${this.#requests.url(`referrers/${digest}`)}${query}`;
    const expected = [200, 400, 404, 405, 406];
    await this.#requests.pages(first, `referrers of ${digest}`, expected, signal, (answer, bytes) => {
      if (answer.status !== 200 || mediaTypeOf(answer) !== OCI_INDEX) {
        isNative = false;
        return;
      }
      found.push(...this.#parse(digest, bytes));
      if (found.length > MAX_REFERRERS) throw tooMany(`${this.#requests.name}: referrers of ${digest}`);
    });
    return isNative ? found : undefined;
  }

  async #tagged(digest: Digest, signal: AbortSignal | undefined): Promise<readonly Descriptor[]> {
    const raw = await this.#manifests.manifest(referrersTag(digest), signal);
    if (raw === undefined || !isIndexType(raw.descriptor.mediaType)) return [];
    const image = parseImage(raw);
    return image.kind === 'index' ? image.manifests : [];
  }

  #parse(digest: Digest, bytes: Uint8Array): readonly Descriptor[] {
    const descriptor = { mediaType: OCI_INDEX, digest: digestOf(bytes), size: bytes.length };
    const image = parseImage({ descriptor, bytes });
    if (image.kind !== 'index')
      throw badAnswer('OCI_RESPONSE_INVALID', `${this.#requests.name}: referrers of ${digest}`);
    return image.manifests;
  }
}
