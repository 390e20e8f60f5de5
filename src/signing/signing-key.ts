import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { MessageSigner } from './bundle.ts';
import { invalidKey } from './errors.ts';
import { keyHash } from './public-key.ts';

/** An ECDSA key that signs over SHA-256, whatever its curve (`spec/registry.md` §8). */
export interface SigningKey extends MessageSigner {
  /** PEM `PUBLIC KEY` (SPKI). */
  readonly publicKeyPem: string;
}

/** Reads an unencrypted SEC1 or PKCS#8 PEM. Throws `invalid` `SIGNATURE_KEY_INVALID`, never with a part of the key. */
export function signingKey(pem: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw invalidKey('not an unencrypted PEM private key (SEC1 or PKCS#8)');
  }
  if (key.asymmetricKeyType !== 'ec') {
    throw invalidKey(
      `signing keys of type ${key.asymmetricKeyType ?? 'unknown'} are not supported: use ECDSA (P-256)`,
    );
  }
  const publicKey = createPublicKey(key);
  return {
    keyHint: keyHash(publicKey).toString('base64'),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: async (message) => sign('sha256', message, { key, dsaEncoding: 'der' }),
  };
}

/** A new P-256 private key in PEM (PKCS#8). */
export function generateSigningKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
