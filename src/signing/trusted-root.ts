import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TrustMaterial } from '@sigstore/verify';
import { signingError } from './errors.ts';

/** Whom keyless signatures are trusted by: certificate authorities, logs, timestamp authorities. */
export interface TrustedRootSource {
  /** Names where it comes from: of a file its content, of a TUF repository the anchor. */
  readonly fingerprint: string;
  /** Throws `unavailable` when it cannot be had now. */
  load(): Promise<TrustMaterial>;
}

/** A `trusted_root.json` (protobuf-specs, sigstore_trustroot.proto). Throws `invalid` `SIGNATURE_TRUSTED_ROOT_INVALID`. */
export async function fileTrustedRoot(path: string): Promise<TrustedRootSource> {
  try {
    const bytes = await readFile(path);
    const { parseTrustedRoot } = await import('./trust-material.ts');
    const material = parseTrustedRoot(bytes);
    return {
      fingerprint: createHash('sha256').update(bytes).digest('hex'),
      load: async () => material,
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw signingError(
      'invalid',
      'SIGNATURE_TRUSTED_ROOT_INVALID',
      `containerSignature.trustedRootFile ${path} cannot be used: ${reason}`,
      { cause },
    );
  }
}
