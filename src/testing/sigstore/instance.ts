import { type KeyObject, sign } from 'node:crypto';
import { ecKeyPair, type KeyPair, pem, sha256, spki, type Validity } from './certificates.ts';
import { Fulcio, type LeafRequest } from './fulcio.ts';
import { type LogBody, type LogEntry, Rekor } from './rekor.ts';
import { TimestampAuthority } from './timestamp-authority.ts';

/** 2026-01-01T00:00:00Z: when everything is signed that does not say otherwise. */
export const SIGNED_AT = 1767225600;
const VALIDITY: Validity = { from: SIGNED_AT - 1e8, to: SIGNED_AT + 1e8 };

export interface SigningRequest extends Partial<Omit<LeafRequest, 'publicKey'>> {
  /** Seconds since the epoch: of the log entry, and of the timestamp. */
  readonly time?: number;
  /** `v2`: without a time, and without a promise; `v2-hashed`: its other kind of entry for envelopes. */
  readonly log?: 'v1' | 'v2' | 'v2-hashed';
  readonly timestamp?: boolean;
}

/** A bundle in JSON, open to being damaged. */
export interface SignedBundle {
  mediaType: string;
  verificationMaterial: {
    certificate: { rawBytes: string };
    tlogEntries: LogEntry[];
    timestampVerificationData?: { rfc3161Timestamps: { signedTimestamp: string }[] };
  };
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string }[] };
}

/** Everything that is between a signer and somebody who verifies: in memory, with keys of its own. */
export class SigstoreInstance {
  readonly fulcio: Fulcio = new Fulcio(VALIDITY);
  readonly rekor: Rekor = new Rekor('rekor.test');
  readonly rekor2: Rekor = new Rekor('rekor2.test');
  readonly timestamps: TimestampAuthority = new TimestampAuthority(VALIDITY);

  /** `trusted_root.json`. */
  trustedRoot(): Record<string, unknown> {
    return {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [this.rekor, this.rekor2].map(({ name, key }) => logOf(`https://${name}`, key)),
      ctlogs: [logOf('https://ctfe.test', this.fulcio.ctLog)],
      certificateAuthorities: [authorityOf('https://fulcio.test', this.fulcio.chain)],
      timestampAuthorities: [authorityOf('https://tsa.test', this.timestamps.chain)],
    };
  }

  /** A bundle around a statement (or what else is given). */
  bundle(payload: Uint8Array, request: SigningRequest = {}): SignedBundle {
    const { key, leaf } = this.#leaf(request);
    const type = 'application/vnd.in-toto+json';
    const signed = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
    const signature = sign('sha256', signed, key.privateKey);
    const { log = 'v1', time = SIGNED_AT } = request;
    const entry =
      log === 'v1'
        ? this.rekor.enter(dsseV1(payload, signature, leaf), time)
        : this.rekor2.enter(
            log === 'v2' ? dsseV2(payload, signature, leaf) : hashedV2(signed, signature, leaf),
            undefined,
          );
    return {
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: {
        certificate: { rawBytes: leaf.toString('base64') },
        tlogEntries: [entry],
        ...(request.timestamp === false
          ? {}
          : {
              timestampVerificationData: {
                rfc3161Timestamps: [
                  { signedTimestamp: this.timestamps.stamp(signature, time).toString('base64') },
                ],
              },
            }),
      },
      dsseEnvelope: {
        payload: Buffer.from(payload).toString('base64'),
        payloadType: type,
        signatures: [{ sig: signature.toString('base64') }],
      },
    };
  }

