import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAll } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import type { Log } from '../log.ts';
import { checkBytes } from '../oci/digest.ts';
import { type ImageManifest, resolveImage } from '../oci/image.ts';
import { MAX_MANIFEST } from '../oci/media-types.ts';
import type { Digest, RepositoryName } from '../oci/names.ts';
import type { RawManifest, Reference, RepositoryReader } from '../oci/repository.ts';
import type { ImageVerifier } from '../signing/verifier.ts';
import type { LocalStore } from '../store/store.ts';
import type { Arch } from '../talos/arch.ts';
import { badArtifact } from './errors.ts';

/** Opens a repository; no I/O. `insecure` permits plain HTTP and certificates that cannot be verified. */
export type OpenRepository = (name: RepositoryName, insecure: boolean) => RepositoryReader;

export interface ImageSourceOptions {
  readonly repositories: OpenRepository;
  readonly verifier: ImageVerifier;
  readonly store: LocalStore;
  readonly log: Log;
}

/** An image for one architecture, its signature verified. */
export interface PulledImage {
  readonly repository: RepositoryReader;
  readonly manifest: ImageManifest;
}

/**
 * Where images come from: a reference is resolved to a digest, the signature of that digest is verified, and only
 * then is it fetched, by digest (`spec/artifacts.md` §6). Verdicts and manifests are kept in the local store, so
 * that they hold across restarts; a verdict counts for the policy that gave it only.
 */
export class ImageSource {
  readonly #options: ImageSourceOptions;

  constructor(options: ImageSourceOptions) {
    this.#options = options;
  }

  repository(name: RepositoryName, insecure: boolean): RepositoryReader {
    return this.#options.repositories(name, insecure);
  }

  /**
   * The image of `linux/<arch>` that a digest denotes. Throws `upstream` `ARTIFACT_IMAGE_MISSING`, `invalid`
   * `ARTIFACT_ARCH_MISSING`, and what the verification throws.
   */
  async image(
    repository: RepositoryReader,
    digest: Digest,
    arch: Arch,
    signal?: AbortSignal,
  ): Promise<PulledImage> {
    await this.#verify(repository, digest, signal);
    try {
      const manifest = await resolveImage(this.#kept(repository), digest, arch, signal);
      if (manifest === undefined) throw missingImage(repository, digest);
      return { repository, manifest };
    } catch (error) {
      if (!(error instanceof FactoryError) || error.code !== 'OCI_PLATFORM_UNKNOWN') throw error;
      throw new FactoryError(
        'invalid',
        'ARTIFACT_ARCH_MISSING',
        `${repository.name}@${digest} is not available for ${arch}`,
        { cause: error },
      );
    }
  }

  async #verify(
    repository: RepositoryReader,
    digest: Digest,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { verifier, store, log } = this.#options;
    const make = async (directory: string, making: AbortSignal): Promise<void> => {
      // A release may be half published: what is not there yet is not unsigned.
      if ((await repository.resolve(digest, making)) === undefined) throw missingImage(repository, digest);
      const method = await verifier.verify(repository, digest, making);
      log.info('image signature verified', { image: `${repository.name}@${digest}`, method });
      await writeFile(join(directory, 'method'), method);
    };
    using _ = await store.obtain(`verified/${verifier.fingerprint}/${digest}`, make, signal);
  }

  /** The repository with its manifests by digest kept in the local store. */
  #kept(repository: RepositoryReader): RepositoryReader {
    return {
      name: repository.name,
      resolve: (reference, signal) => repository.resolve(reference, signal),
      manifest: (reference, signal) => this.#manifest(repository, reference, signal),
      blobSize: (digest, signal) => repository.blobSize(digest, signal),
      openBlob: (digest, options) => repository.openBlob(digest, options),
      tags: (signal) => repository.tags(signal),
      referrers: (digest, artifactType, signal) => repository.referrers(digest, artifactType, signal),
    };
  }

  async #manifest(
    repository: RepositoryReader,
    reference: Reference,
    signal: AbortSignal | undefined,
  ): Promise<RawManifest | undefined> {
    const make = async (directory: string, making: AbortSignal): Promise<void> => {
      const raw = await repository.manifest(reference, making);
      if (raw === undefined) throw missingImage(repository, reference);
      await writeFile(join(directory, 'media-type'), raw.descriptor.mediaType);
      await writeFile(join(directory, 'manifest'), raw.bytes);
    };
    using entry = await this.#options.store.obtain(`manifest/${reference}`, make, signal);
    const bytes = await readAll(entry.blob('manifest'), MAX_MANIFEST);
    const digest = reference as Digest;
    checkBytes(`manifest ${digest}`, digest, bytes);
    const mediaType = Buffer.from(await readAll(entry.blob('media-type'))).toString();
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
  }
}

export function missingImage(repository: RepositoryReader, reference: string): FactoryError {
  const separator = reference.includes(':') ? '@' : ':';
  return badArtifact(
    'ARTIFACT_IMAGE_MISSING',
    `image ${repository.name}${separator}${reference} is not in the registry`,
  );
}
