import { setTimeout as sleep } from 'node:timers/promises';
import { bytesBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import type { ImageDocument, InstallerImage } from '../imager/installer/image.ts';
import type { Tag } from '../oci/names.ts';
import type { Repository } from '../oci/repository.ts';
import { signLegacy } from '../signing/sign.ts';
import type { SigningKey } from '../signing/signing-key.ts';
import type { ImageVerifier } from '../signing/verifier.ts';

export interface Publication {
  readonly repository: Repository;
  readonly tag: Tag;
  readonly index: ImageDocument;
  readonly images: readonly InstallerImage[];
}

export interface PublishOptions {
  readonly signer: SigningKey;
  /** Accepts what `signer` signs. */
  readonly verifier: ImageVerifier;
  /** Waits so many milliseconds; real time when absent. */
  readonly pause?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Milliseconds before the signature is looked for again, and the most of all waiting. */
const FIRST_PAUSE = 250;
const MOST_WAITING = 30_000;

/**
 * Publishes in an order in which a tag never denotes what is not whole and signed: images and index by digest,
 * signature, the signature as the registry gives it back, tag (`spec/registry.md` §5.2).
 */
export async function publishInstaller(
  { repository, tag, index, images }: Publication,
  options: PublishOptions,
  signal: AbortSignal,
): Promise<void> {
  const settled = await Promise.allSettled(images.map((image) => pushImage(repository, image, signal)));
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  const { digest, mediaType } = index.descriptor;
  await repository.pushManifest(digest, mediaType, index.bytes, signal);
  await signLegacy(repository, digest, options.signer, signal);
  await verifyPublished(repository, index, options, signal);
  await repository.pushManifest(tag, mediaType, index.bytes, signal);
}

async function pushImage(repository: Repository, image: InstallerImage, signal: AbortSignal): Promise<void> {
  for (const { descriptor, content, origin } of image.layers) {
    const mount = origin === undefined ? {} : { mountFrom: origin };
    await repository.pushBlob(descriptor, content, { ...mount, signal });
  }
  const { config, manifest } = image;
  await repository.pushBlob(config.descriptor, bytesBlob(config.bytes), { signal });
  const { digest, mediaType } = manifest.descriptor;
  await repository.pushManifest(digest, mediaType, manifest.bytes, signal);
}

/** Some registries show what was written a little later. */
async function verifyPublished(
  repository: Repository,
  { descriptor }: ImageDocument,
  { verifier, pause = wait }: PublishOptions,
  signal: AbortSignal,
): Promise<void> {
  let waited = 0;
  for (let next = FIRST_PAUSE; ; next *= 2) {
    try {
      await verifier.verify(repository, descriptor.digest, signal);
      return;
    } catch (error) {
      const isPassing = error instanceof FactoryError && ['upstream', 'unavailable'].includes(error.kind);
      if (!isPassing || waited >= MOST_WAITING) throw error;
      const milliseconds = Math.min(next, MOST_WAITING - waited);
      waited += milliseconds;
      await pause(milliseconds, signal);
    }
  }
}

async function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal });
}
