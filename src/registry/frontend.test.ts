import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { bytesBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import { installerIndex } from '../imager/installer/image.ts';
import { digestHex, digestOf } from '../oci/digest.ts';
import { type Digest, parseRepositoryName, parseTag } from '../oci/names.ts';
import { openRegistryClient } from '../oci/registry-client.ts';
import { runProgram } from '../process/run.ts';
import { signatureKey } from '../signing/public-key.ts';
import { signBundle, signLegacy } from '../signing/sign.ts';
import { generateSigningKeyPem, signingKey } from '../signing/signing-key.ts';
import { imageVerifier } from '../signing/verifier.ts';
import { parseTalosVersion } from '../talos/version.ts';
import { startDebianRegistry } from '../testing/debian-registry.ts';
import { BASE, type Frontend, SCHEMATIC, sampleImage, startFrontend } from './frontend.testing.ts';

const IMAGE = `/v2/metal-installer/${SCHEMATIC}`;
const TAG = 'v1.13.0';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const ABSENT = `sha256:${'e'.repeat(64)}`;

/** The index that every factory makes of the sample. */
async function sampleIndex(version = TAG) {
  const request = { schematicId: SCHEMATIC, version: parseTalosVersion(version), platform: 'metal' } as const;
  const images = await Promise.all(
    (['amd64', 'arm64'] as const).map((arch) => sampleImage({ ...request, secureboot: false, arch })),
  );
  return { images, index: installerIndex(images) };
}

async function skopeo(t: TestContext, ...args: readonly string[]): Promise<Buffer> {
  const directory = await scratch(t);
  await writeFile(join(directory, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  const { stdout } = await runProgram({
    program: 'skopeo',
    args: ['--policy', join(directory, 'policy.json'), ...args],
  });
  return Buffer.from(stdout);
}

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'frontend-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

const refusals = (text: string): unknown => JSON.parse(text).errors[0].code;

for (const embedded of [true, false]) {
  const where = embedded ? 'embedded' : 'a registry';
  test(`skopeo inspects and copies an image that is built when it asks, kept in ${where}`, async (t) => {
    const { host, built } = await startFrontend(t, { embedded });
    const image = `docker://${host}/metal-installer/${SCHEMATIC}:${TAG}`;
    const raw = await skopeo(t, 'inspect', '--raw', '--tls-verify=false', image);
    const { index, images } = await sampleIndex();
    assert.equal(digestOf(raw), index.descriptor.digest);
    const target = join(await scratch(t), 'copy');
    await skopeo(t, 'copy', '--all', '--src-tls-verify=false', image, `dir:${target}`);
    for (const { manifest, layers, arch } of images) {
      const copied = await readFile(join(target, `${digestHex(manifest.descriptor.digest)}.manifest.json`));
      assert.equal(digestOf(copied), manifest.descriptor.digest);
      const own = layers[1]?.descriptor.digest ?? assert.fail();
      const archive = gunzipSync(await readFile(join(target, digestHex(own))));
      assert.ok(archive.includes(`v1.13.0 metal ${arch} ${SCHEMATIC}`));
    }
    assert.deepEqual(built.map(({ arch }) => arch).sort(), ['amd64', 'arm64']);
  });
}

test('the factory signs what it publishes, and serves signature and key', async (t) => {
  const { host, server } = await startFrontend(t, { embedded: true });
  const answer = await server.request('HEAD', `${IMAGE}/manifests/${TAG}`);
  const digest = answer.headers['docker-content-digest'] as Digest;
  const pem = (await server.request('GET', '/oci/cosign/signing-key.pub')).text;
  const client = openRegistryClient({ credentials: { env: {} } });
  t.after(() => client.close());
  // A client that knows the address of the factory only.
  const image = client.repository(parseRepositoryName(`${host}/metal-installer/${SCHEMATIC}`), {
    insecure: true,
  });
  const verifier = imageVerifier({ type: 'key', key: signatureKey(pem, 'sha256') });
  assert.equal(await verifier.verify(image, digest), 'legacy: public key');

  // And by a program that knows nothing of images.
  const directory = await scratch(t);
  const { text } = await server.request('GET', `${IMAGE}/manifests/${digest.replace(':', '-')}.sig`);
  const [layer] = JSON.parse(text).layers;
  const payload = (await server.request('GET', `${IMAGE}/blobs/${layer.digest}`)).text;
  assert.equal(JSON.parse(payload).critical.image['docker-manifest-digest'], digest);
  await writeFile(join(directory, 'payload'), payload);
  await writeFile(
    join(directory, 'signature'),
    Buffer.from(layer.annotations['dev.cosignproject.cosign/signature'], 'base64'),
  );
  await writeFile(join(directory, 'key.pem'), pem);
  const names = ['-verify', 'key.pem', '-signature', 'signature', 'payload'];
  const args = names.map((name) => (name.startsWith('-') ? name : join(directory, name)));
  const { stdout } = await runProgram({ program: 'openssl', args: ['dgst', '-sha256', ...args] });
  assert.equal(Buffer.from(stdout).toString(), 'Verified OK\n');
});

test('what is answered of a manifest', async (t) => {
  const { server } = await startFrontend(t, { embedded: true });
  const { index } = await sampleIndex();
  const { digest, size } = index.descriptor;
  for (const reference of [TAG, 'latest', digest]) {
    for (const method of ['HEAD', 'GET']) {
      const { status, headers, text } = await server.request(method, `${IMAGE}/manifests/${reference}`);
      assert.equal(status, 200, `${method} ${reference}: ${text}`);
      assert.equal(headers['content-type'], INDEX);
      assert.equal(headers['docker-content-digest'], digest);
      assert.equal(headers['content-length'], String(size));
      assert.equal(headers['docker-distribution-api-version'], 'registry/2.0');
      assert.equal(headers['cache-control']?.includes('immutable'), reference === digest);
      assert.equal(text, method === 'HEAD' ? '' : Buffer.from(index.bytes).toString());
    }
  }
});

test('blobs are served whole and in part', async (t) => {
  const { server } = await startFrontend(t);
  const { images } = await sampleIndex();
  await server.request('GET', `${IMAGE}/manifests/${TAG}`);
  const layer = images[0]?.layers[1] ?? assert.fail();
  const path = `${IMAGE}/blobs/${layer.descriptor.digest}`;
  const whole = await server.request('GET', path);
  assert.equal(whole.headers['docker-content-digest'], layer.descriptor.digest);
  assert.equal(digestOf(Buffer.from(whole.text, 'latin1')), layer.descriptor.digest);
  const part = await server.request('GET', path, { Range: 'bytes=5-9' });
  assert.equal(part.status, 206);
  assert.equal(part.text, whole.text.slice(5, 10));
  const head = await server.request('HEAD', path);
  assert.equal(head.headers['content-length'], String(layer.descriptor.size));
});

test('one build for all who ask at once, both architectures side by side', async (t) => {
  const started = new Set<string>();
  const both = Promise.withResolvers<void>();
  const { server, built } = await startFrontend(t, {
    embedded: true,
    async before({ arch }) {
      started.add(arch);
      if (started.size === 2) both.resolve();
      await both.promise;
    },
  });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      server.request(i % 2 === 0 ? 'HEAD' : 'GET', `${IMAGE}/manifests/${TAG}`),
    ),
  );
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(built.length, 2);
});

test('the index is answered before it is published, what it names when it has arrived', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { server, internal } = await startFrontend(t, {
    embedded: true,
    parts: { repository: () => held },
  });
  const stored = internal('metal-installer');
  const held = {
    ...bound(stored),
    pushBlob: async (...args: Parameters<typeof stored.pushBlob>) => {
      await gate.promise;
      await stored.pushBlob(...args);
    },
  };
  const { images, index } = await sampleIndex();
  const tag = await server.request('GET', `${IMAGE}/manifests/${TAG}`);
  assert.equal(tag.headers['docker-content-digest'], index.descriptor.digest);
  assert.equal(await stored.resolve(parseTag(TAG)), undefined, 'not tagged yet');
  const child = server.request('GET', `${IMAGE}/manifests/${images[0]?.manifest.descriptor.digest}`);
  const blob = server.request('GET', `${IMAGE}/blobs/${images[1]?.layers[1]?.descriptor.digest}`);
  gate.resolve();
  assert.equal((await child).status, 200);
  assert.equal((await blob).status, 200);
  assert.equal((await stored.resolve(parseTag(TAG)))?.digest, index.descriptor.digest);
});

