import { digestHex } from './digest.ts';
import { type ImageIndex, type ImageManifest, parseImage } from './image.ts';
import { DOCKER_CONFIG, isIndexType, isManifestType, OCI_CONFIG, OCI_INDEX } from './media-types.ts';
import type { Digest, Tag } from './names.ts';
import type { Descriptor, RawManifest } from './repository.ts';

/** The tag that stands in for the referrers API (OCI distribution-spec 1.1, "Referrers tag schema"). */
export function referrersTag(subject: Digest): Tag {
  return `${subject.slice(0, subject.indexOf(':'))}-${digestHex(subject)}`.slice(0, 128) as Tag;
}

/** What a referrers list says of a manifest: its own descriptor with artifact type and annotations. */
export function referrerDescriptor(image: ImageManifest | ImageIndex): Descriptor {
  const { mediaType, digest, size } = image.descriptor;
  const artifactType =
    image.artifactType ?? (image.kind === 'manifest' ? artifactOf(image.config) : undefined);
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(Object.keys(image.annotations).length === 0 ? {} : { annotations: image.annotations }),
  };
}

/** Without an artifact type of its own, a manifest has the one of its config (distribution-spec 1.1). */
function artifactOf(config: Descriptor): string | undefined {
  const isImage = config.mediaType === OCI_CONFIG || config.mediaType === DOCKER_CONFIG;
  return isImage ? undefined : config.mediaType;
}

/** Sorted by digest, each once, of the asked artifact type only. */
export function listReferrers(
  descriptors: Iterable<Descriptor>,
  artifactType: string | undefined,
): readonly Descriptor[] {
  const byDigest = new Map<string, Descriptor>();
  for (const descriptor of descriptors) {
    if (artifactType === undefined || descriptor.artifactType === artifactType) {
      byDigest.set(descriptor.digest, descriptor);
    }
  }
  return [...byDigest.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

/** The index that lists referrers, canonical: the same descriptors give the same bytes. */
export function referrersIndex(descriptors: readonly Descriptor[]): Uint8Array {
  const manifests = listReferrers(descriptors, undefined);
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

/** The subject of a manifest, if it is one that has a subject. Bytes of other types have none. */
export function parseSubject(raw: RawManifest): ImageManifest | ImageIndex | undefined {
  const { mediaType } = raw.descriptor;
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return undefined;
  const image = parseImage(raw);
  return image.subject === undefined ? undefined : image;
}
