import { FactoryError, isAbort, withContext } from '../errors.ts';
import type { Digest } from '../oci/names.ts';
import type { RepositoryReader } from '../oci/repository.ts';
import { keyAuthority, type SignatureAuthority } from './authority.ts';
import { keylessAuthority } from './keyless.ts';
import { policyFingerprint, type VerificationPolicy } from './policy.ts';
import { verifyBundled } from './verify-bundled.ts';
import { verifyLegacy } from './verify-legacy.ts';

/** How an image was verified, for the log. */
export type VerificationMethod =
  | `${'bundled' | 'legacy'}: ${SignatureAuthority['name']}`
  | 'verification disabled';

/** Decides whether an image may be used. */
export interface ImageVerifier {
  /** Names all that decides: a result holds as long as it is the same. */
  readonly fingerprint: string;
  /**
   * Throws `FactoryError` `failed to verify image signature for <repository>@<digest>: ...` with every reason on a
   * line of its own: kind `unavailable` when the registry did not answer, else `upstream`.
   */
  verify(repository: RepositoryReader, digest: Digest, signal?: AbortSignal): Promise<VerificationMethod>;
}

export function imageVerifier(policy: VerificationPolicy): ImageVerifier {
  const authorities = authoritiesOf(policy);
  return {
    fingerprint: policyFingerprint(policy),
    verify: async (repository, digest, signal) => {
      try {
        return policy.type === 'disabled'
          ? 'verification disabled'
          : await verifyBy(authorities, repository, digest, signal);
      } catch (error) {
        if (isAbort(error) || signal?.aborted) throw error;
        throw withContext(`failed to verify image signature for ${repository.name}@${digest}`, error);
      }
    },
  };
}

/** In the order in which they are asked: that of the key needs nothing but the signature. */
function authoritiesOf(policy: VerificationPolicy): readonly SignatureAuthority[] {
  switch (policy.type) {
    case 'disabled':
      return [];
    case 'key': {
      const { key, keyless } = policy;
      return [keyAuthority(key), ...(keyless === undefined ? [] : [keylessAuthority(keyless)])];
    }
    case 'keyless':
      return [keylessAuthority(policy.keyless)];
  }
}

/** For each, bundle first, then the legacy tag; the first success wins (`spec/artifacts.md` §6.1). */
async function verifyBy(
  authorities: readonly SignatureAuthority[],
  repository: RepositoryReader,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<VerificationMethod> {
  const reasons: unknown[] = [];
  for (const authority of authorities) {
    for (const [form, verify] of [
      ['bundled', verifyBundled],
      ['legacy', verifyLegacy],
    ] as const) {
      try {
        await verify(repository, digest, authority, signal);
        return `${form}: ${authority.name}`;
      } catch (error) {
        if (signal?.aborted) throw error;
        reasons.push(error);
      }
    }
  }
  throw joined(reasons);
}

/** One error of several reasons: that of the kind which promises most from another try. */
function joined(reasons: readonly unknown[]): FactoryError {
  // Said once, where both forms fail for one and the same reason (no trusted root).
  const errors = [...new Set(reasons)].map((reason) => withoutContext(reason));
  const main =
    errors.find(({ kind }) => kind === 'internal') ??
    errors.find(({ kind }) => kind === 'unavailable') ??
    errors.find(({ code }) => code === 'SIGNATURE_INVALID') ??
    errors[0];
  return new FactoryError(
    main?.kind ?? 'upstream',
    main?.code ?? 'SIGNATURE_MISSING',
    errors.map(({ message }) => message).join('\n'),
    { cause: main, retryAfter: main?.retryAfter ?? 60 },
  );
}

function withoutContext(reason: unknown): FactoryError {
  if (reason instanceof FactoryError) return reason;
  const message = reason instanceof Error ? reason.message : String(reason);
  return new FactoryError('internal', 'INTERNAL', message, { cause: reason });
}