/** A repository whose methods can be spread. */
function bound(repository: ReturnType<Frontend['internal']>): ReturnType<Frontend['internal']> {
  return {
    name: repository.name,
    resolve: repository.resolve.bind(repository),
    manifest: repository.manifest.bind(repository),
    blobSize: repository.blobSize.bind(repository),
    openBlob: repository.openBlob.bind(repository),
    tags: repository.tags.bind(repository),
    referrers: repository.referrers.bind(repository),
    pushBlob: repository.pushBlob.bind(repository),
    pushManifest: repository.pushManifest.bind(repository),
    deleteManifest: repository.deleteManifest.bind(repository),
  };
}

test('the tag is the last thing that is written, layers of the base are mounted', async (t) => {
  const { server, registry } = await startFrontend(t, { parts: { external: EXTERNAL } });
  await server.request('HEAD', `${IMAGE}/manifests/${TAG}`);
  const { index, images } = await sampleIndex();
  const written = registry.calls
    .filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'))
    .map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
  assert.deepEqual(
    written.slice(0, 2).sort(),
    images.map(({ manifest }) => manifest.descriptor.digest).sort(),
  );
  const hex = digestHex(index.descriptor.digest);
  assert.deepEqual(written.slice(2), [index.descriptor.digest, `sha256-${hex}.sig`, TAG]);
  const mounts = registry.calls.filter(({ path }) => path.includes('mount='));
  assert.ok(mounts.length > 0 && mounts.every(({ status }) => status === 201));
});

