import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  type VerifyKeyObjectInput,
  verify,
} from 'node:crypto';
import { invalidKey, signingError } from './errors.ts';

/** Hash algorithms of signatures by a configured key (`spec/artifacts.md` §6.1). */
export const HASH_ALGORITHMS = ['sha224', 'sha256', 'sha384', 'sha512'] as const;
export type HashAlgorithm = (typeof HASH_ALGORITHMS)[number];

/** Case-insensitive; empty is sha256. Throws `invalid`: `unknown digest algorithm: x`. */
export function parseHashAlgorithm(text: string): HashAlgorithm {
  const name = text.trim().toLowerCase();
  const found = HASH_ALGORITHMS.find((algorithm) => algorithm === (name === '' ? 'sha256' : name));
  if (found === undefined) {
    throw signingError('invalid', 'SIGNATURE_POLICY_INVALID', `unknown digest algorithm: ${text.trim()}`);
  }
  return found;
}

/** A key that signatures are checked with. */
export interface SignatureKey {
  /** Names the key and the way it is used: hex SHA-256 of the SPKI, and the hash algorithm. */
  readonly fingerprint: string;
  verifies(message: Uint8Array, signature: Uint8Array): boolean;
}

/**
 * ECDSA (signature in ASN.1 DER), RSA (PKCS#1 v1.5) and Ed25519 (which hashes by itself; RFC 8032).
 * Throws `invalid` `SIGNATURE_KEY_INVALID` for other keys and unreadable PEM.
 */
export function signatureKey(pem: string, hash: HashAlgorithm): SignatureKey {
  const key = readPublicKey(pem);
  const algorithm = key.asymmetricKeyType === 'ed25519' ? null : hash;
  const input: VerifyKeyObjectInput = { key, dsaEncoding: 'der' };
  if (key.asymmetricKeyType === 'rsa') input.padding = constants.RSA_PKCS1_PADDING;
  return {
    fingerprint: `${keyHash(key).toString('hex')}-${algorithm ?? 'ed25519'}`,
    verifies: (message, signature) => {
      try {
        return verify(algorithm, message, input, signature);
      } catch {
        // A signature that is no signature at all (OpenSSL refuses some before it computes anything).
        return false;
      }
    },
  };
}

/** SHA-256 of the key's SubjectPublicKeyInfo. */
export function keyHash(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function readPublicKey(pem: string): KeyObject {
  // createPublicKey would take a private key too, and derive: a private key in this place is a mistake.
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw invalidKey('a private key was given instead of a public key');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw invalidKey('not a PEM public key', { cause });
  }
  const type = key.asymmetricKeyType;
  if (type !== 'ec' && type !== 'rsa' && type !== 'ed25519') {
    throw invalidKey(`keys of type ${type ?? 'unknown'} are not supported: use ECDSA, RSA or Ed25519`);
  }
  if (type === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    throw invalidKey('RSA keys need at least 2048 bits');
  }
  return key;
}
