import { FactoryError, isAbort, withContext } from '../errors.ts';
import type { Digest } from '../oci/names.ts';
import type { RepositoryReader } from '../oci/repository.ts';
import { signingError } from './errors.ts';
import { KEYLESS_UNAVAILABLE, policyFingerprint, type VerificationPolicy } from './policy.ts';
import type { SignatureKey } from './public-key.ts';
import { verifyBundled } from './verify-bundled.ts';
import { verifyLegacy } from './verify-legacy.ts';

/** How an image was verified, for the log. */
export type VerificationMethod = 'bundled: public key' | 'legacy: public key' | 'verification disabled';

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
  return {
    fingerprint: policyFingerprint(policy),
    verify: async (repository, digest, signal) => {
      try {
        switch (policy.type) {
          case 'disabled':
            return 'verification disabled';
          case 'key':
            return await verifyByKey(repository, digest, policy.key, signal);
          case 'keyless':
            throw signingError('not-implemented', 'SIGNATURE_KEYLESS_UNAVAILABLE', KEYLESS_UNAVAILABLE);
        }
      } catch (error) {
        if (isAbort(error) || signal?.aborted) throw error;
        throw withContext(`failed to verify image signature for ${repository.name}@${digest}`, error);
      }
    },
  };
}

/** Bundle first, then the legacy tag; the first success wins (`spec/artifacts.md` §6.1). */
async function verifyByKey(
  repository: RepositoryReader,
  digest: Digest,
  key: SignatureKey,
  signal: AbortSignal | undefined,
): Promise<VerificationMethod> {
  const reasons: unknown[] = [];
  for (const [method, verify] of [
    ['bundled: public key', verifyBundled],
    ['legacy: public key', verifyLegacy],
  ] as const) {
    try {
      await verify(repository, digest, key, signal);
      return method;
    } catch (error) {
      if (signal?.aborted) throw error;
      reasons.push(error);
    }
  }
  throw joined(reasons);
}

/** One error of several reasons: that of the kind which promises most from another try. */
function joined(reasons: readonly unknown[]): FactoryError {
  const errors = reasons.map((reason) => withoutContext(reason));
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
