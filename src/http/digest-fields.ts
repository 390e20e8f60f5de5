import type { DigestAlgorithm } from './services.ts';

/** Names of RFC 9530 §5 for what we compute. */
const NAMES = { sha256: 'sha-256', sha512: 'sha-512' } as const satisfies Record<DigestAlgorithm, string>;

/** `Repr-Digest: sha-256=:<base64>:` (RFC 9530 §3, RFC 9651 byte sequence). */
export function formatReprDigest(algorithm: DigestAlgorithm, hex: string): string {
  return `${NAMES[algorithm]}=:${Buffer.from(hex, 'hex').toString('base64')}:`;
}

/**
 * The algorithm that `Want-Repr-Digest` prefers (RFC 9530 §4): the greatest weight of 1 to 10, `sha-256` where
 * weights are equal; `undefined` when the field is absent, malformed or wants nothing that we have.
 */
export function wantedDigest(field: string | undefined): DigestAlgorithm | undefined {
  if (field === undefined) return undefined;
  const weights = new Map<string, number>();
  for (const member of field.split(',')) {
    const match = /^[ \t]*([a-z*][a-z0-9_.*-]*)=([0-9]{1,2})[ \t]*$/.exec(member);
    if (match === null) return undefined;
    weights.set(match[1] ?? '', Number(match[2]));
  }
  const sha256 = weights.get(NAMES.sha256) ?? 0;
  const sha512 = weights.get(NAMES.sha512) ?? 0;
  if (sha256 === 0 && sha512 === 0) return undefined;
  return sha512 > sha256 ? 'sha512' : 'sha256';
}
