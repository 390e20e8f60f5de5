import type { Digest } from '../oci/names.ts';
import { type Bundle, verifyBundle } from './bundle.ts';
import { badSignature } from './errors.ts';
import type { SignatureKey } from './public-key.ts';

/** One layer of a signature tag (`spec/artifacts.md` §6.3). */
export interface LegacySignature {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One way of telling whose signature it is. */
export interface SignatureAuthority {
  readonly name: 'public key' | 'certificate subject';
  /** Throws unless the bundle is an acceptable signature of the image. */
  verifyBundle(bundle: Bundle, digest: Digest): Promise<void>;
  /** Throws unless the payload's signature is acceptable; what the payload says is for the caller to check. */
  verifyLegacy(signature: LegacySignature): Promise<void>;
}

/** Whoever has the private key. Works offline. */
export function keyAuthority(key: SignatureKey): SignatureAuthority {
  return {
    name: 'public key',
    verifyBundle: async (bundle, digest) => verifyBundle(bundle, digest, key),
    verifyLegacy: async ({ payload, signature }) => {
      if (!key.verifies(payload, signature))
        throw badSignature('image was not signed with the configured key');
    },
  };
}
