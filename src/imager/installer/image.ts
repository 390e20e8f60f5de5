import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { digestOf } from '../../oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.ts';
import type { Descriptor } from '../../oci/repository.ts';
import type { Arch } from '../../talos/arch.ts';
import type { InstallerLayer } from './layer.ts';

/** A document with its descriptor. */
export interface ImageDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** An installer image for one architecture, whole but nowhere yet. */
export interface InstallerImage {
  readonly arch: Arch;
  readonly manifest: ImageDocument;
  readonly config: ImageDocument;
  /** From the base up. */
  readonly layers: readonly InstallerLayer[];
}

/** Fixed, so that every factory makes the same image: `2019-06-01T21:34:52Z`. */
const CREATED = new Date(SOURCE_DATE_EPOCH * 1000).toISOString().replace('.000', '');

/** Configuration and manifest over layers (`spec/outputs-installer.md` §1.4), in OCI's media types. */
export function installerImage(
  arch: Arch,
  baseConfig: Readonly<Record<string, unknown>>,
  layers: readonly InstallerLayer[],
): InstallerImage {
  const config = document(OCI_CONFIG, {
    architecture: arch,
    os: 'linux',
    created: CREATED,
    config: baseConfig,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: CREATED })),
  });
  const manifest = document(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });
  return { arch, manifest, config, layers };
}

/** The index over the images of all architectures, in their order. */
export function installerIndex(images: readonly InstallerImage[]): ImageDocument {
  return document(OCI_INDEX, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: images.map(({ arch, manifest }) => ({
      ...manifest.descriptor,
      platform: { architecture: arch, os: 'linux' },
    })),
  });
}

function document(mediaType: string, value: unknown): ImageDocument {
  const bytes = Buffer.from(JSON.stringify(value));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}
