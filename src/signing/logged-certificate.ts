import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { base64Bytes, parseJsonBytes } from './encoding.ts';

const pem = base64Bytes.transform((bytes, context): Uint8Array => {
  try {
    return new X509Certificate(bytes).raw;
  } catch {
    context.addIssue('not a certificate');
    return z.NEVER;
  }
});
const verifier = z.object({ x509Certificate: z.object({ rawBytes: base64Bytes }) });

/** Bodies of log entries by kind and version, as far as they say who signed (rekor, pkg/types; rekor-tiles for 0.0.2). */
const BODIES: Readonly<Record<string, z.ZodType<Uint8Array>>> = {
  'hashedrekord/0.0.1': z
    .object({ spec: z.object({ signature: z.object({ publicKey: z.object({ content: pem }) }) }) })
    .transform(({ spec }) => spec.signature.publicKey.content),
  'dsse/0.0.1': z
    .object({ spec: z.object({ signatures: z.tuple([z.object({ verifier: pem })]) }) })
    .transform(({ spec }) => spec.signatures[0].verifier),
  'hashedrekord/0.0.2': z
    .object({ spec: z.object({ hashedRekordV002: z.object({ signature: z.object({ verifier }) }) }) })
    .transform(({ spec }) => spec.hashedRekordV002.signature.verifier.x509Certificate.rawBytes),
  'dsse/0.0.2': z
    .object({ spec: z.object({ dsseV002: z.object({ signatures: z.tuple([z.object({ verifier })]) }) }) })
    .transform(({ spec }) => spec.dsseV002.signatures[0].verifier.x509Certificate.rawBytes),
};

/**
 * The certificate (DER) that an entry of a transparency log was made with; `undefined` for other kinds of entries, and
 * entries that were made with a key.
 */
export function loggedCertificate(kind: string, version: string, body: Uint8Array): Uint8Array | undefined {
  const name = `${kind}/${version}`;
  const schema = Object.hasOwn(BODIES, name) ? BODIES[name] : undefined;
  return schema === undefined ? undefined : parseJsonBytes(schema, body);
}
