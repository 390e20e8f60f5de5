import { FactoryError, isAbort, withContext } from '../errors.ts';

/** The codes of this folder. */
export type ArtifactCode =
  | 'VERSION_NOT_AVAILABLE'
  | 'VERSIONS_UNAVAILABLE'
  | 'EXTENSION_NOT_AVAILABLE'
  | 'OVERLAY_NOT_AVAILABLE'
  | 'TALOSCTL_NOT_AVAILABLE'
  | 'ARTIFACT_ARCH_MISSING'
  | 'ARTIFACT_IMAGE_MISSING'
  | 'ARTIFACT_FILE_MISSING'
  | 'ARTIFACT_TIMEOUT'
  | 'INSTALLER_BASE_INVALID'
  | 'CATALOG_INVALID';

/** Seconds until another try makes sense when upstream did not say: a release may be half published. */
const RETRY_AFTER = 60;

/** What a registry holds is not what a release must have: upstream's fault. */
export function badArtifact(code: ArtifactCode, message: string, cause?: unknown): FactoryError {
  return new FactoryError('upstream', code, message, {
    retryAfter: RETRY_AFTER,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The error with what was being fetched before it, and a time to try again when it is upstream's. */
export function whileFetching(what: string, error: unknown): unknown {
  if (isAbort(error) || !(error instanceof FactoryError)) return error;
  const { kind, code, message, retryAfter } = withContext(`failed to get ${what}`, error);
  const upstream = kind === 'upstream' || kind === 'unavailable';
  const seconds = retryAfter ?? (upstream ? RETRY_AFTER : undefined);
  return new FactoryError(kind, code, message, {
    cause: error,
    ...(seconds === undefined ? {} : { retryAfter: seconds }),
  });
}
