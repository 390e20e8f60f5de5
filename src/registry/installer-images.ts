import { LRUCache } from 'lru-cache';
import { Flight } from '../builds/flight.ts';
import type { Clock } from '../clock.ts';
import { FactoryError, isAbort } from '../errors.ts';
import { type ImageDocument, type InstallerImage, installerIndex } from '../imager/installer/image.ts';
import type { Log } from '../log.ts';
import { parseTag, type Tag } from '../oci/names.ts';
import type { Descriptor, Repository } from '../oci/repository.ts';
import { signatureKey } from '../signing/public-key.ts';
import type { SigningKey } from '../signing/signing-key.ts';
import { type ImageVerifier, imageVerifier } from '../signing/verifier.ts';
import { orAborted } from '../store/abortable.ts';
import { ARCHES, type Arch } from '../talos/arch.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import type { InstallerName } from './image-name.ts';
import { type PublishOptions, publishInstaller } from './publish.ts';

/** One image of an index. */
export interface InstallerRequest extends InstallerName {
  readonly schematicId: string;
  readonly version: TalosVersion;
  readonly arch: Arch;
}

/** Builds an image, which can be read until it is disposed. */
export type BuildInstaller = (
  request: InstallerRequest,
  signal: AbortSignal,
) => Promise<InstallerImage & Disposable>;

/** The images of one name and schematic. */
export interface InstallerPlace extends InstallerName {
  /** `<image>/<schematic>`. */
  readonly path: string;
  readonly schematicId: string;
}

export interface InstallerImagesOptions {
  readonly build: BuildInstaller;
  /** Where images of a path (`<image>/<schematic>`) are kept; no I/O. */
  readonly repository: (path: string) => Repository;
  readonly signer: SigningKey;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends what is being built and published. */
  readonly closing?: AbortSignal;
  readonly pause?: PublishOptions['pause'];
}

interface Running {
  /** The index is known; nothing of it has to be in the repository yet. */
  readonly composed: Promise<ImageDocument>;
  /** All of it is in the repository, signed and tagged. */
  readonly published: Promise<ImageDocument>;
}

/** Milliseconds that the digest of a tag, once verified, is used without asking again. */
const VERIFIED_MS = 5 * 60_000;
const MOST_VERIFIED = 10_000;
const DEADLINE_MS = 30 * 60_000;
const REMEMBER_INVALID_MS = 10_000;

/** The images behind version tags: those of the repository that we have signed, others built and published. */
export class InstallerImages {
  readonly #options: InstallerImagesOptions;
  readonly #verifier: ImageVerifier;
  readonly #flight: Flight<ImageDocument, ImageDocument>;
  /** By path, then tag. */
  readonly #running = new Map<string, Map<Tag, Running>>();
  readonly #verified = new LRUCache<string, Descriptor>({ max: MOST_VERIFIED, ttl: VERIFIED_MS });