const EXTERNAL = { registry: 'public.example', path: 'mirror/factory', insecure: false };

test('with an external registry clients are sent there, by digest', async (t) => {
  const { server, internal } = await startFrontend(t, { parts: { external: EXTERNAL } });
  const { index } = await sampleIndex();
  const there = `https://public.example/v2/mirror/factory/metal-installer/${SCHEMATIC}`;
  const cases = [
    [`manifests/${TAG}`, `manifests/${index.descriptor.digest}`],
    ['manifests/latest', `manifests/${index.descriptor.digest}`],
    [`manifests/${ABSENT}`, `manifests/${ABSENT}`],
    ['manifests/sha256-abc.sig', 'manifests/sha256-abc.sig'],
    [`blobs/${ABSENT}`, `blobs/${ABSENT}`],
  ] as const;
  for (const [asked, expected] of cases) {
    const { status, headers, text } = await server.request('GET', `${IMAGE}/${asked}`);
    assert.deepEqual([status, headers.location, text], [307, `${there}/${expected}`, '']);
  }
  assert.equal(
    (await internal('metal-installer').resolve(parseTag(TAG)))?.digest,
    index.descriptor.digest,
    'published before anybody is sent there',
  );
});

test('a plain or local external registry is spoken to without TLS', async (t) => {
  for (const [registry, insecure, scheme] of [
    ['public.example', true, 'http'],
    ['10.0.0.1:5000', false, 'http'],
    ['public.example:5000', false, 'https'],
  ] as const) {
    const { server } = await startFrontend(t, { parts: { external: { registry, path: '', insecure } } });
    const { headers } = await server.request('GET', `${IMAGE}/blobs/${ABSENT}`);
    assert.equal(headers.location, `${scheme}://${registry}/v2/metal-installer/${SCHEMATIC}/blobs/${ABSENT}`);
  }
});

