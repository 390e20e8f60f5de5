import { TrustedRoot } from '@sigstore/protobuf-specs';
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify';

/** Throws an `Error` that says what is wrong with the text. */
export function parseTrustedRoot(bytes: Uint8Array): TrustMaterial {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString());
  } catch (cause) {
    throw new TypeError('it is not JSON', { cause });
  }
  return trustMaterial(TrustedRoot.fromJSON(json ?? {}));
}

/** Throws an `Error`: a root by which no signature could ever be accepted is a mistake. */
export function trustMaterial(root: TrustedRoot): TrustMaterial {
  if (!root.mediaType.startsWith('application/vnd.dev.sigstore.trustedroot')) {
    throw new TypeError('it is not a Sigstore trusted root');
  }
  for (const part of ['certificateAuthorities', 'tlogs', 'ctlogs'] as const) {
    if (root[part].length === 0) throw new TypeError(`it has no ${part}`);
  }
  return toTrustMaterial(root);
}
