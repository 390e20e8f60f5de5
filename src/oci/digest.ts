import { createHash, type Hash } from 'node:crypto';
import { badAnswer, digestMismatch } from './errors.ts';
import type { Digest } from './names.ts';

/** The hash a digest names (`sha256`, `sha512`), fresh. */
export function hashOf(digest: Digest): Hash {
  return createHash(digest.slice(0, digest.indexOf(':')));
}

/** The SHA-256 digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

/** The hex part of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function checkBytes(thing: string, digest: Digest, bytes: Uint8Array): void {
  const actual = `${digest.slice(0, digest.indexOf(':'))}:${hashOf(digest).update(bytes).digest('hex')}`;
  if (actual !== digest) throw digestMismatch(thing, digest, actual);
}

/**
 * The same bytes; throws at the end when they are not those of `digest`, or as soon as there are more than
 * `size` of them.
 */
export async function* verified(
  stream: AsyncIterable<Uint8Array>,
  thing: string,
  digest: Digest,
  size?: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = hashOf(digest);
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.length;
    if (size !== undefined && seen > size) {
      throw badAnswer('OCI_SIZE_MISMATCH', `${thing}: more than the ${size} bytes it should have`);
    }
    hash.update(chunk);
    yield chunk;
  }
  if (size !== undefined && seen !== size) {
    throw badAnswer('OCI_SIZE_MISMATCH', `${thing}: ${seen} bytes instead of ${size}`);
  }
  const actual = `${digest.slice(0, digest.indexOf(':'))}:${hash.digest('hex')}`;
  if (actual !== digest) throw digestMismatch(thing, digest, actual);
}