test('a tag that this factory has not signed is built again', async (t) => {
  const frontend = await startFrontend(t);
  const { server, internal, built, lines } = frontend;
  const repository = internal('metal-installer');
  const foreign = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] }));
  const other = await repository.pushManifest(parseTag(TAG), INDEX, foreign);
  const { index } = await sampleIndex();
  const stranger = signingKey(generateSigningKeyPem());
  for (const [i, sign] of [
    async () => {},
    async () => void (await signLegacy(repository, other.digest, stranger)),
  ].entries()) {
    await repository.pushManifest(parseTag(`v1.12.${i}`), INDEX, foreign);
    await sign();
    const answer = await server.request('GET', `${IMAGE}/manifests/v1.12.${i}`);
    assert.notEqual(answer.headers['docker-content-digest'], other.digest);
    assert.equal(built.length, 2 * (i + 1));
  }
  // Its own signature, of another image.
  await signBundle(repository, other.digest, stranger);
  const answer = await server.request('GET', `${IMAGE}/manifests/${TAG}`);
  assert.equal(answer.headers['docker-content-digest'], index.descriptor.digest);
  assert.equal(lines.filter(({ message }) => message.includes('not signed by this factory')).length, 3);
});

test('an image that was published is not built again, by any factory with the key', async (t) => {
  const first = await startFrontend(t);
  await first.server.request('GET', `${IMAGE}/manifests/${TAG}`);
  const second = await startFrontend(t, {
    parts: {
      signer: first.key,
      repository: (path) => first.registry.storage(`${BASE}/${path}`),
    },
  });
  // Published in the background of the first answer.
  await first.server.request('GET', `${IMAGE}/blobs/${ABSENT}`);
  assert.equal((await second.server.request('GET', `${IMAGE}/manifests/${TAG}`)).status, 200);
  assert.deepEqual(second.built, []);
});

test('images are published to a registry that nobody here wrote, and served from there', async (t) => {
  const debian = await startDebianRegistry();
  t.after(() => debian.stop());
  const client = openRegistryClient({ credentials: { env: {} } });
  t.after(() => client.close());
  const repository = (path: string) =>
    client.repository(parseRepositoryName(`${debian.host}/${BASE}/${path}`));
  const { index } = await sampleIndex();
  for (const external of [undefined, { registry: debian.host, path: BASE, insecure: false }]) {
    const { host, server } = await startFrontend(t, {
      parts: { repository, ...(external === undefined ? {} : { external }) },
    });
    const image = `docker://${host}/metal-installer/${SCHEMATIC}:${TAG}`;
    const target = join(await scratch(t), 'copy');
    await skopeo(t, 'copy', '--all', '--src-tls-verify=false', image, `dir:${target}`);
    assert.equal(digestOf(await readFile(join(target, 'manifest.json'))), index.descriptor.digest);
    const referrers = await server.request('GET', `${IMAGE}/referrers/${index.descriptor.digest}`);
    assert.deepEqual(JSON.parse(referrers.text).manifests, []);
  }
  const there = repository(`metal-installer/${SCHEMATIC}`);
  assert.equal((await there.resolve(parseTag(TAG)))?.digest, index.descriptor.digest);
});

test('a publication that fails leaves no tag, is answered with its reason, and is tried again', async (t) => {
  const { server, registry, internal } = await startFrontend(t, { parts: { external: EXTERNAL } });
  registry.fault({
    method: 'PUT',
    path: /sha256-.*\.sig$/,
    times: 9,
    fault: { kind: 'status', status: 503 },
  });
  const failed = await server.request('HEAD', `${IMAGE}/manifests/${TAG}`);
  assert.ok(failed.status >= 500, String(failed.status));
  assert.equal(await internal('metal-installer').resolve(parseTag(TAG)), undefined);
  registry.clearFaults();
  assert.equal((await server.request('HEAD', `${IMAGE}/manifests/${TAG}`)).status, 307);
});

