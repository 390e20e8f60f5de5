import { type KeyObject, sign } from 'node:crypto';
import {
  AUTHORITY,
  type CertificateContent,
  ecKeyPair,
  extension,
  type KeyPair,
  sha256,
  signCertificate,
  spki,
  tbsCertificate,
  usage,
  type Validity,
} from './certificates.ts';
import { implicit, octets, sequence, utf8 } from './der.ts';

const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const ISSUER_V1 = '1.3.6.1.4.1.57264.1.1';
const ISSUER_V2 = '1.3.6.1.4.1.57264.1.8';
const SCT_LIST = '1.3.6.1.4.1.11129.2.4.2';

/** What is asked of the certificate authority, right or wrong. */
export interface LeafRequest {
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  /** More than one only where a certificate is to be wrong. */
  readonly subjects: readonly ({ readonly email: string } | { readonly uri: string })[];
  readonly issuer: string;
  readonly issuerExtension: 'v1' | 'v2' | 'none';
  readonly sct: 'valid' | 'missing' | 'foreign';
  readonly extendedUsage?: string;
}

/** Certificate authority with an intermediate, and its certificate transparency log (RFC 6962). */
export class Fulcio {
  readonly chain: readonly Buffer[];
  readonly ctLog: KeyPair = ecKeyPair();
  readonly #intermediate: KeyPair = ecKeyPair();
  #serial = 100;

  constructor(validity: Validity) {
    const root = ecKeyPair();
    const authority = { issuer: 'test-root', issuerKey: root, validity, extensions: AUTHORITY };
    this.chain = [
      signCertificate({
        ...authority,
        subject: 'test-ca',
        publicKey: this.#intermediate.publicKey,
        serial: 2,
      }),
      signCertificate({ ...authority, subject: 'test-root', publicKey: root.publicKey, serial: 1 }),
    ];
  }

  /** DER. */
  issue(request: LeafRequest): Buffer {
    const names = request.subjects.map((name) =>
      'email' in name
        ? implicit(1, Buffer.from(name.email, 'latin1'))
        : implicit(6, Buffer.from(name.uri, 'latin1')),
    );
    const content: CertificateContent = {
      subject: '',
      publicKey: request.publicKey,
      issuer: 'test-ca',
      issuerKey: this.#intermediate,
      validity: request.validity,
      serial: this.#serial++,
      extensions: [
        ...usage(request.extendedUsage ?? CODE_SIGNING),
        extension('2.5.29.17', sequence(...names), true),
        ...(request.issuerExtension === 'v1' ? [extension(ISSUER_V1, Buffer.from(request.issuer))] : []),
        ...(request.issuerExtension === 'v2' ? [extension(ISSUER_V2, utf8(request.issuer))] : []),
      ],
    };
    if (request.sct === 'missing') return signCertificate(content);
    const key = request.sct === 'valid' ? this.ctLog.privateKey : ecKeyPair().privateKey;
    const sct = this.#timestamp(content, request.validity.from, key);
    return signCertificate({
      ...content,
      extensions: [...content.extensions, extension(SCT_LIST, octets(list(list(sct))))],
    });
  }

  /** Signed certificate timestamp over the precertificate (RFC 6962 §3.2), where the SCT list would come after the rest. */
  #timestamp(content: CertificateContent, seconds: number, key: KeyObject): Buffer {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(seconds) * 1000n);
    const tbs = tbsCertificate(content);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(tbs.length);
    const none = Buffer.alloc(2);
    const signed = Buffer.concat([
      Buffer.from([0, 0]),
      time,
      Buffer.from([0, 1]),
      sha256(spki(this.#intermediate.publicKey)),
      length.subarray(1),
      tbs,
      none,
    ]);
    // SHA-256 and ECDSA in TLS's numbers (RFC 5246 §7.4.1.4.1).
    const algorithm = Buffer.from([4, 3]);
    const logId = sha256(spki(this.ctLog.publicKey));
    return Buffer.concat([Buffer.from([0]), logId, time, none, algorithm, list(sign('sha256', signed, key))]);
  }
}

/** An opaque vector of TLS with a length of two bytes. */
function list(content: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(content.length);
  return Buffer.concat([length, content]);
}
