import { z } from 'zod';
import { base64Bytes } from './encoding.ts';

/** DSSE envelope (secure-systems-lab/dsse, envelope.md) as it stands in JSON. */
export const envelopeSchema = z.object({
  payload: base64Bytes,
  payloadType: z.string(),
  // A Sigstore bundle holds exactly one (protobuf-specs, sigstore_bundle.proto).
  signatures: z.array(z.object({ sig: base64Bytes })).length(1),
});

/** Payload type of in-toto statements. */
export const IN_TOTO = 'application/vnd.in-toto+json';

/** Pre-authentication encoding, what is signed: `DSSEv1 <len type> <type> <len body> <body>`, lengths in bytes. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType);
  return Buffer.concat([
    Buffer.from(`DSSEv1 ${type.length} `),
    type,
    Buffer.from(` ${payload.length} `),
    payload,
  ]);
}
