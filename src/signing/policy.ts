import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Log, silentLog } from '../log.ts';
import { invalidKey, signingError } from './errors.ts';
import { type IdentitySettings, identityRule } from './identity.ts';
import type { Keyless } from './keyless.ts';
import { parseHashAlgorithm, type SignatureKey, signatureKey } from './public-key.ts';
import { fileTrustedRoot } from './trusted-root.ts';
import { type TufSettings, tufTrustedRoot } from './tuf-root.ts';

/** The section `containerSignature` of the configuration (`spec/configuration.md`). */
export interface SignatureSettings extends IdentitySettings {
  readonly disabled: boolean;
  readonly publicKeyFile: string;
  readonly publicKeyHashAlgo: string;
  /** Instead of a TUF repository's. */
  readonly trustedRootFile: string;
}

/** What an image's signature must be like for the image to be used. */
export type VerificationPolicy =
  | { readonly type: 'disabled' }
  /** By the key, or else by the identity, where there is a rule for that too. */
  | { readonly type: 'key'; readonly key: SignatureKey; readonly keyless?: Keyless }
  | { readonly type: 'keyless'; readonly keyless: Keyless };

/**
 * The policy that the configuration asks for. Reads the files that it names, and contacts nobody. Throws `invalid`:
 * unknown hash algorithm, unreadable key (`failed to get signature verifier for key <path>: ...`), an identity or a
 * trusted root that cannot be used, nothing to verify by (`no verification options provided`).
 */
export async function verificationPolicy(
  settings: SignatureSettings,
  tuf: TufSettings,
  log: Log = silentLog,
): Promise<VerificationPolicy> {
  if (settings.disabled) {
    log.warn('container signature verification is disabled, this is not recommended');
    return { type: 'disabled' };
  }
  const path = settings.publicKeyFile.trim();
  const hash = parseHashAlgorithm(settings.publicKeyHashAlgo);
  const key = path === '' ? undefined : await readKey(path, hash);
  const keyless = settings.subjectRegExp === '' ? undefined : await keylessOf(settings, tuf, log);
  if (key !== undefined) return { type: 'key', key, ...(keyless === undefined ? {} : { keyless }) };
  if (keyless !== undefined) return { type: 'keyless', keyless };
  throw signingError(
    'invalid',
    'SIGNATURE_POLICY_INVALID',
    'no verification options provided: set containerSignature.publicKeyFile, containerSignature.subjectRegExp or containerSignature.disabled',
  );
}

async function keylessOf(settings: SignatureSettings, tuf: TufSettings, log: Log): Promise<Keyless> {
  const file = settings.trustedRootFile.trim();
  return {
    identity: identityRule(settings),
    trustedRoot: file === '' ? await tufTrustedRoot(tuf, { log }) : await fileTrustedRoot(file),
  };
}

/**
 * Names all that decides whether a signature is accepted, so that a verification done once counts as long as
 * the policy is the same, and not one moment longer. A TUF repository counts by its address and first root: what it
 * says changes by itself, and what it said before was right.
 */
export function policyFingerprint(policy: VerificationPolicy): string {
  switch (policy.type) {
    case 'disabled':
      return 'disabled';
    case 'key':
      return policy.keyless === undefined
        ? `key-${policy.key.fingerprint}`
        : `key-${policy.key.fingerprint}-${keylessFingerprint(policy.keyless)}`;
    case 'keyless':
      return keylessFingerprint(policy.keyless);
  }
}

function keylessFingerprint({ identity, trustedRoot }: Keyless): string {
  const hash = createHash('sha256').update(`${identity.fingerprint}\n${trustedRoot.fingerprint}`);
  return `keyless-${hash.digest('hex')}`;
}

async function readKey(path: string, hash: ReturnType<typeof parseHashAlgorithm>): Promise<SignatureKey> {
  try {
    return signatureKey(await readFile(path, 'utf8'), hash);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalidKey(`failed to get signature verifier for key ${path}: ${reason}`, { cause });
  }
}