const refused: readonly (readonly [string, number, string, RegExp])[] = [
  [`/v2/installer/${'0'.repeat(64)}/manifests/${TAG}`, 404, 'NAME_UNKNOWN', /^schematic ID "0+" not found$/],
  [`/v2/foo/${'0'.repeat(64)}/manifests/${TAG}`, 404, 'NAME_UNKNOWN', /^schematic ID/],
  [`/v2/foo/${SCHEMATIC}/manifests/${TAG}`, 400, 'NAME_INVALID', /^invalid image: foo$/],
  [`/v2/installer-secureboot/${SCHEMATIC}/manifests/${TAG}`, 400, 'UNSUPPORTED', /^secure boot is disabled$/],
  [`${IMAGE}/manifests/v1.x`, 404, 'MANIFEST_UNKNOWN', /^manifest unknown: "v1.x"$/],
  [`${IMAGE}/manifests/vv1.13.0`, 404, 'MANIFEST_UNKNOWN', /./],
  [`${IMAGE}/manifests/${ABSENT}`, 404, 'MANIFEST_UNKNOWN', /./],
  [`${IMAGE}/manifests/-x`, 404, 'MANIFEST_UNKNOWN', /./],
  [`${IMAGE}/manifests/v9.0.0`, 404, 'MANIFEST_UNKNOWN', /^version 9.0.0 is not available$/],
  [`${IMAGE}/manifests/v9.0.1`, 400, 'UNSUPPORTED', /^no such extension$/],
  [`${IMAGE}/manifests/v9.0.2`, 503, 'TOOMANYREQUESTS', /^too many builds$/],
  [`${IMAGE}/manifests/v9.0.3`, 500, 'UNKNOWN', /^internal server error$/],
  [`${IMAGE}/blobs/${ABSENT}`, 404, 'BLOB_UNKNOWN', /./],
  [`${IMAGE}/blobs/x`, 404, 'BLOB_UNKNOWN', /./],
  [`${IMAGE}/referrers/x`, 404, 'DIGEST_INVALID', /^invalid referrers subject digest: x$/],
  [`${IMAGE}/tags/list`, 404, 'NAME_UNKNOWN', /^unknown registry path: /],
  ['/v2/siderolabs/other/manifests/v1', 404, 'NAME_UNKNOWN', /^unknown image: other$/],
  ['/v2/siderolabs/imager/manifests/v1', 404, 'MANIFEST_UNKNOWN', /./],
  ['/v2/siderolabs/imager/tags/list?n=x', 400, 'UNSUPPORTED', /./],
];

test('errors are those of the specification', async (t) => {
  const failures: Readonly<Record<number, Error>> = {
    0: new FactoryError('not-found', 'VERSION_NOT_AVAILABLE', 'version 9.0.0 is not available'),
    1: new FactoryError('invalid', 'EXTENSION_NOT_AVAILABLE', 'no such extension'),
    2: new FactoryError('unavailable', 'BUILD_QUEUE_FULL', 'too many builds', { retryAfter: 7 }),
    3: new TypeError('secret detail'),
  };
  const { server } = await startFrontend(t, {
    before: async ({ version }) => {
      if (version.major === 9) throw failures[version.patch] ?? assert.fail();
    },
  });
  for (const [path, status, code, message] of refused) {
    const answer = await server.request('GET', path);
    assert.equal(answer.status, status, `${path}: ${answer.text}`);
    assert.equal(answer.headers['content-type'], 'application/json');
    const [error] = JSON.parse(answer.text).errors;
    assert.equal(error.code, code, path);
    assert.match(error.message, message);
    if (status === 503) assert.equal(answer.headers['retry-after'], '7');
  }
  const put = await server.request('PUT', `${IMAGE}/manifests/${TAG}`, {}, '{}');
  assert.deepEqual([put.status, put.headers.allow], [405, 'GET, HEAD, OPTIONS']);
});

test('this is a registry', async (t) => {
  const { server } = await startFrontend(t);
  for (const path of ['/v2', '/v2/']) {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, text } = await server.request(method, path);
      assert.deepEqual([status, headers['docker-distribution-api-version'], text], [200, 'registry/2.0', '']);
    }
  }
});

