import { FactoryError } from '../errors.ts';
import { publicError } from '../http/error-response.ts';
import { jsonLine } from '../http/json-line.ts';
import type { Message } from '../http/result.ts';

/** The codes of this folder. */
export type RegistryCode =
  | 'REGISTRY_PATH_UNKNOWN'
  | 'REGISTRY_IMAGE_INVALID'
  | 'REGISTRY_IMAGE_UNKNOWN'
  | 'REGISTRY_MANIFEST_UNKNOWN'
  | 'REGISTRY_BLOB_UNKNOWN'
  | 'REGISTRY_SUBJECT_INVALID'
  | 'REGISTRY_PAGE_INVALID'
  | 'SIGNING_KEY_UNREADABLE';

export function registryError(
  kind: 'invalid' | 'not-found' | 'internal',
  code: RegistryCode,
  message: string,
  cause?: unknown,
): FactoryError {
  return new FactoryError(kind, code, message, cause === undefined ? {} : { cause });
}

export function manifestUnknown(reference: string): FactoryError {
  return registryError(
    'not-found',
    'REGISTRY_MANIFEST_UNKNOWN',
    `manifest unknown: ${JSON.stringify(reference)}`,
  );
}

/** OCI distribution-spec 1.1 "Error Codes". */
const OCI_CODES: Readonly<Record<string, string>> = {
  REGISTRY_PATH_UNKNOWN: 'NAME_UNKNOWN',
  REGISTRY_IMAGE_INVALID: 'NAME_INVALID',
  REGISTRY_IMAGE_UNKNOWN: 'NAME_UNKNOWN',
  REGISTRY_BLOB_UNKNOWN: 'BLOB_UNKNOWN',
  REGISTRY_SUBJECT_INVALID: 'DIGEST_INVALID',
  SCHEMATIC_NOT_FOUND: 'NAME_UNKNOWN',
  BUILD_QUEUE_FULL: 'TOOMANYREQUESTS',
};

const OCI_CODES_BY_STATUS: Readonly<Record<number, string>> = {
  400: 'UNSUPPORTED',
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'MANIFEST_UNKNOWN',
};

/** An error as clients of registries read it. */
export function registryErrorMessage(error: unknown, requestId: string): Message {
  const { status, code, message, retryAfter } = publicError(error);
  const own = Object.hasOwn(OCI_CODES, code) ? OCI_CODES[code] : undefined;
  const oci = own ?? OCI_CODES_BY_STATUS[status] ?? 'UNKNOWN';
  return {
    kind: 'message',
    status,
    headers: {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      ...(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }),
      ...(status === 401 ? { 'WWW-Authenticate': 'Basic realm="Image Factory", charset="UTF-8"' } : {}),
    },
    body: jsonLine({ errors: [{ code: oci, message, detail: { code, requestId } }] }),
  };
}
