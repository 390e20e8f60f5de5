import { createHash, X509Certificate } from 'node:crypto';
import type { Bundle } from '@sigstore/bundle';
import { z } from 'zod';
import type { LegacySignature } from './authority.ts';
import { base64Bytes, parseJsonBytes } from './encoding.ts';
import { badSignature } from './errors.ts';

/** Annotations of cosign's keyless signatures (cosign's SIGNATURE_SPEC.md). */
const CERTIFICATE = 'dev.sigstore.cosign/certificate';
const REKOR_BUNDLE = 'dev.sigstore.cosign/bundle';

/** Characters. Certificates have 1 KB, bundles 3 KB. */
const ANNOTATION_LIMIT = 64 << 10;
/** SHA2_256 of HashAlgorithm (protobuf-specs, sigstore_common.proto). */
const SHA2_256 = 1;

/** What Rekor gives back for an upload, with its signed entry timestamp (SET). */
const rekorBundle = z.object({
  SignedEntryTimestamp: base64Bytes,
  Payload: z.object({
    body: base64Bytes,
    integratedTime: z.int().positive(),
    logIndex: z.int().nonnegative(),
    logID: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});

const entryKind = z.object({ kind: z.string(), apiVersion: z.string() });

export function hasCertificate({ annotations }: LegacySignature): boolean {
  return annotations[CERTIFICATE] !== undefined && annotations[CERTIFICATE] !== '';
}

/**
 * A legacy signature as a bundle v0.1: message signature, leaf certificate, log entry with its promise. The chain that
 * is annotated is left out: intermediates come from the trusted root; so is an RFC 3161 timestamp: the promise has a
 * time, and nobody is asked for another one. Throws `SIGNATURE_INVALID`.
 */
export function legacyBundle({ payload, signature, annotations }: LegacySignature): Bundle {
  const logged = annotations[REKOR_BUNDLE];
  if (logged === undefined) throw badSignature(`signature comes without a log entry (${REKOR_BUNDLE})`);
  const text = logged.length > ANNOTATION_LIMIT ? '' : logged;
  const entry = parseJsonBytes(rekorBundle, Buffer.from(text));
  const kind = entry === undefined ? undefined : parseJsonBytes(entryKind, entry.Payload.body);
  if (entry === undefined || kind === undefined) {
    throw badSignature(`signature comes with a malformed log entry (${REKOR_BUNDLE})`);
  }
  const { Payload, SignedEntryTimestamp } = entry;
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    content: {
      $case: 'messageSignature',
      messageSignature: {
        messageDigest: { algorithm: SHA2_256, digest: createHash('sha256').update(payload).digest() },
        signature: Buffer.from(signature),
      },
    },
    verificationMaterial: {
      content: {
        $case: 'certificate',
        certificate: { rawBytes: certificate(annotations[CERTIFICATE] ?? '') },
      },
      timestampVerificationData: undefined,
      tlogEntries: [
        {
          logIndex: String(Payload.logIndex),
          logId: { keyId: Buffer.from(Payload.logID, 'hex') },
          kindVersion: { kind: kind.kind, version: kind.apiVersion },
          integratedTime: String(Payload.integratedTime),
          inclusionPromise: { signedEntryTimestamp: Buffer.from(SignedEntryTimestamp) },
          inclusionProof: undefined,
          canonicalizedBody: Buffer.from(Payload.body),
        },
      ],
    },
  };
}

function certificate(pem: string): Buffer {
  try {
    if (pem.length > ANNOTATION_LIMIT) throw new RangeError('too large');
    return new X509Certificate(pem).raw;
  } catch {
    throw badSignature('signature comes with a malformed certificate');
  }
}
