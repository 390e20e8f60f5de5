import { z } from 'zod';
import { digestHex } from '../oci/digest.ts';
import type { Digest } from '../oci/names.ts';
import { parseJsonBytes } from './encoding.ts';
import { badSignature } from './errors.ts';

/** in-toto statement layer v1. */
const STATEMENT = 'https://in-toto.io/Statement/v1';
/** The predicate of a statement that says nothing but "signed". */
const SIGN_PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

const statementSchema = z.object({
  _type: z.string(),
  subject: z.array(z.object({ digest: z.record(z.string(), z.string()) })).max(10_000),
  predicateType: z.string(),
});

/** The statement that an image with this digest is signed, byte for byte (`spec/artifacts.md` §6.2). */
export function signStatement(digest: Digest): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      _type: STATEMENT,
      subject: [{ digest: { [algorithmOf(digest)]: digestHex(digest) }, annotations: {} }],
      predicateType: SIGN_PREDICATE,
      predicate: {},
    }),
  );
}

/**
 * Throws unless the payload states that the image with this digest is signed. Other predicates (a bill of
 * materials, a provenance) are no signature, though the same key may have made them.
 */
export function checkSignStatement(payload: Uint8Array, digest: Digest): void {
  const statement = parseJsonBytes(statementSchema, payload);
  if (statement?._type !== STATEMENT) throw badSignature('bundle does not hold an in-toto statement v1');
  if (statement.predicateType !== SIGN_PREDICATE) {
    throw badSignature(
      `bundle states ${JSON.stringify(statement.predicateType.slice(0, 100))}, not a signature`,
    );
  }
  const algorithm = algorithmOf(digest);
  const named = ({ digest: digests }: { readonly digest: Readonly<Record<string, string>> }): boolean =>
    Object.hasOwn(digests, algorithm) && digests[algorithm] === digestHex(digest);
  if (!statement.subject.some(named)) throw badSignature('bundle signs another image');
}

function algorithmOf(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':'));
}