test('images of the release are passed on, with their tags and referrers', async (t) => {
  const { server, registry, host } = await startFrontend(t, { registry: { pageSize: 2 } });
  const imager = registry.storage('siderolabs/imager');
  const { images } = await sampleIndex();
  const image = images[0] ?? assert.fail();
  const blobs = [
    ...image.layers,
    { descriptor: image.config.descriptor, content: bytesBlob(image.config.bytes) },
  ];
  for (const { descriptor, content } of blobs) await imager.pushBlob(descriptor, content);
  const { mediaType, digest } = image.manifest.descriptor;
  for (const tag of ['v1.1.0', 'v1.2.0', 'v1.3.0']) {
    await imager.pushManifest(parseTag(tag), mediaType, image.manifest.bytes);
  }
  const signer = signingKey(generateSigningKeyPem());
  const signature = await signBundle(imager, digest, signer);
  const raw = await skopeo(
    t,
    'inspect',
    '--raw',
    '--tls-verify=false',
    `docker://${host}/siderolabs/imager:v1.2.0`,
  );
  assert.equal(digestOf(raw), digest);
  const target = join(await scratch(t), 'copy');
  await skopeo(
    t,
    'copy',
    '--src-tls-verify=false',
    `docker://${host}/siderolabs/imager:v1.2.0`,
    `dir:${target}`,
  );

  const tags = await skopeo(t, 'list-tags', '--tls-verify=false', `docker://${host}/siderolabs/imager`);
  assert.deepEqual(JSON.parse(tags.toString()).Tags, ['v1.1.0', 'v1.2.0', 'v1.3.0']);
  const page = await server.request('GET', '/v2/siderolabs/imager/tags/list?n=1&last=v1.1.0');
  assert.deepEqual(JSON.parse(page.text), { name: 'siderolabs/imager', tags: ['v1.2.0'] });
  assert.equal(page.headers.link, '</v2/siderolabs/imager/tags/list?n=1&last=v1.2.0>; rel="next"');

  const referrers = await server.request('GET', `/v2/siderolabs/imager/referrers/${digest}`);
  assert.equal(JSON.parse(referrers.text).manifests[0].digest, signature.digest);
});

test('referrers are listed, filtered, and an empty list is one', async (t) => {
  const { server, internal } = await startFrontend(t);
  await server.request('GET', `${IMAGE}/manifests/${TAG}`);
  await server.request('GET', `${IMAGE}/blobs/${ABSENT}`);
  const { index } = await sampleIndex();
  const { digest } = index.descriptor;
  const path = `${IMAGE}/referrers/${digest}`;
  const empty = await server.request('GET', path);
  assert.equal(empty.text, `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[]}`);
  assert.equal(
    empty.headers['docker-content-digest'],
    'sha256:dff9de10919148711140d349bf03f1a99eb06f94b03e51715ccebfa7cdc518e2',
  );
  await signBundle(internal('metal-installer'), digest, signingKey(generateSigningKeyPem()));
  const all = JSON.parse((await server.request('GET', path)).text).manifests;
  assert.equal(all.length, 1);
  const type = encodeURIComponent(all[0].artifactType);
  const some = await server.request('GET', `${path}?artifactType=${type}`);
  assert.equal(JSON.parse(some.text).manifests.length, 1);
  assert.equal(some.headers['oci-filters-applied'], 'artifactType');
  const none = await server.request('GET', `${path}?artifactType=other`);
  assert.deepEqual(JSON.parse(none.text).manifests, []);
});

test('without a stable version there is no latest', async (t) => {
  const { server } = await startFrontend(t, {
    parts: { versions: async () => [parseTalosVersion('1.14.0-beta.0')] },
  });
  const answer = await server.request('GET', `${IMAGE}/manifests/latest`);
  assert.deepEqual([answer.status, refusals(answer.text)], [404, 'MANIFEST_UNKNOWN']);
});

test('the end of the factory ends what is being built', async (t) => {
  const closing = new AbortController();
  const { server } = await startFrontend(t, {
    parts: { closing: closing.signal },
    before: () => {
      closing.abort();
      return new Promise(() => {});
    },
  });
  const answer = await server.request('GET', `${IMAGE}/manifests/${TAG}`);
  assert.equal(answer.status, 503);
});
