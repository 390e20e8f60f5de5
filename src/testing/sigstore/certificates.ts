import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { bits, explicit, implicit, integer, octets, oid, sequence, set, time, utf8, yes } from './der.ts';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function ecKeyPair(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

export function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

export const sha256 = (...data: readonly Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(data)).digest();

/** ecdsa-with-SHA256 (RFC 5758 §3.2). */
export const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

/** One common name; empty: no name at all, as in Fulcio's leaves. */
export function distinguishedName(commonName: string): Buffer {
  return commonName === '' ? sequence() : sequence(set(sequence(oid('2.5.4.3'), utf8(commonName))));
}

export interface Validity {
  /** Seconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

export interface CertificateContent {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly issuer: string;
  readonly issuerKey: KeyPair;
  readonly validity: Validity;
  readonly serial: number;
  readonly extensions: readonly Buffer[];
}

export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [yes] : []), octets(value));
}

/** To-be-signed part (RFC 5280 §4.1). */
export function tbsCertificate(content: CertificateContent): Buffer {
  const keyId = (key: KeyObject): Buffer => sha256(spki(key)).subarray(0, 20);
  return sequence(
    explicit(0, integer(2)),
    integer(content.serial),
    ECDSA_SHA256,
    distinguishedName(content.issuer),
    sequence(time(content.validity.from), time(content.validity.to)),
    distinguishedName(content.subject),
    spki(content.publicKey),
    explicit(
      3,
      sequence(
        ...content.extensions,
        extension('2.5.29.14', octets(keyId(content.publicKey))),
        extension('2.5.29.35', sequence(implicit(0, keyId(content.issuerKey.publicKey)))),
      ),
    ),
  );
}

export function signCertificate(content: CertificateContent): Buffer {
  const tbs = tbsCertificate(content);
  return sequence(tbs, ECDSA_SHA256, bits(sign('sha256', tbs, content.issuerKey.privateKey)));
}

/** Extensions of a certificate authority: basic constraints, and key usage certificate signing. */
export const AUTHORITY: readonly Buffer[] = [
  extension('2.5.29.19', sequence(yes), true),
  extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true),
];

/** Key usage digital signature, and the extended usage that is given. */
export function usage(extended: string): readonly Buffer[] {
  return [
    extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
    extension('2.5.29.37', sequence(oid(extended))),
  ];
}

export function pem(certificate: Uint8Array): string {
  const lines = Buffer.from(certificate).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
