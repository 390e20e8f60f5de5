import { z } from 'zod';
import type { Digest, RepositoryName } from '../oci/names.ts';
import { parseJsonBytes } from './encoding.ts';

/** The layers of a cosign signature tag (cosign's SIGNATURE_SPEC.md). */
export const SIMPLE_SIGNING_MEDIA_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json';
/** Annotation of the layer's descriptor: base64 of the signature over the payload's bytes. */
export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';

const payloadSchema = z.object({
  critical: z.object({ image: z.object({ 'docker-manifest-digest': z.string() }) }),
});

/** The payload that is signed, in this order of keys (`spec/registry.md` §8). */
export function simpleSigningPayload(repository: RepositoryName, digest: Digest): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': repository },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
}

/**
 * The digest that a payload vouches for; `undefined` when it is none. Its repository is not looked at: a mirror
 * has another name than the original.
 */
export function signedDigest(payload: Uint8Array): string | undefined {
  return parseJsonBytes(payloadSchema, payload)?.critical.image['docker-manifest-digest'];
}
