import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Digest } from '../oci/names.ts';
import type { Descriptor } from '../oci/repository.ts';
import type { Arch } from '../talos/arch.ts';
import { type ArchiveEntry, tarArchive } from './tar-archive.ts';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A layer and what an image configuration needs to know of it. */
export interface BuiltLayer {
  readonly descriptor: Descriptor;
  /** Digest of the archive before compression. */
  readonly diffId: Digest;
  readonly bytes: Uint8Array;
}

/** Something with a digest that a registry keeps: a blob, or a manifest when `mediaType` says so. */
export interface BuiltObject {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** An image or an index, and everything below it. */
export interface BuiltImage {
  readonly root: BuiltObject;
  /** Manifests below the root, to be pushed before it. */
  readonly manifests: readonly BuiltObject[];
  readonly blobs: readonly BuiltObject[];
}

export function sha256Digest(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

export function builtObject(mediaType: string, bytes: Uint8Array): BuiltObject {
  return { descriptor: { mediaType, digest: sha256Digest(bytes), size: bytes.length }, bytes };
}

/** An object of a JSON value: two spaces of indentation, as many registries show it. */
export function jsonObject(mediaType: string, value: unknown): BuiltObject {
  return builtObject(mediaType, Buffer.from(JSON.stringify(value, null, 2)));
}

/** A gzipped layer. `level` 1 for what is compressed already. */
export function buildLayer(entries: readonly ArchiveEntry[], level = 6): BuiltLayer {
  const archive = tarArchive(entries);
  return { ...builtObject(OCI_LAYER, gzipSync(archive, { level })), diffId: sha256Digest(archive) };
}

/** A single-platform image. `config` is the `config` object of the image configuration. */
export function buildImage(
  arch: Arch,
  layers: readonly BuiltLayer[],
  config: Readonly<Record<string, unknown>> = {},
): BuiltImage {
  const configuration = jsonObject(OCI_CONFIG, {
    architecture: arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z' })),
  });
  const manifest = jsonObject(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: configuration.descriptor,
    layers: layers.map((layer) => layer.descriptor),
  });
  return { root: manifest, manifests: [], blobs: [configuration, ...layers] };
}

/** An index over one image an architecture. */
export function buildIndex(
  images: readonly { readonly arch: Arch; readonly image: BuiltImage }[],
): BuiltImage {
  const index = jsonObject(OCI_INDEX, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: images.map(({ arch, image }) => ({
      ...image.root.descriptor,
      platform: { architecture: arch, os: 'linux' },
    })),
  });
  return {
    root: index,
    manifests: images.flatMap(({ image }) => [...image.manifests, image.root]),
    blobs: images.flatMap(({ image }) => image.blobs),
  };
}
