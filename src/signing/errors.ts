import { type ErrorKind, type ErrorOptions, FactoryError } from '../errors.ts';

/** The codes of this folder. */
export type SigningCode =
  | 'SIGNATURE_POLICY_INVALID'
  | 'SIGNATURE_KEY_INVALID'
  | 'SIGNATURE_TRUSTED_ROOT_INVALID'
  | 'SIGNATURE_TRUSTED_ROOT_UNAVAILABLE'
  | 'SIGNATURE_MISSING'
  | 'SIGNATURE_INVALID'
  | 'SIGNATURE_SUBJECT_MISSING';

export function signingError(
  kind: ErrorKind,
  code: SigningCode,
  message: string,
  options: ErrorOptions = {},
): FactoryError {
  return new FactoryError(kind, code, message, options);
}

/** A key, public or private, that cannot be used. Never says anything of what it was read from. */
export function invalidKey(message: string, options: ErrorOptions = {}): FactoryError {
  return signingError('invalid', 'SIGNATURE_KEY_INVALID', message, options);
}

/** Seconds until a failed verification is worth another try: signatures may follow their image. */
const RETRY_AFTER = 60;

/** A signature, or what carries it, that cannot be accepted: upstream's fault. */
export function badSignature(message: string): FactoryError {
  return signingError('upstream', 'SIGNATURE_INVALID', message, { retryAfter: RETRY_AFTER });
}

/** Nothing that could be verified was found. */
export function missingSignature(message: string): FactoryError {
  return signingError('upstream', 'SIGNATURE_MISSING', message, { retryAfter: RETRY_AFTER });
}

/**
 * Why one of several signatures was refused; the others still count. Anything that is no verdict on the
 * signature (the registry is gone, the caller is gone, a mistake of ours) is thrown on.
 */
export function refusal(error: unknown): FactoryError {
  if (error instanceof FactoryError && error.kind === 'upstream') return error;
  throw error;
}

/** Messages of an error and its causes, from the outside in. */
export function reasons(error: unknown): readonly string[] {
  const found: string[] = [];
  for (let at = error; at instanceof Error && found.length < 5; at = at.cause) {
    if (at.message !== '') found.push(at.message);
  }
  return found;
}
