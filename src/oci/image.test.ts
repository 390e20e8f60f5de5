import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { digestOf } from './digest.ts';
import { type ImageIndex, parseImage, resolveImage, selectPlatform } from './image.ts';
import { DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';
import { parseDigest, parseRepositoryName, parseTag } from './names.ts';
import type { RawManifest, RepositoryReader } from './repository.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const descriptor = { mediaType: 'application/x', digest, size: 3 };

function raw(value: unknown, mediaType: string): RawManifest {
  const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
const index = { schemaVersion: 2, manifests: [descriptor] };

const accepted: readonly (readonly [string, unknown, string])[] = [
  ['an OCI manifest', { ...manifest, mediaType: OCI_MANIFEST }, OCI_MANIFEST],
  ['without its media type', manifest, OCI_MANIFEST],
  ['a Docker manifest', { ...manifest, mediaType: DOCKER_MANIFEST }, DOCKER_MANIFEST],
  ['unknown members', { ...manifest, extra: 1, layers: [{ ...descriptor, urls: [] }] }, OCI_MANIFEST],
  ['annotations of null', { ...manifest, annotations: null, subject: null }, OCI_MANIFEST],
  ['no layers', { ...manifest, layers: [] }, OCI_MANIFEST],
  ['an OCI index', { ...index, mediaType: OCI_INDEX }, OCI_INDEX],
  ['a Docker index', { ...index, mediaType: DOCKER_INDEX }, DOCKER_INDEX],
  ['an index of null', { ...index, manifests: null }, OCI_INDEX],
];

const refused: readonly (readonly [string, unknown, string, RegExp])[] = [
  ['no JSON', '{', OCI_MANIFEST, /not JSON/],
  ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), OCI_MANIFEST, /invalid/],
  ['no object', '3', OCI_MANIFEST, /document/],
  ['schema 1', { ...manifest, schemaVersion: 1 }, OCI_MANIFEST, /schemaVersion/],
  ['no config', { schemaVersion: 2, layers: [] }, OCI_MANIFEST, /config/],
  ['no layers', { schemaVersion: 2, config: descriptor }, OCI_MANIFEST, /layers/],
  [
    'a short digest',
    { ...manifest, layers: [{ ...descriptor, digest: 'sha256:aa' }] },
    OCI_MANIFEST,
    /layers\.0\.digest/,
  ],
  [
    'a negative size',
    { ...manifest, layers: [{ ...descriptor, size: -1 }] },
    OCI_MANIFEST,
    /layers\.0\.size/,
  ],
  [
    'a size beyond all numbers',
    { ...manifest, layers: [{ ...descriptor, size: 2 ** 60 }] },
    OCI_MANIFEST,
    /size/,
  ],
  ['too many layers', { ...manifest, layers: Array(1001).fill(descriptor) }, OCI_MANIFEST, /layers/],
  // CVE-2021-41190: a document that is both.
  ['both a manifest and an index', { ...manifest, ...index }, OCI_MANIFEST, /manifests/],
  ['both an index and a manifest', { ...manifest, ...index }, OCI_INDEX, /config/],
  ['another type than served', { ...manifest, mediaType: DOCKER_MANIFEST }, OCI_MANIFEST, /served as/],
  ['an index as a manifest', { ...index, mediaType: OCI_INDEX }, OCI_MANIFEST, /mediaType/],
  ['another type altogether', manifest, 'application/json', /neither/],
];

test('what is read', () => {
  for (const [name, value, mediaType] of accepted) {
    const image = parseImage(raw(value, mediaType));
    assert.equal(image.descriptor.mediaType, mediaType, name);
    assert.deepEqual(image.annotations, {}, name);
  }
});

test('what is refused', () => {
  for (const [name, value, mediaType, message] of refused) {
    assert.throws(
      () => parseImage(raw(value, mediaType)),
      { code: 'OCI_MANIFEST_INVALID', kind: 'upstream', message },
      name,
    );
  }
  assert.throws(() => parseImage(raw(' '.repeat((8 << 20) + 1), OCI_MANIFEST)), {
    code: 'OCI_MANIFEST_TOO_LARGE',
  });
});

test('nothing else is thrown, whatever comes', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(OCI_MANIFEST, OCI_INDEX), (text, mediaType) => {
      try {
        parseImage(raw(text, mediaType));
      } catch (error) {
        assert.ok(error instanceof FactoryError);
      }
    }),
  );
});

/** A repository of manifests by reference. */
function reader(manifests: Readonly<Record<string, RawManifest>>): RepositoryReader {
  const absent = async (): Promise<undefined> => undefined;
  return {
    name: parseRepositoryName('r.example/a'),
    resolve: absent,
    manifest: async (reference) => manifests[reference],
    blobSize: absent,
    openBlob: absent,
    tags: async () => [],
    referrers: async () => [],
  };
}

test('the image of a platform', async () => {
  const image = raw({ ...manifest, annotations: { n: 'amd64' } }, OCI_MANIFEST);
  const child = (mediaType: string, at: string, platform?: object) => ({
    mediaType,
    digest: at,
    size: 1,
    platform,
  });
  const inner = raw(
    {
      schemaVersion: 2,
      manifests: [
        child(OCI_MANIFEST, image.descriptor.digest, { os: 'linux', architecture: 'arm64', variant: 'v8' }),
      ],
    },
    OCI_INDEX,
  );
  const outer = raw(
    {
      schemaVersion: 2,
      manifests: [
        child(OCI_MANIFEST, digest),
        child(OCI_MANIFEST, digest, { os: 'unknown', architecture: 'unknown' }),
        child(OCI_MANIFEST, digest, { os: 'windows', architecture: 'amd64' }),
        child('application/json', digest, { os: 'linux', architecture: 'amd64' }),
        child(OCI_MANIFEST, image.descriptor.digest, { os: 'linux', architecture: 'amd64' }),
        child(OCI_INDEX, inner.descriptor.digest, { os: 'linux', architecture: 'arm64' }),
        child(OCI_MANIFEST, digest, { os: 'linux', architecture: 'riscv64' }),
      ],
    },
    OCI_INDEX,
  );
  const loop = raw(
    { schemaVersion: 2, manifests: [child(OCI_INDEX, digest, { os: 'linux', architecture: 'amd64' })] },
    OCI_INDEX,
  );
  const repository = reader({
    v1: outer,
    v2: image,
    v3: loop,
    [inner.descriptor.digest]: inner,
    [image.descriptor.digest]: image,
  });
  for (const [tag, architecture] of [
    ['v1', 'amd64'],
    ['v1', 'arm64'],
    ['v2', 'amd64'],
    ['v2', 'riscv64'],
  ] as const) {
    const found = await resolveImage(repository, parseTag(tag), architecture);
    assert.equal(found?.descriptor.digest, image.descriptor.digest, `${tag} ${architecture}`);
  }
  assert.equal(await resolveImage(repository, parseTag('v9'), 'amd64'), undefined);
  await assert.rejects(resolveImage(repository, parseTag('v1'), 's390x'), {
    code: 'OCI_PLATFORM_UNKNOWN',
    message: /r\.example\/a: v1 has no image for linux\/s390x/,
  });
  await assert.rejects(resolveImage(repository, parseTag('v1'), 'riscv64'), { code: 'OCI_IMAGE_UNKNOWN' });
  await assert.rejects(resolveImage(reader({ v3: loop, [digest]: loop }), parseTag('v3'), 'amd64'), {
    code: 'OCI_MANIFEST_INVALID',
  });
  assert.equal(selectPlatform(parseImage(outer) as ImageIndex, 'unknown'), undefined);
  assert.ok(parseDigest(digest));
});
