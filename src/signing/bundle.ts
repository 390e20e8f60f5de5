import { z } from 'zod';
import type { Digest } from '../oci/names.ts';
import { envelopeSchema, IN_TOTO, preAuthEncoding } from './dsse.ts';
import { parseJsonBytes } from './encoding.ts';
import { badSignature } from './errors.ts';
import type { SignatureKey } from './public-key.ts';
import { checkSignStatement, signStatement } from './statement.ts';

/** Media type of a bundle, of its layer and of its manifest's `artifactType`. */
export const BUNDLE_MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const BUNDLE_MEDIA_TYPE_PREFIX = 'application/vnd.dev.sigstore.bundle';

/** Sigstore bundle (protobuf-specs, sigstore_bundle.proto) as far as verification by key needs it. */
const bundleSchema = z.object({
  mediaType: z.string(),
  verificationMaterial: z.object({}),
  dsseEnvelope: envelopeSchema.optional(),
});

export interface Bundle extends z.infer<typeof bundleSchema> {
  /** All of it, for verification by certificate. */
  readonly json: unknown;
}

/** `undefined` for what is no bundle, or one older than v0.3. */
export function parseBundle(bytes: Uint8Array): Bundle | undefined {
  const json = parseJsonBytes(z.unknown(), bytes);
  const bundle = bundleSchema.safeParse(json);
  return bundle.success && isCurrent(bundle.data.mediaType) ? { ...bundle.data, json } : undefined;
}

/** Both ways of writing the version: `...bundle.v0.3.1+json` and `...bundle+json;version=0.3`. */
function isCurrent(mediaType: string): boolean {
  const match =
    /^application\/vnd\.dev\.sigstore\.bundle(?:\.v([0-9]{1,6})\.([0-9]{1,6})(?:\.[0-9]{1,6})?\+json|\+json;version=([0-9]{1,6})\.([0-9]{1,6}))$/.exec(
      mediaType,
    );
  if (match === null) return false;
  const [major, minor] = [Number(match[1] ?? match[3]), Number(match[2] ?? match[4])];
  return major > 0 || minor >= 3;
}

/** Throws unless the bundle is a signature of the image by the key. No log or timestamp is needed for that. */
export function verifyBundle(bundle: Bundle, digest: Digest, key: SignatureKey): void {
  const envelope = bundle.dsseEnvelope;
  const signature = envelope?.signatures[0];
  if (envelope === undefined || signature === undefined || envelope.payloadType !== IN_TOTO) {
    throw badSignature('bundle does not hold a signed in-toto statement');
  }
  if (!key.verifies(preAuthEncoding(envelope.payloadType, envelope.payload), signature.sig)) {
    throw badSignature('bundle was not signed with the configured key');
  }
  checkSignStatement(envelope.payload, digest);
}

/** What signs: returns the signature over a message, and names its key. */
export interface MessageSigner {
  /** Base64 of the SHA-256 of the SubjectPublicKeyInfo. */
  readonly keyHint: string;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A bundle that signs the image with this digest by key (`spec/registry.md` §8). */
export async function createBundle(digest: Digest, signer: MessageSigner): Promise<Uint8Array> {
  const payload = signStatement(digest);
  const signature = await signer.sign(preAuthEncoding(IN_TOTO, payload));
  return Buffer.from(
    JSON.stringify({
      mediaType: BUNDLE_MEDIA_TYPE,
      verificationMaterial: { publicKey: { hint: signer.keyHint } },
      dsseEnvelope: {
        payload: Buffer.from(payload).toString('base64'),
        payloadType: IN_TOTO,
        signatures: [{ sig: Buffer.from(signature).toString('base64') }],
      },
    }),
  );
}
