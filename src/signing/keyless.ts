import type { Digest } from '../oci/names.ts';
import type { LegacySignature, SignatureAuthority } from './authority.ts';
import type { Bundle } from './bundle.ts';
import { IN_TOTO } from './dsse.ts';
import { badSignature } from './errors.ts';
import type { IdentityRule } from './identity.ts';
import { hasCertificate, legacyBundle } from './legacy-bundle.ts';
import { checkSignStatement } from './statement.ts';
import type { TrustedRootSource } from './trusted-root.ts';

/** Signatures by certificates that Fulcio gave to an identity, and that a log has seen. */
export interface Keyless {
  readonly identity: IdentityRule;
  readonly trustedRoot: TrustedRootSource;
}

/**
 * The trusted root, and the Sigstore packages, are loaded when there is something to verify with them: an image
 * without any such signature costs neither.
 */
export function keylessAuthority({ identity, trustedRoot }: Keyless): SignatureAuthority {
  return {
    name: 'certificate subject',
    verifyBundle: (bundle, digest) => verifyBundle(bundle, digest),
    verifyLegacy: (signature) => verifyLegacy(signature),
  };

  async function verifyBundle(bundle: Bundle, digest: Digest): Promise<void> {
    const { parseSigstoreBundle, verifySigstoreBundle } = await import('./sigstore.ts');
    const parsed = parseSigstoreBundle(bundle.json);
    const { content, verificationMaterial } = parsed;
    if (verificationMaterial.content.$case !== 'certificate') {
      throw badSignature('bundle was not signed with a certificate');
    }
    // The envelope as the verifier sees it: the bundle's text could hold other content beside it.
    if (content.$case !== 'dsseEnvelope' || content.dsseEnvelope.payloadType !== IN_TOTO) {
      throw badSignature('bundle does not hold a signed in-toto statement');
    }
    identity.check(verifySigstoreBundle(parsed, await trustedRoot.load()));
    checkSignStatement(content.dsseEnvelope.payload, digest);
  }

  async function verifyLegacy(signature: LegacySignature): Promise<void> {
    if (!hasCertificate(signature)) throw badSignature('signature comes without a certificate');
    const { verifySigstoreBundle } = await import('./sigstore.ts');
    const bundle = legacyBundle(signature);
    identity.check(verifySigstoreBundle(bundle, await trustedRoot.load(), signature.payload));
  }
}