  constructor(options: InstallerImagesOptions) {
    this.#options = options;
    const key = signatureKey(options.signer.publicKeyPem, 'sha256');
    this.#verifier = imageVerifier({ type: 'key', key });
    this.#flight = new Flight<ImageDocument, ImageDocument>(
      { clock: options.clock, deadlineMs: DEADLINE_MS, rememberInvalidMs: REMEMBER_INVALID_MS },
      (index) => index,
      () => {},
    );
    options.closing?.addEventListener(
      'abort',
      () => {
        const message = 'the factory is shutting down';
        this.#flight.abort(new FactoryError('unavailable', 'BUILDS_CLOSED', message, { retryAfter: 5 }));
      },
      { once: true },
    );
  }

  repository(path: string): Repository {
    return this.#options.repository(path);
  }

  /** What the tag of a version denotes, when all of it is in the repository. */
  async published(place: InstallerPlace, version: TalosVersion, signal: AbortSignal): Promise<Descriptor> {
    const found = await this.#lookup(place, version, signal);
    if ('descriptor' in found) return found.descriptor;
    return (await orAborted(found.published, signal)).descriptor;
  }

  /**
   * The index of a version, as soon as it is known: what it names may still be on its way into the repository, where
   * `arrival` waits for it.
   */
  async index(
    place: InstallerPlace,
    version: TalosVersion,
    signal: AbortSignal,
  ): Promise<ImageDocument | undefined> {
    const found = await this.#lookup(place, version, signal);
    if (!('descriptor' in found)) return orAborted(found.composed, signal);
    const raw = await this.repository(place.path).manifest(found.descriptor.digest, signal);
    if (raw === undefined) this.#verified.delete(`${place.path}:${versionTag(version)}`);
    return raw;
  }

  /** The end of what is being published below a path; `undefined` when nothing is. Throws what publishing throws. */
  arrival(path: string, signal: AbortSignal): Promise<unknown> | undefined {
    const running = this.#running.get(path);
    if (running === undefined) return undefined;
    const all = [...running.values()].map(({ published }) => published);
    const arrival = orAborted(Promise.all(all), signal);
    // Who asks may have no need of it.
    arrival.catch(() => {});
    return arrival;
  }

  async #lookup(
    place: InstallerPlace,
    version: TalosVersion,
    signal: AbortSignal,
  ): Promise<Running | { readonly descriptor: Descriptor }> {
    const tag = parseTag(versionTag(version));
    const running = this.#running.get(place.path)?.get(tag);
    if (running !== undefined) return running;
    const name = `${place.path}:${tag}`;
    const known = this.#verified.get(name) ?? (await this.#signed(place.path, tag, signal));
    if (known !== undefined) {
      this.#verified.set(name, known, { noUpdateTTL: true });
      return { descriptor: known };
    }
    // It may have been published while the repository was asked.
    const meanwhile = this.#verified.get(name);
    return meanwhile === undefined ? this.#start(place, version, tag) : { descriptor: meanwhile };
  }

  /** What the tag denotes in the repository, if we have signed it. */
  async #signed(path: string, tag: Tag, signal: AbortSignal): Promise<Descriptor | undefined> {
    const repository = this.repository(path);
    const found = await resolveTag(repository, tag, signal);
    if (found === undefined) return undefined;
    try {
      await this.#verifier.verify(repository, found.digest, signal);
      return found;
    } catch (error) {
      if (!(error instanceof FactoryError) || !error.code.startsWith('SIGNATURE_')) throw error;
      const image = `${repository.name}@${found.digest}`;
      this.#options.log.error('image is not signed by this factory and is built again', {
        image,
        tag,
        error: error.message,
      });
      return undefined;
    }
  }

  #start(place: InstallerPlace, version: TalosVersion, tag: Tag): Running {
    const ofPath = this.#running.get(place.path) ?? new Map<Tag, Running>();
    // Another one may have come here while the repository was asked.
    const other = ofPath.get(tag);
    if (other !== undefined) return other;
    const composed = Promise.withResolvers<ImageDocument>();
    const published = this.#flight.run(`${place.path}:${tag}`, (signal) =>
      this.#make(place, version, tag, composed.resolve, signal),
    );
    const running = { composed: composed.promise, published };
    composed.promise.catch(() => {});
    ofPath.set(tag, running);
    this.#running.set(place.path, ofPath);
    const ended = (): void => {
      ofPath.delete(tag);
      if (ofPath.size === 0) this.#running.delete(place.path);
    };
    published.then(
      ({ descriptor }) => {
        this.#verified.set(`${place.path}:${tag}`, descriptor);
        ended();
      },
      (error: unknown) => {
        composed.reject(error);
        ended();
      },
    );
    return running;
  }

  async #make(
    place: InstallerPlace,
    version: TalosVersion,
    tag: Tag,
    composed: (index: ImageDocument) => void,
    signal: AbortSignal,
  ): Promise<ImageDocument> {
    const { log, signer, pause } = this.#options;
    const verifier = this.#verifier;
    const repository = this.repository(place.path);
    await using images = await this.#buildAll(place, version, signal);
    const index = installerIndex(images.all);
    composed(index);
    const options = { signer, verifier, ...(pause === undefined ? {} : { pause }) };
    try {
      await publishInstaller({ repository, tag, index, images: images.all }, options, signal);
    } catch (error) {
      if (!isAbort(error)) {
        log.error('installer image cannot be published', {
          image: `${repository.name}:${tag}`,
          error: String(error),
        });
      }
      throw error;
    }
    log.info('installer image published', {
      image: `${repository.name}:${tag}`,
      digest: index.descriptor.digest,
    });
    return index;
  }

  /** All architectures side by side; when one fails the others are stopped. */
  async #buildAll(place: InstallerPlace, version: TalosVersion, signal: AbortSignal) {
    const { schematicId, platform, secureboot } = place;
    await using stack = new AsyncDisposableStack();
    const failure = new AbortController();
    const both = AbortSignal.any([signal, failure.signal]);
    const all = await Promise.allSettled(
      ARCHES.map(async (arch) => {
        const request = { schematicId, version, platform, secureboot, arch };
        try {
          return stack.use(await this.#options.build(request, both));
        } catch (error) {
          failure.abort(error);
          throw error;
        }
      }),
    );
    failure.signal.throwIfAborted();
    const images = all.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    const held = stack.move();
    return { all: images, [Symbol.asyncDispose]: () => held.disposeAsync() };
  }
}

/** Some registries deny what does not exist. */
async function resolveTag(
  repository: Repository,
  tag: Tag,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  try {
    return await repository.resolve(tag, signal);
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'OCI_DENIED') return undefined;
    throw error;
  }
}
