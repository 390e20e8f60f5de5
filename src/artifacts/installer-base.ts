import { join } from 'node:path';
import { z } from 'zod';
import type { Blob, LeafBlob } from '../blob/blob.ts';
import { writeBlob } from '../blob/consume.ts';
import { type Digest, isDigest, type RepositoryName } from '../oci/names.ts';
import type { Descriptor } from '../oci/repository.ts';
import { repositoryBlob } from '../oci/repository-blob.ts';
import { readSmallBlob } from '../signing/small-blob.ts';
import type { LocalStore } from '../store/store.ts';
import { badArtifact } from './errors.ts';
import type { PulledImage } from './image-source.ts';

/** The image that installer images of a release are built on, for one architecture. Nothing of it is unpacked. */
export interface InstallerBase {
  readonly repository: RepositoryName;
  /** Of the platform's manifest. */
  readonly digest: Digest;
  /** `config` of the image configuration: entry point, environment, labels. */
  readonly config: Readonly<Record<string, unknown>>;
  /** From the bottom up. */
  readonly layers: readonly BaseLayer[];
}

export interface BaseLayer {
  /** With its OCI media type. */
  readonly descriptor: Descriptor;
  /** Digest of the archive before compression. */
  readonly diffId: Digest;
  /** Reads from the registry. */
  readonly remote: Blob;
}

/** A layer in the local store, until it is disposed. */
export interface HeldLayer extends Disposable {
  readonly blob: LeafBlob;
}

/** OCI image-spec 1.1 "Layer"; Docker's types denote the same bytes. */
const LAYER_TYPES: Readonly<Record<string, string>> = {
  'application/vnd.oci.image.layer.v1.tar': 'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip': 'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd': 'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar': 'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'application/vnd.oci.image.layer.v1.tar+gzip',
};

const MAX_CONFIG = 1 << 20;

const configSchema = z.object({
  config: z.record(z.string(), z.unknown()).nullish(),
  rootfs: z.object({
    diff_ids: z.array(z.custom<Digest>((value) => typeof value === 'string' && isDigest(value))),
  }),
});

/** Reads what an image is, not its layers. Throws `upstream` `INSTALLER_BASE_INVALID`. */
export async function installerBase(
  { repository, manifest }: PulledImage,
  signal?: AbortSignal,
): Promise<InstallerBase> {
  const { digest } = manifest.descriptor;
  const invalid = (why: string, cause?: unknown): Error =>
    badArtifact('INSTALLER_BASE_INVALID', `installer image ${repository.name}@${digest}: ${why}`, cause);
  const bytes = await readSmallBlob(repository, manifest.config, MAX_CONFIG, signal);
  const parsed = configSchema.safeParse(parseJson(bytes));
  if (!parsed.success) throw invalid('its configuration cannot be read', parsed.error);
  const { config, rootfs } = parsed.data;
  if (rootfs.diff_ids.length !== manifest.layers.length) {
    throw invalid(`it has ${manifest.layers.length} layers and ${rootfs.diff_ids.length} diff IDs`);
  }
  const layers = manifest.layers.map((layer, index): BaseLayer => {
    const mediaType = Object.hasOwn(LAYER_TYPES, layer.mediaType) ? LAYER_TYPES[layer.mediaType] : undefined;
    const diffId = rootfs.diff_ids[index];
    if (mediaType === undefined || diffId === undefined) {
      throw invalid(`layer ${layer.digest} of type ${JSON.stringify(layer.mediaType)} cannot be used`);
    }
    const { digest, size } = layer;
    return {
      descriptor: { mediaType, digest, size },
      diffId,
      remote: repositoryBlob(repository, digest, size),
    };
  });
  return { repository: repository.name, digest, config: config ?? {}, layers };
}

/** Fetches a layer into the local store, unless it is there. */
export async function holdLayer(
  store: LocalStore,
  layer: BaseLayer,
  signal?: AbortSignal,
): Promise<HeldLayer> {
  const { digest } = layer.descriptor;
  const make = (directory: string, making: AbortSignal): Promise<void> =>
    writeBlob(layer.remote, join(directory, LAYER_FILE), making);
  const entry = await store.obtain(`layer/${digest}`, make, signal);
  return { blob: entry.blob(LAYER_FILE, 'packed'), [Symbol.dispose]: () => entry[Symbol.dispose]() };
}

const LAYER_FILE = 'layer';

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
