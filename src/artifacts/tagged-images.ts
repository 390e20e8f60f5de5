import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type Digest, parseDigest, parseTag } from '../oci/names.ts';
import type { RepositoryReader } from '../oci/repository.ts';
import type { Facts } from '../store/facts.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import { whileFetching } from './errors.ts';
import { type ImageSource, missingImage, type PulledImage } from './image-source.ts';
import { lastHeard } from './last-heard.ts';
import { Refreshed } from './refreshed.ts';

export interface TaggedImagesOptions<T> {
  readonly source: ImageSource;
  readonly repository: RepositoryReader;
  /** What is made of an image, for example the records of a catalog. */
  readonly read: (image: PulledImage, signal: AbortSignal) => Promise<T>;
  /** Milliseconds after which the tag is looked at again. */
  readonly interval: number;
  readonly clock: Clock;
  readonly log: Log;
  /** For a start while the registry is down. */
  readonly facts: Facts;
}

export interface TaggedImage<T> {
  /** What the tag denotes: an index, or a manifest. */
  readonly digest: Digest;
  readonly image: PulledImage;
  readonly value: T;
}

/** What is kept of a tag that there is not. */
const NO_IMAGE = '';

/**
 * The images `v<version>` of one repository, for linux/amd64 (`spec/artifacts.md` §2), and what is made of them. Both
 * are kept as long as the tag denotes the same digest, which is checked once an interval: a release that is
 * pushed again is noticed without a restart.
 */
export class TaggedImages<T> {
  readonly #options: TaggedImagesOptions<T>;
  readonly #images = new Map<string, Refreshed<TaggedImage<T>>>();

  constructor(options: TaggedImagesOptions<T>) {
    this.#options = options;
  }

  /** Only for versions that exist: what is asked for is remembered. Throws `upstream`, `unavailable`. */
  get(version: TalosVersion, signal?: AbortSignal): Promise<TaggedImage<T>> {
    const tag = versionTag(version);
    let image = this.#images.get(tag);
    if (image === undefined) {
      image = this.#refreshed(tag);
      this.#images.set(tag, image);
    }
    return image.get(signal);
  }

  #refreshed(tag: string): Refreshed<TaggedImage<T>> {
    const { repository, interval, clock, log } = this.#options;
    const what = `image ${repository.name}:${tag}`;
    return new Refreshed({
      what,
      interval,
      clock,
      log,
      load: async (previous, signal) => {
        try {
          return await this.#load(tag, previous, signal);
        } catch (error) {
          throw whileFetching(what, error);
        }
      },
    });
  }

  async #load(
    tag: string,
    previous: TaggedImage<T> | undefined,
    signal: AbortSignal,
  ): Promise<TaggedImage<T>> {
    const { source, repository, read, facts, log } = this.#options;
    const heard = await lastHeard(
      {
        facts,
        key: `tag ${repository.name}:${tag}`,
        what: `tag ${repository.name}:${tag}`,
        hasPrevious: previous !== undefined,
        log,
      },
      async () => (await repository.resolve(parseTag(tag), signal))?.digest ?? NO_IMAGE,
    );
    if (heard === NO_IMAGE) throw missingImage(repository, tag);
    const digest = parseDigest(heard);
    if (previous?.digest === digest) return previous;
    const image = await source.image(repository, digest, 'amd64', signal);
    return { digest, image, value: await read(image, signal) };
  }
}
