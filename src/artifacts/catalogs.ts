import { parse } from 'yaml';
import { z } from 'zod';
import { FactoryError } from '../errors.ts';
import { type Digest, isDigest, type RepositoryName } from '../oci/names.ts';
import { extensionAlias } from '../talos/extension-aliases.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import { didYouMean } from './close-names.ts';
import { badArtifact } from './errors.ts';
import { joinRepository, parseTaggedReference, type TaggedReference } from './image-reference.ts';

/** A system extension of a release. */
export interface ExtensionRecord {
  /** Identity: `siderolabs/gvisor`. */
  readonly name: string;
  /** As it is shown: `<registry>/siderolabs/gvisor:<tag>`, without the namespace of a mirror. */
  readonly ref: string;
  /** Where it is pulled from, with the namespace of a mirror. */
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly author: string;
  readonly description: string;
}

/** An overlay of a release. */
export interface OverlayRecord {
  /** Identity: `rpi_generic`; several may share one image. */
  readonly name: string;
  /** Repository path: `siderolabs/sbc-raspberrypi`. */
  readonly image: string;
  /** As the catalog writes it, with the registry it was published to. */
  readonly ref: string;
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

/** Where the images that a catalog names are pulled from: the registry that a line names does not count. */
export interface CatalogHome {
  readonly registry: string;
  readonly namespace: string;
}

/** Files of catalog images and the most bytes that are read of them. */
export const IMAGE_DIGESTS = 'image-digests';
export const DESCRIPTIONS = 'descriptions.yaml';
export const OVERLAYS = 'overlays.yaml';
export const CATALOG_FILE_LIMIT = 4 << 20;
const RECORDS_LIMIT = 10_000;

const descriptionsSchema = z
  .record(
    z.string(),
    z.object({ author: z.string().nullish(), description: z.string().nullish() }).nullable(),
  )
  .nullable();

const overlaysSchema = z.object({
  overlays: z
    .array(z.object({ name: z.string().min(1), image: z.string(), digest: z.string() }))
    .max(RECORDS_LIMIT)
    .nullish(),
});

/**
 * The extensions of a catalog image, in the order of its lines (`spec/artifacts.md` §5.1). Throws `upstream`
 * `CATALOG_INVALID`.
 */
export function parseExtensions(
  imageDigests: string,
  descriptionsYaml: string | undefined,
  home: CatalogHome,
): readonly ExtensionRecord[] {
  const descriptions =
    descriptionsYaml === undefined ? null : readYaml(DESCRIPTIONS, descriptionsYaml, descriptionsSchema);
  const texts = new Map(Object.entries(descriptions ?? {}));
  const records: ExtensionRecord[] = [];
  for (const untrimmed of imageDigests.split('\n')) {
    const line = untrimmed.trim();
    const at = line.indexOf('@');
    if (at < 0) continue;
    const { path, tag, pulled } = reference(IMAGE_DIGESTS, line.slice(0, at), home);
    const text = texts.get(line);
    records.push({
      name: path,
      ref: `${home.registry}/${path}:${tag}`,
      repository: pulled,
      digest: catalogDigest(IMAGE_DIGESTS, line.slice(at + 1)),
      author: text?.author ?? '',
      description: text?.description ?? '',
    });
    if (records.length > RECORDS_LIMIT) {
      throw badArtifact('CATALOG_INVALID', `${IMAGE_DIGESTS} names more than ${RECORDS_LIMIT} images`);
    }
  }
  if (records.length === 0) throw badArtifact('CATALOG_INVALID', `failed to find ${IMAGE_DIGESTS} file`);
  return records;
}

/** The overlays of a catalog image, in order (`spec/artifacts.md` §5.4). Throws `upstream` `CATALOG_INVALID`. */
export function parseOverlays(overlaysYaml: string, home: CatalogHome): readonly OverlayRecord[] {
  const { overlays } = readYaml(OVERLAYS, overlaysYaml, overlaysSchema);
  if (!overlays || overlays.length === 0) {
    throw badArtifact('CATALOG_INVALID', `failed to find ${OVERLAYS} file`);
  }
  return overlays.map(({ name, image, digest }) => {
    const { path, pulled } = reference(OVERLAYS, image, home);
    return {
      name,
      image: path,
      ref: image,
      repository: pulled,
      digest: catalogDigest(OVERLAYS, digest),
    };
  });
}

/** Extra extensions first, then the official ones that they do not replace (`spec/artifacts.md` §5.2). */
export function mergeExtensions(
  extra: readonly ExtensionRecord[],
  official: readonly ExtensionRecord[],
): readonly ExtensionRecord[] {
  const replaced = new Set(extra.map(({ name }) => name));
  return [...extra, ...official.filter(({ name }) => !replaced.has(name))];
}

/**
 * The extension of that name, or of the name it has now. Throws `invalid` `EXTENSION_NOT_AVAILABLE` with names that
 * may have been meant.
 */
export function findExtension(
  records: readonly ExtensionRecord[],
  name: string,
  version: TalosVersion,
): ExtensionRecord {
  const alias = extensionAlias(name);
  const found =
    records.find((record) => record.name === name) ?? records.find((record) => record.name === alias);
  if (found !== undefined) return found;
  throw notAvailable('extension', 'EXTENSION_NOT_AVAILABLE', records, name, version);
}

/** The overlay of that name. Throws `invalid` `OVERLAY_NOT_AVAILABLE` with names that may have been meant. */
export function findOverlay(
  records: readonly OverlayRecord[],
  name: string,
  version: TalosVersion,
): OverlayRecord {
  const found = records.find((record) => record.name === name);
  if (found !== undefined) return found;
  throw notAvailable('overlay', 'OVERLAY_NOT_AVAILABLE', records, name, version);
}

function notAvailable(
  kind: 'extension' | 'overlay',
  code: string,
  records: readonly { readonly name: string }[],
  name: string,
  version: TalosVersion,
): FactoryError {
  const close = didYouMean(
    name,
    records.map((record) => record.name),
  );
  return new FactoryError(
    'invalid',
    code,
    `official ${kind} ${JSON.stringify(name)} is not available for Talos version ${versionTag(version)}${close}`,
  );
}

/** A reference, and the repository that its image is pulled from. */
function reference(
  file: string,
  text: string,
  home: CatalogHome,
): TaggedReference & { readonly pulled: RepositoryName } {
  try {
    const tagged = parseTaggedReference(text);
    return { ...tagged, pulled: joinRepository(home.registry, home.namespace, tagged.path) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw badArtifact('CATALOG_INVALID', `${file}: ${reason}`, cause);
  }
}

function catalogDigest(file: string, text: string): Digest {
  if (isDigest(text)) return text;
  throw badArtifact('CATALOG_INVALID', `${file}: invalid digest ${JSON.stringify(text.slice(0, 200))}`);
}

function readYaml<T>(file: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    // Without a limit, aliases of aliases would grow without end.
    value = parse(text, { maxAliasCount: 100, logLevel: 'error' });
  } catch (cause) {
    throw badArtifact('CATALOG_INVALID', `${file} is not valid YAML`, cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badArtifact(
    'CATALOG_INVALID',
    `${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
  );
}
