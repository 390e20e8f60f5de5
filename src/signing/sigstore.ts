import { X509Certificate } from 'node:crypto';
import { type Bundle, bundleFromJSON } from '@sigstore/bundle';
import { type TrustMaterial, toSignedEntity, Verifier } from '@sigstore/verify';
import { FactoryError } from '../errors.ts';
import { BUNDLE_MEDIA_TYPE } from './bundle.ts';
import { badSignature, reasons } from './errors.ts';
import type { SignerIdentity } from './identity.ts';
import { loggedCertificate } from './logged-certificate.ts';

/** Log entries and timestamps that are looked at; genuine bundles have one or two. */
const EVIDENCE_LIMIT = 32;
/** Extended key usage of code signing (RFC 5280 §4.2.1.12), which Fulcio gives to what it issues. */
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/** Throws `SIGNATURE_INVALID` for what is no bundle v0.3. */
export function parseSigstoreBundle(json: unknown): Bundle {
  return refusing('bundle is malformed', () =>
    // Under the version's usual name: that of 0.3.1, and those of later versions, are not known to the package.
    bundleFromJSON({ ...(json as object), mediaType: BUNDLE_MEDIA_TYPE }),
  );
}

/**
 * Verifies everything but whose identity it is (`spec/artifacts.md` §6.2): certificate chain, embedded SCT, log entry,
 * its body, time of signing, signature. `payload`: what a message signature signs. Throws `SIGNATURE_INVALID`.
 */
export function verifySigstoreBundle(
  bundle: Bundle,
  trust: TrustMaterial,
  payload?: Uint8Array,
): SignerIdentity {
  const { content, tlogEntries, timestampVerificationData } = bundle.verificationMaterial;
  const timestamps = timestampVerificationData?.rfc3161Timestamps ?? [];
  if (content.$case !== 'certificate') throw badSignature('bundle was not signed with a certificate');
  if (tlogEntries.length > EVIDENCE_LIMIT || timestamps.length > EVIDENCE_LIMIT) {
    throw badSignature(`bundle has more than ${EVIDENCE_LIMIT} log entries or timestamps`);
  }
  return refusing('signature by certificate is not acceptable', () => {
    const entity = toSignedEntity(bundle, payload === undefined ? undefined : Buffer.from(payload));
    // One SCT, one log entry and one time at least; what is there beyond that has to be right, too.
    const signer = new Verifier(trust, { ctlogThreshold: 1, tlogThreshold: 1, timestampThreshold: 1 }).verify(
      entity,
    );
    const leaf = new X509Certificate(content.certificate.rawBytes);
    for (const { kindVersion, canonicalizedBody } of tlogEntries) {
      const logged = loggedCertificate(kindVersion.kind, kindVersion.version, canonicalizedBody);
      if (logged === undefined || !leaf.raw.equals(logged)) {
        throw badSignature('log entry was made with another certificate');
      }
    }
    return identityOf(leaf, signer.identity?.subjectAlternativeName, signer.identity?.extensions?.issuer);
  });
}

/** The identity, of which there must be no doubt: one name, printable ASCII, that two parsers read alike. */
function identityOf(
  leaf: X509Certificate,
  subject: string | undefined,
  issuer: string | undefined,
): SignerIdentity {
  if (leaf.ca || leaf.keyUsage?.includes(CODE_SIGNING) !== true) {
    throw badSignature('certificate is not one for signing code');
  }
  const printable = /^[\x21-\x7e]+$/;
  const names = [`email:${subject}`, `URI:${subject}`];
  if (subject === undefined || !printable.test(subject) || !names.includes(leaf.subjectAltName ?? '')) {
    throw badSignature('certificate does not name exactly one e-mail address or URI');
  }
  if (issuer === undefined || !printable.test(issuer)) {
    throw badSignature('certificate does not name the issuer of the identity');
  }
  return { subject, issuer };
}

/**
 * Whatever goes wrong while hostile bytes are looked at is a refusal: the packages throw errors of their own, and of
 * the platform for ASN.1 that is not what it should be.
 */
function refusing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FactoryError) throw error;
    throw badSignature(`${what}: ${reasons(error).join(': ').slice(0, 300)}`);
  }
}
