import { bytesBlob } from '../blob/bytes.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { digestOf } from '../oci/digest.ts';
import type { Digest } from '../oci/names.ts';
import type { Descriptor, Repository, RepositoryWriter } from '../oci/repository.ts';
import { BUNDLE_MEDIA_TYPE, createBundle, type MessageSigner } from './bundle.ts';
import { signingError } from './errors.ts';
import { SIGNATURE_ANNOTATION, SIMPLE_SIGNING_MEDIA_TYPE, simpleSigningPayload } from './simple-signing.ts';
import { signatureTag } from './verify-legacy.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
/** OCI image-spec 1.1, "Guidance for an empty descriptor". */
const EMPTY = 'application/vnd.oci.empty.v1+json';

/** `2019-06-01T21:34:52Z`. */
const CREATED = new Date(SOURCE_DATE_EPOCH * 1000).toISOString().replace('.000', '');

/**
 * Signs an image the old cosign way: tag `sha256-<hex>.sig` with one signature, which replaces whatever is there
 * (`spec/registry.md` §8).
 */
export async function signLegacy(
  repository: RepositoryWriter,
  digest: Digest,
  signer: MessageSigner,
  signal?: AbortSignal,
): Promise<Descriptor> {
  const payload = simpleSigningPayload(repository.name, digest);
  const signature = Buffer.from(await signer.sign(payload)).toString('base64');
  const layer = await push(repository, SIMPLE_SIGNING_MEDIA_TYPE, payload, signal);
  const config = Buffer.from(
    JSON.stringify({
      architecture: '',
      created: CREATED,
      history: [{ created: '0001-01-01T00:00:00Z' }],
      os: '',
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      config: {},
    }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: await push(repository, CONFIG, config, signal),
    layers: [{ ...layer, annotations: { [SIGNATURE_ANNOTATION]: signature } }],
  };
  return repository.pushManifest(
    signatureTag(digest),
    MANIFEST,
    Buffer.from(JSON.stringify(manifest)),
    signal,
  );
}

/**
 * Signs an image with a Sigstore bundle that refers to it (`spec/artifacts.md` §6.2). The image must be in the
 * repository. Throws `not-found` `SIGNATURE_SUBJECT_MISSING`.
 */
export async function signBundle(
  repository: Repository,
  digest: Digest,
  signer: MessageSigner,
  signal?: AbortSignal,
): Promise<Descriptor> {
  const subject = await repository.resolve(digest, signal);
  if (subject === undefined) {
    throw signingError(
      'not-found',
      'SIGNATURE_SUBJECT_MISSING',
      `cannot sign ${repository.name}@${digest}: it is not in the repository`,
    );
  }
  const bundle = await createBundle(digest, signer);
  const empty = await push(repository, EMPTY, Buffer.from('{}'), signal);
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: BUNDLE_MEDIA_TYPE,
    config: { ...empty, artifactType: BUNDLE_MEDIA_TYPE },
    layers: [await push(repository, BUNDLE_MEDIA_TYPE, bundle, signal)],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations: {
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1',
      'org.opencontainers.image.created': CREATED,
    },
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return repository.pushManifest(digestOf(bytes), MANIFEST, bytes, signal);
}

async function push(
  repository: RepositoryWriter,
  mediaType: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, bytesBlob(bytes), signal === undefined ? {} : { signal });
  return descriptor;
}
