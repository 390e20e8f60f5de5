import { type KeyObject, sign } from 'node:crypto';
import { parseTag, type Tag } from '../../oci/names.ts';
import type { Descriptor } from '../../oci/repository.ts';
import { type BuiltObject, builtObject, jsonObject, OCI_CONFIG, OCI_MANIFEST } from '../image-builder.ts';

/** A signature of an image, to be pushed into the image's own repository. */
export interface BuiltSignature {
  readonly manifest: BuiltObject;
  readonly blobs: readonly BuiltObject[];
  /** The tag of a legacy signature; bundles are found as referrers. */
  readonly tag?: Tag;
}

/** Cosign's legacy form (`spec/artifacts.md` §6.3): a simple-signing payload under the tag `sha256-<hex>.sig`. */
export function legacySignature(repository: string, subject: Descriptor, key: KeyObject): BuiltSignature {
  const payload = Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': `ghcr.io/${repository}` },
        image: { 'docker-manifest-digest': subject.digest },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
  const layer = builtObject('application/vnd.dev.cosign.simplesigning.v1+json', payload);
  const config = jsonObject(OCI_CONFIG, {
    architecture: '',
    os: '',
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.descriptor.digest] },
  });
  const manifest = jsonObject(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: config.descriptor,
    layers: [
      {
        ...layer.descriptor,
        annotations: {
          'dev.cosignproject.cosign/signature': sign('sha256', payload, key).toString('base64'),
        },
      },
    ],
  });
  return { manifest, blobs: [config, layer], tag: parseTag(`${subject.digest.replace(':', '-')}.sig`) };
}

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PREDICATE = 'https://sigstore.dev/cosign/sign/v1';
const IN_TOTO = 'application/vnd.in-toto+json';

/** A Sigstore bundle as a referrer (`spec/artifacts.md` §6.2): a DSSE envelope around an in-toto statement. */
export function bundleSignature(subject: Descriptor, key: KeyObject): BuiltSignature {
  const statement = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { sha256: subject.digest.slice('sha256:'.length) }, annotations: {} }],
      predicateType: PREDICATE,
      predicate: {},
    }),
  );
  // DSSE protocol v1: what is signed is the pre-authentication encoding.
  const signed = Buffer.concat([
    Buffer.from(`DSSEv1 ${IN_TOTO.length} ${IN_TOTO} ${statement.length} `),
    statement,
  ]);
  const layer = jsonObject(BUNDLE, {
    mediaType: BUNDLE,
    verificationMaterial: { publicKey: { hint: 'sandbox' }, tlogEntries: [] },
    dsseEnvelope: {
      payload: statement.toString('base64'),
      payloadType: IN_TOTO,
      signatures: [{ sig: sign('sha256', signed, key).toString('base64') }],
    },
  });
  const config = builtObject('application/vnd.oci.empty.v1+json', Buffer.from('{}'));
  const { mediaType, digest, size } = subject;
  const manifest = jsonObject(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: BUNDLE,
    config: config.descriptor,
    layers: [layer.descriptor],
    subject: { mediaType, digest, size },
    annotations: {
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': PREDICATE,
      'org.opencontainers.image.created': '2019-06-01T21:34:52Z',
    },
  });
  return { manifest, blobs: [config, layer] };
}
