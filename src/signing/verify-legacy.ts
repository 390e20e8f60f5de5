import { digestHex } from '../oci/digest.ts';
import { parseImage } from '../oci/image.ts';
import { type Digest, parseTag, type Tag } from '../oci/names.ts';
import type { Descriptor, RepositoryReader } from '../oci/repository.ts';
import type { SignatureAuthority } from './authority.ts';
import { base64Bytes } from './encoding.ts';
import { badSignature, missingSignature, refusal } from './errors.ts';
import { SIGNATURE_ANNOTATION, SIMPLE_SIGNING_MEDIA_TYPE, signedDigest } from './simple-signing.ts';
import { readSmallBlob } from './small-blob.ts';

/** A payload is 250 bytes; with annotations of its own it may be larger. */
const PAYLOAD_LIMIT = 256 << 10;
const SIGNATURE_LIMIT = 8 << 10;

/** The tag that carries an image's signatures: `sha256-<hex>.sig`. */
export function signatureTag(digest: Digest): Tag {
  return parseTag(`${digest.slice(0, digest.indexOf(':'))}-${digestHex(digest)}.sig`);
}

/**
 * Verifies by the signatures of the image's signature tag (`spec/artifacts.md` §6.3). Throws `SIGNATURE_MISSING`
 * (`no signatures found`) or the reason why the last signature was refused.
 */
export async function verifyLegacy(
  repository: RepositoryReader,
  digest: Digest,
  authority: SignatureAuthority,
  signal?: AbortSignal,
): Promise<void> {
  const manifest = await repository.manifest(signatureTag(digest), signal);
  if (manifest === undefined) throw missingSignature('no signatures found');
  const image = parseImage(manifest);
  // At most 1000 of them: parseImage refuses more.
  const layers = image.kind === 'manifest' ? image.layers : [];
  let refused = missingSignature('no signatures found');
  for (const layer of layers) {
    const annotation = layer.annotations?.[SIGNATURE_ANNOTATION];
    if (layer.mediaType !== SIMPLE_SIGNING_MEDIA_TYPE || annotation === undefined) continue;
    try {
      await verifyLayer(repository, layer, annotation, digest, authority, signal);
      return;
    } catch (error) {
      refused = refusal(error);
    }
  }
  throw refused;
}

async function verifyLayer(
  repository: RepositoryReader,
  layer: Descriptor,
  annotation: string,
  digest: Digest,
  authority: SignatureAuthority,
  signal: AbortSignal | undefined,
): Promise<void> {
  const signature = base64Bytes.safeParse(annotation);
  if (!signature.success || signature.data.length > SIGNATURE_LIMIT) {
    throw badSignature('the signature tag holds a malformed signature');
  }
  const payload = await readSmallBlob(repository, layer, PAYLOAD_LIMIT, signal);
  await authority.verifyLegacy({ payload, signature: signature.data, annotations: layer.annotations ?? {} });
  // Signed by the right one, but copied here from another image.
  if (signedDigest(payload) !== digest) throw badSignature('signature is of another image');
}
