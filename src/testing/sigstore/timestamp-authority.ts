import { sign } from 'node:crypto';
import {
  AUTHORITY,
  distinguishedName,
  ECDSA_SHA256,
  ecKeyPair,
  type KeyPair,
  sha256,
  signCertificate,
  usage,
  type Validity,
} from './certificates.ts';
import { explicit, integer, octets, oid, sequence, set, time } from './der.ts';

const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const SHA256 = sequence(oid('2.16.840.1.101.3.4.2.1'));
const SIGNED_DATA = oid('1.2.840.113549.1.7.2');
const TST_INFO = oid('1.2.840.113549.1.9.16.1.4');
const SERIAL = 5;

/** Timestamp authority (RFC 3161). */
export class TimestampAuthority {
  readonly chain: readonly Buffer[];
  readonly #key: KeyPair = ecKeyPair();

  constructor(validity: Validity) {
    const root = ecKeyPair();
    const made = { issuer: 'test-tsa-root', issuerKey: root, validity };
    this.chain = [
      signCertificate({
        ...made,
        subject: 'test-tsa',
        publicKey: this.#key.publicKey,
        serial: SERIAL,
        extensions: usage(TIME_STAMPING),
      }),
      signCertificate({
        ...made,
        subject: 'test-tsa-root',
        publicKey: root.publicKey,
        serial: 1,
        extensions: AUTHORITY,
      }),
    ];
  }

  /** Response (DER) that says that the bytes existed at that time (seconds). */
  stamp(data: Uint8Array, seconds: number): Buffer {
    const info = sequence(
      integer(1),
      oid('1.3.6.1.4.1.57264.2'),
      sequence(SHA256, octets(sha256(data))),
      integer(77),
      time(seconds),
    );
    const attributes = Buffer.concat([
      sequence(oid('1.2.840.113549.1.9.3'), set(TST_INFO)),
      sequence(oid('1.2.840.113549.1.9.4'), set(octets(sha256(info)))),
    ]);
    const signature = sign('sha256', set(attributes), this.#key.privateKey);
    const signer = sequence(
      integer(1),
      sequence(distinguishedName('test-tsa-root'), integer(SERIAL)),
      SHA256,
      explicit(0, attributes),
      ECDSA_SHA256,
      octets(signature),
    );
    const signedData = sequence(
      integer(3),
      set(SHA256),
      sequence(TST_INFO, explicit(0, octets(info))),
      set(signer),
    );
    return sequence(sequence(integer(0)), sequence(SIGNED_DATA, explicit(0, signedData)));
  }
}
