import { FactoryError } from '../errors.ts';

/** The codes of this folder; what each means for the caller is in its `ErrorKind`. */
export type OciCode =
  | 'OCI_DIGEST_INVALID'
  | 'OCI_TAG_INVALID'
  | 'OCI_NAME_INVALID'
  | 'OCI_SIZE_MISMATCH'
  | 'OCI_DIGEST_MISMATCH'
  | 'OCI_RANGE_INVALID'
  | 'OCI_MANIFEST_INVALID'
  | 'OCI_MANIFEST_TOO_LARGE'
  | 'OCI_RESPONSE_INVALID'
  | 'OCI_RESPONSE_TOO_LARGE'
  | 'OCI_REDIRECT_REFUSED'
  | 'OCI_REALM_REFUSED'
  | 'OCI_CREDENTIALS_INVALID'
  | 'OCI_UNAUTHORIZED'
  | 'OCI_DENIED'
  | 'OCI_RATE_LIMITED'
  | 'OCI_REGISTRY_FAILED'
  | 'OCI_UNREACHABLE'
  | 'OCI_UNSUPPORTED'
  | 'OCI_TLS_UNTRUSTED'
  | 'OCI_LAYER_INVALID'
  | 'OCI_LAYER_LIMIT'
  | 'OCI_IMAGE_UNKNOWN'
  | 'OCI_PLATFORM_UNKNOWN'
  | 'OCI_TREE_INVALID'
  | 'OCI_LAYOUT_INVALID'
  | 'OCI_LAYOUT_FULL'
  | 'OCI_CLIENT_CLOSED';

/** A registry that answered with something it must not answer: upstream's fault. */
export function badAnswer(code: OciCode, message: string, cause?: unknown): FactoryError {
  return new FactoryError('upstream', code, message, cause === undefined ? {} : { cause });
}

/** Bytes that are not what their digest says. Never served, never retried silently. */
export function digestMismatch(thing: string, expected: string, actual: string): FactoryError {
  return badAnswer('OCI_DIGEST_MISMATCH', `${thing}: expected digest ${expected}, got ${actual}`);
}

const TLS_FAULTS = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
]);

/** What the platform says of a failed request, as an error that names the host. */
export function unreachable(host: string, error: unknown): FactoryError {
  if (error instanceof FactoryError) return error;
  const code = errorCode(error);
  if (code !== undefined && TLS_FAULTS.has(code)) {
    return badAnswer(
      'OCI_TLS_UNTRUSTED',
      `the certificate of ${host} is not trusted (${code}): add its certificate authority, or mark the registry as insecure`,
      error,
    );
  }
  // The client library's own codes say less than its messages.
  const message = error instanceof Error ? error.message : String(error);
  const reason = code === undefined || code.startsWith('UND_') ? message : code;
  return new FactoryError('unavailable', 'OCI_UNREACHABLE', `registry ${host} cannot be reached: ${reason}`, {
    cause: error,
    retryAfter: 30,
  });
}

/** The `code` of the error or of what caused it. */
function errorCode(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string') return at.code;
  }
  return undefined;
}

/** A status that is not what the request hoped for, as an error. `said` is a short text from the answer. */
export function refused(
  host: string,
  what: string,
  status: number,
  said: string,
  retryAfter?: number,
): FactoryError {
  const detail = said === '' ? '' : `: ${said}`;
  if (status === 401) {
    return badAnswer(
      'OCI_UNAUTHORIZED',
      `registry ${host} wants other credentials for ${what} (status 401)${detail}; check the Docker configuration`,
    );
  }
  if (status === 403) {
    return badAnswer('OCI_DENIED', `registry ${host} denies ${what} (status 403)${detail}`);
  }
  if (status === 429) {
    return new FactoryError(
      'unavailable',
      'OCI_RATE_LIMITED',
      `registry ${host} limits the rate of requests (status 429) at ${what}${detail}; try again later`,
      { retryAfter: retryAfter ?? 60 },
    );
  }
  if (status === 408 || status === 499 || status >= 500) {
    return new FactoryError(
      status === 503 ? 'unavailable' : 'upstream',
      'OCI_REGISTRY_FAILED',
      `registry ${host} failed with status ${status} at ${what}${detail}`,
      { retryAfter: retryAfter ?? 30 },
    );
  }
  return badAnswer(
    'OCI_RESPONSE_INVALID',
    `registry ${host} answered ${what} with status ${status}${detail}`,
  );
}
