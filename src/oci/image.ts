import { z } from 'zod';
import { badAnswer } from './errors.ts';
import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  isIndexType,
  isManifestType,
  MAX_MANIFEST,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-types.ts';
import { type Digest, isDigest } from './names.ts';
import type { Descriptor, RawManifest, Reference, RepositoryReader } from './repository.ts';

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly descriptor: Descriptor;
  readonly artifactType?: string;
  readonly config: Descriptor;
  /** From the base up. */
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly kind: 'index';
  readonly descriptor: Descriptor;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations: Readonly<Record<string, string>>;
}

const MAX_LAYERS = 1000;
const MAX_CHILDREN = 10_000;

const digestSchema = z.custom<Digest>(
  (value) => typeof value === 'string' && isDigest(value),
  'not a digest',
);
const annotationsSchema = z.record(z.string(), z.string());

const descriptorSchema = z.object({
  mediaType: z.string().min(1).max(255),
  digest: digestSchema,
  size: z.int().nonnegative(),
  artifactType: z.string().optional(),
  annotations: annotationsSchema.nullish(),
  platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }).nullish(),
});

const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([OCI_MANIFEST, DOCKER_MANIFEST]).optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(MAX_LAYERS),
  subject: descriptorSchema.nullish(),
  annotations: annotationsSchema.nullish(),
  // A document that could be read either way is refused (OCI image-spec advisory, CVE-2021-41190).
  manifests: z.never().optional(),
});

const indexSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([OCI_INDEX, DOCKER_INDEX]).optional(),
  artifactType: z.string().optional(),
  manifests: z.array(descriptorSchema).max(MAX_CHILDREN).nullable(),
  subject: descriptorSchema.nullish(),
  annotations: annotationsSchema.nullish(),
  config: z.never().optional(),
  layers: z.never().optional(),
});

type ParsedDescriptor = z.infer<typeof descriptorSchema>;

function descriptorOf(parsed: ParsedDescriptor): Descriptor {
  const { mediaType, digest, size, artifactType, annotations, platform } = parsed;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations ? { annotations } : {}),
    ...(platform
      ? {
          platform: {
            os: platform.os,
            architecture: platform.architecture,
            ...(platform.variant === undefined ? {} : { variant: platform.variant }),
          },
        }
      : {}),
  };
}

/**
 * A manifest or index, read strictly; its kind follows from the media type it was served with. Throws
 * `OCI_MANIFEST_INVALID`, `OCI_MANIFEST_TOO_LARGE`.
 */
export function parseImage(raw: RawManifest): ImageManifest | ImageIndex {
  const { descriptor, bytes } = raw;
  const invalid = (why: string, cause?: unknown): Error =>
    badAnswer('OCI_MANIFEST_INVALID', `manifest ${descriptor.digest} is invalid: ${why}`, cause);
  if (bytes.length > MAX_MANIFEST) {
    throw badAnswer(
      'OCI_MANIFEST_TOO_LARGE',
      `manifest ${descriptor.digest} has more than ${MAX_MANIFEST} bytes`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid('it is not JSON', error);
  }
  if (isIndexType(descriptor.mediaType)) {
    const parsed = indexSchema.safeParse(value);
    if (!parsed.success) throw invalid(issue(parsed.error), parsed.error);
    if (parsed.data.mediaType !== undefined && parsed.data.mediaType !== descriptor.mediaType) {
      throw invalid(`it is ${parsed.data.mediaType} but was served as ${descriptor.mediaType}`);
    }
    return {
      kind: 'index',
      descriptor,
      manifests: (parsed.data.manifests ?? []).map(descriptorOf),
      ...shared(parsed.data),
    };
  }
  if (isManifestType(descriptor.mediaType)) {
    const parsed = manifestSchema.safeParse(value);
    if (!parsed.success) throw invalid(issue(parsed.error), parsed.error);
    if (parsed.data.mediaType !== undefined && parsed.data.mediaType !== descriptor.mediaType) {
      throw invalid(`it is ${parsed.data.mediaType} but was served as ${descriptor.mediaType}`);
    }
    return {
      kind: 'manifest',
      descriptor,
      config: descriptorOf(parsed.data.config),
      layers: parsed.data.layers.map(descriptorOf),
      ...shared(parsed.data),
    };
  }
  throw invalid(
    `media type ${JSON.stringify(descriptor.mediaType)} is neither an image manifest nor an index`,
  );
}

function shared(data: {
  readonly artifactType?: string | undefined;
  readonly subject?: ParsedDescriptor | null | undefined;
  readonly annotations?: Record<string, string> | null | undefined;
}): Pick<ImageManifest, 'artifactType' | 'subject' | 'annotations'> {
  return {
    annotations: data.annotations ?? {},
    ...(data.artifactType === undefined ? {} : { artifactType: data.artifactType }),
    ...(data.subject ? { subject: descriptorOf(data.subject) } : {}),
  };
}

function issue(error: z.ZodError): string {
  const first = error.issues[0];
  return first === undefined ? 'unreadable' : `${first.path.join('.') || 'document'}: ${first.message}`;
}

/** The child of an index for Linux on `architecture`; attestations (`unknown/unknown`) never match. */
export function selectPlatform(index: ImageIndex, architecture: string): Descriptor | undefined {
  return index.manifests.find(
    ({ platform, mediaType }) =>
      platform?.os === 'linux' &&
      platform.architecture === architecture &&
      (isManifestType(mediaType) || isIndexType(mediaType)),
  );
}

/**
 * The image manifest that a reference denotes for `linux/<architecture>`: the child of an index, or a manifest as
 * it is. `undefined` when the reference is absent; throws `OCI_PLATFORM_UNKNOWN` when an index has no such child.
 */
export async function resolveImage(
  repository: RepositoryReader,
  reference: Reference,
  architecture: string,
  signal?: AbortSignal,
): Promise<ImageManifest | undefined> {
  let at = reference;
  // An index may point to another one; deeper nesting is not used by anybody.
  for (let depth = 0; depth < 4; depth++) {
    const raw = await repository.manifest(at, signal);
    if (raw === undefined) {
      if (depth === 0) return undefined;
      throw badAnswer(
        'OCI_IMAGE_UNKNOWN',
        `${repository.name}: manifest ${at} is named by its index but absent`,
      );
    }
    const image = parseImage(raw);
    if (image.kind === 'manifest') return image;
    const child = selectPlatform(image, architecture);
    if (child === undefined) {
      throw badAnswer(
        'OCI_PLATFORM_UNKNOWN',
        `${repository.name}: ${reference} has no image for linux/${architecture}`,
      );
    }
    at = child.digest;
  }
  throw badAnswer('OCI_MANIFEST_INVALID', `${repository.name}: ${reference} nests indexes too deeply`);
}
