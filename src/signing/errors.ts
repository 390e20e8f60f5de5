import { FactoryError } from '../errors.ts';

/** The codes of this folder. */
export type SigningCode =
  | 'SIGNATURE_POLICY_INVALID'
  | 'SIGNATURE_KEY_INVALID'
  | 'SIGNATURE_KEYLESS_UNAVAILABLE'
  | 'SIGNATURE_MISSING'
  | 'SIGNATURE_INVALID'
  | 'SIGNATURE_SUBJECT_MISSING';

/** Seconds until a failed verification is worth another try: signatures may follow their image. */
const RETRY_AFTER = 60;

/** A signature, or what carries it, that cannot be accepted: upstream's fault. */
export function badSignature(message: string, cause?: unknown): FactoryError {
  return new FactoryError('upstream', 'SIGNATURE_INVALID', message, { cause, retryAfter: RETRY_AFTER });
}

/** Nothing that could be verified was found. */
export function missingSignature(message: string): FactoryError {
  return new FactoryError('upstream', 'SIGNATURE_MISSING', message, { retryAfter: RETRY_AFTER });
}

/**
 * Why one of several signatures was refused; the others still count. Anything that is no verdict on the
 * signature (the registry is gone, the caller is gone, a mistake of ours) is thrown on.
 */
export function refusal(error: unknown): FactoryError {
  if (error instanceof FactoryError && error.kind === 'upstream') return error;
  throw error;
}
