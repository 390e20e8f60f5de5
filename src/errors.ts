/**
 * What went wrong, for whom it is to mend:
 * `invalid`, `unauthorized`, `forbidden`, `not-found`, `too-large`, `not-enabled`: the caller's;
 * `upstream` (a registry answered wrongly), `unavailable` (it did not answer, or we are full): try again;
 * `not-implemented`: a capability that this build or this machine does not have; `internal`: ours.
 */
export type ErrorKind =
  | 'invalid'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'too-large'
  | 'not-enabled'
  | 'not-implemented'
  | 'upstream'
  | 'unavailable'
  | 'internal';

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Seconds after which another try makes sense (`unavailable`, `upstream`). */
  readonly retryAfter?: number;
}

/**
 * An error whose message may be shown to the caller: it names the thing, the reason and what to do.
 * `code` is stable and in SCREAMING_SNAKE_CASE; each folder keeps its own list of codes.
 */
export class FactoryError extends Error {
  override readonly name: string = 'FactoryError';
  readonly kind: ErrorKind;
  readonly code: string;
  readonly retryAfter: number | undefined;

  constructor(kind: ErrorKind, code: string, message: string, options: ErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.kind = kind;
    this.code = code;
    this.retryAfter = options.retryAfter;
  }
}

/** The same error with `prefix: ` before its message; kind and code are kept. Unknown errors become internal. */
export function withContext(prefix: string, error: unknown): FactoryError {
  if (error instanceof FactoryError) {
    return new FactoryError(error.kind, error.code, `${prefix}: ${error.message}`, {
      cause: error,
      ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new FactoryError('internal', 'INTERNAL', `${prefix}: ${message}`, { cause: error });
}

/** True for the error of an aborted signal (ours or the platform's), which is no failure to report. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}
