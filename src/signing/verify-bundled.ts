import { FactoryError } from '../errors.ts';
import { parseImage } from '../oci/image.ts';
import type { Digest } from '../oci/names.ts';
import type { Descriptor, RawManifest, RepositoryReader } from '../oci/repository.ts';
import type { SignatureAuthority } from './authority.ts';
import { BUNDLE_MEDIA_TYPE_PREFIX, type Bundle, parseBundle } from './bundle.ts';
import { missingSignature, refusal } from './errors.ts';
import { readSmallBlob } from './small-blob.ts';

/** Bytes. A real bundle has 7 KB; larger ones attest other things. */
const BUNDLE_LIMIT = 1 << 20;
/** Referrers that are looked at: a registry must not make us fetch for ever. */
const REFERRERS_LIMIT = 256;

/**
 * Verifies by Sigstore bundles that refer to the image (`spec/artifacts.md` §6.2). Throws `SIGNATURE_MISSING`
 * (`no valid bundles exist in registry`) or the reason why the last bundle was refused.
 */
export async function verifyBundled(
  repository: RepositoryReader,
  digest: Digest,
  authority: SignatureAuthority,
  signal?: AbortSignal,
): Promise<void> {
  const referrers = await repository.referrers(digest, undefined, signal);
  const refused: FactoryError[] = [];
  for (const referrer of likelyFirst(referrers).slice(0, REFERRERS_LIMIT)) {
    try {
      const bundle = await fetchBundle(repository, referrer, signal);
      if (bundle === undefined) continue;
      await authority.verifyBundle(bundle, digest);
      return;
    } catch (error) {
      refused.push(refusal(error));
    }
  }
  throw together(refused) ?? missingSignature('no valid bundles exist in registry');
}

/** Reasons that one message names at the most. */
const REASONS = 8;

/** Every bundle's reason, each once: which of them is the wanted one is not for us to guess. */
function together(refused: readonly FactoryError[]): FactoryError | undefined {
  const last = refused.at(-1);
  const reasons = [...new Set(refused.map(({ message }) => message))];
  if (last === undefined || reasons.length === 1) return last;
  return new FactoryError(last.kind, last.code, reasons.slice(0, REASONS).join('; '), { cause: last });
}

/** Those that say that they are bundles, then the rest: `artifactType` need not be there. */
function likelyFirst(referrers: readonly Descriptor[]): readonly Descriptor[] {
  const likely = (one: Descriptor): number =>
    one.artifactType?.startsWith(BUNDLE_MEDIA_TYPE_PREFIX) === true ? 0 : 1;
  return [...referrers].sort((a, b) => likely(a) - likely(b));
}

async function fetchBundle(
  repository: RepositoryReader,
  referrer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Bundle | undefined> {
  const manifest = await repository.manifest(referrer.digest, signal);
  const layers = manifest === undefined ? undefined : layersOf(manifest);
  const layer = layers?.[0];
  if (layer === undefined || layers?.length !== 1) return undefined;
  if (!layer.mediaType.startsWith(BUNDLE_MEDIA_TYPE_PREFIX) || layer.size > BUNDLE_LIMIT) return undefined;
  return parseBundle(await readSmallBlob(repository, layer, BUNDLE_LIMIT, signal));
}

/** What refers to an image may be of any kind; only image manifests can carry a bundle. */
function layersOf(manifest: RawManifest): readonly Descriptor[] | undefined {
  try {
    const image = parseImage(manifest);
    return image.kind === 'manifest' ? image.layers : undefined;
  } catch (error) {
    if (error instanceof FactoryError) return undefined;
    throw error;
  }
}
