import { readFile } from 'node:fs/promises';
import { type Log, silentLog } from '../log.ts';
import { invalidKey, signingError } from './errors.ts';
import { parseHashAlgorithm, type SignatureKey, signatureKey } from './public-key.ts';

/** The section `containerSignature` of the configuration (`spec/configuration.md`). */
export interface SignatureSettings {
  readonly disabled: boolean;
  readonly publicKeyFile: string;
  readonly publicKeyHashAlgo: string;
  readonly subjectRegExp: string;
}

/** What an image's signature must be like for the image to be used. */
export type VerificationPolicy =
  | { readonly type: 'disabled' }
  | { readonly type: 'key'; readonly key: SignatureKey }
  /** Asked for, and not available in this build: every verification fails and says so. */
  | { readonly type: 'keyless' };

/**
 * The policy that the configuration asks for. Throws `invalid`: unknown hash algorithm, unreadable key
 * (`failed to get signature verifier for key <path>: ...`), nothing to verify by (`no verification options provided`).
 */
export async function verificationPolicy(
  settings: SignatureSettings,
  log: Log = silentLog,
): Promise<VerificationPolicy> {
  if (settings.disabled) {
    log.warn('container signature verification is disabled, this is not recommended');
    return { type: 'disabled' };
  }
  const keyless = settings.subjectRegExp !== '';
  const path = settings.publicKeyFile.trim();
  const hash = parseHashAlgorithm(settings.publicKeyHashAlgo);
  if (path !== '') {
    if (keyless) {
      log.info(
        'image signatures are verified with containerSignature.publicKeyFile only: keyless verification is not available in this build',
      );
    }
    return { type: 'key', key: await readKey(path, hash) };
  }
  if (keyless) {
    log.error(`every pull will fail: ${KEYLESS_UNAVAILABLE}`);
    return { type: 'keyless' };
  }
  throw signingError(
    'invalid',
    'SIGNATURE_POLICY_INVALID',
    'no verification options provided: set containerSignature.publicKeyFile or containerSignature.disabled',
  );
}

export const KEYLESS_UNAVAILABLE =
  'keyless signature verification is not available in this build: set containerSignature.publicKeyFile to the public key of the images, or containerSignature.disabled to accept them unverified';

/**
 * Names all that decides whether a signature is accepted, so that a verification done once counts as long as
 * the policy is the same, and not one moment longer.
 */
export function policyFingerprint(policy: VerificationPolicy): string {
  return policy.type === 'key' ? `key-${policy.key.fingerprint}` : policy.type;
}

async function readKey(path: string, hash: ReturnType<typeof parseHashAlgorithm>): Promise<SignatureKey> {
  try {
    return signatureKey(await readFile(path, 'utf8'), hash);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalidKey(`failed to get signature verifier for key ${path}: ${reason}`, { cause });
  }
}