  /** Annotations of a layer of cosign's legacy form. */
  annotations(payload: Uint8Array, request: SigningRequest = {}): Record<string, string> {
    const { key, leaf } = this.#leaf(request);
    const signature = sign('sha256', payload, key.privateKey);
    const entry = this.rekor.enter(hashedV1(payload, signature, leaf), request.time ?? SIGNED_AT);
    return {
      'dev.cosignproject.cosign/signature': signature.toString('base64'),
      'dev.sigstore.cosign/certificate': pem(leaf),
      'dev.sigstore.cosign/chain': this.fulcio.chain.map(pem).join(''),
      'dev.sigstore.cosign/bundle': JSON.stringify({
        SignedEntryTimestamp: entry.inclusionPromise?.signedEntryTimestamp,
        Payload: {
          body: entry.canonicalizedBody,
          integratedTime: Number(entry.integratedTime),
          logIndex: Number(entry.logIndex),
          logID: this.rekor.logId.toString('hex'),
        },
      }),
    };
  }

  #leaf(request: SigningRequest): { readonly key: KeyPair; readonly leaf: Buffer } {
    const key = ecKeyPair();
    const leaf = this.fulcio.issue({
      subjects: [{ email: 'release@example.com' }],
      issuer: 'https://accounts.example.com',
      issuerExtension: 'v2',
      sct: 'valid',
      validity: { from: SIGNED_AT - 60, to: SIGNED_AT + 540 },
      ...request,
      publicKey: key.publicKey,
    });
    return { key, leaf };
  }
}

/** Bodies of entries (rekor, pkg/types; rekor-tiles for 0.0.2). */
function dsseV1(payload: Uint8Array, signature: Buffer, leaf: Buffer): LogBody {
  const spec = {
    envelopeHash: { algorithm: 'sha256', value: sha256(payload).toString('hex') },
    payloadHash: { algorithm: 'sha256', value: sha256(payload).toString('hex') },
    signatures: [{ signature: signature.toString('base64'), verifier: textOf(leaf) }],
  };
  return { apiVersion: '0.0.1', kind: 'dsse', spec };
}

function hashedV1(payload: Uint8Array, signature: Buffer, leaf: Buffer): LogBody {
  const spec = {
    data: { hash: { algorithm: 'sha256', value: sha256(payload).toString('hex') } },
    signature: { content: signature.toString('base64'), publicKey: { content: textOf(leaf) } },
  };
  return { apiVersion: '0.0.1', kind: 'hashedrekord', spec };
}

function dsseV2(payload: Uint8Array, signature: Buffer, leaf: Buffer): LogBody {
  const payloadHash = { algorithm: 'SHA2_256', digest: sha256(payload).toString('base64') };
  const signatures = [{ content: signature.toString('base64'), verifier: verifierOf(leaf) }];
  return { apiVersion: '0.0.2', kind: 'dsse', spec: { dsseV002: { payloadHash, signatures } } };
}

function hashedV2(signed: Uint8Array, signature: Buffer, leaf: Buffer): LogBody {
  const data = { algorithm: 'SHA2_256', digest: sha256(signed).toString('base64') };
  const content = { content: signature.toString('base64'), verifier: verifierOf(leaf) };
  return {
    apiVersion: '0.0.2',
    kind: 'hashedrekord',
    spec: { hashedRekordV002: { data, signature: content } },
  };
}

function textOf(leaf: Buffer): string {
  return Buffer.from(pem(leaf)).toString('base64');
}

function verifierOf(leaf: Buffer): object {
  return {
    x509Certificate: { rawBytes: leaf.toString('base64') },
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
  };
}

function logOf(baseUrl: string, { publicKey }: { readonly publicKey: KeyObject }): object {
  const rawBytes = spki(publicKey);
  return {
    baseUrl,
    hashAlgorithm: 'SHA2_256',
    publicKey: {
      rawBytes: rawBytes.toString('base64'),
      keyDetails: 'PKIX_ECDSA_P256_SHA_256',
      validFor: { start: new Date(VALIDITY.from * 1000).toISOString() },
    },
    logId: { keyId: sha256(rawBytes).toString('base64') },
  };
}

function authorityOf(uri: string, chain: readonly Buffer[]): object {
  return {
    subject: { organization: 'test', commonName: 'test' },
    uri,
    certChain: { certificates: chain.map((one) => ({ rawBytes: one.toString('base64') })) },
    validFor: { start: new Date(VALIDITY.from * 1000).toISOString() },
  };
}
