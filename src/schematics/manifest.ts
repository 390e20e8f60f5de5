import { createHash } from 'node:crypto';
import { type Digest, parseDigest } from '../oci/names.ts';
import type { SchematicId } from './id.ts';

export const MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG_TYPE = 'application/vnd.docker.container.image.v1+json';
const LAYER_TYPE = 'application/vnd.sidero.dev-image.schematic';
/** The time of images without one. */
const NO_TIME = '0001-01-01T00:00:00Z';

export interface SchematicImage {
  readonly config: Uint8Array;
  readonly configDigest: Digest;
  readonly manifest: Uint8Array;
}

/** Digest of the blob that holds a schematic: its id. */
export function blobDigest(id: SchematicId): Digest {
  return parseDigest(`sha256:${id}`);
}

/**
 * The image around a schematic's blob (`spec/schematic.md` §4.1, bytes of `spec/asset-cache.md` §9). Nobody reads
 * it: it keeps registries from collecting the blob as garbage. `size` is the length of the blob in bytes.
 */
export function schematicImage(id: SchematicId, size: number): SchematicImage {
  const layer = { mediaType: LAYER_TYPE, size, digest: blobDigest(id) };
  const config = json({
    architecture: '',
    created: NO_TIME,
    history: [{ created: NO_TIME }],
    os: '',
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
    config: {},
  });
  const configDigest = parseDigest(`sha256:${createHash('sha256').update(config).digest('hex')}`);
  const manifest = json({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, size: config.length, digest: configDigest },
    layers: [layer],
  });
  return { config, configDigest, manifest };
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
