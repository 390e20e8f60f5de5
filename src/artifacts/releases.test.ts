import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Blob, leafExtents } from '../blob/blob.ts';
import { readAll } from '../blob/consume.ts';
import { fileBlob, filePart } from '../blob/file.ts';
import { FactoryError } from '../errors.ts';
import type { Digest } from '../oci/names.ts';
import { generateSigningKeyPem, signingKey } from '../signing/signing-key.ts';
import { imageVerifier } from '../signing/verifier.ts';
import { parseTalosVersion, versionTag } from '../talos/version.ts';
import { type BuiltImage, buildImage, buildIndex, buildLayer } from '../testing/image-builder.ts';
import { RELEASE_COMPONENTS } from '../testing/release-components.ts';
import {
  bootContent,
  efiContent,
  filesOf,
  imageOf,
  imagerImage,
  startUpstream,
  type Upstream,
  verifierOf,
} from './releases.testing.ts';

const v = parseTalosVersion;

async function bytesOf(blob: Blob): Promise<Buffer> {
  return Buffer.from(await readAll(blob));
}

const sha256 = (bytes: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const error = async (work: Promise<unknown>): Promise<FactoryError> => {
  const outcome = await work.then(
    () => assert.fail('accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(outcome instanceof FactoryError, String(outcome));
  return outcome;
};

/** Upstream's fault, said with host and when to try again. */
function assertUpstream(upstream: Upstream, reason: FactoryError, message: RegExp): void {
  assert.match(reason.message, message);
  assert.ok(reason.kind === 'upstream' || reason.kind === 'unavailable', reason.kind);
  assert.ok(reason.message.includes(upstream.registry.host), reason.message);
  assert.ok((reason.retryAfter ?? 0) > 0);
}

const paths = (upstream: Upstream): string[] =>
  upstream.registry.calls.map(({ method, path }) => `${method} ${path}`);

test('boot files of both architectures come from one extraction, which outlives a restart', async (t) => {
  const upstream = await startUpstream(t);
  const digest = await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  assert.deepEqual((await releases.versions()).map(versionTag), ['v1.10.0']);
  assert.equal(await releases.bootDigest(v('1.10.0')), digest);
  {
    using amd64 = await releases.bootFiles(v('1.10.0'), 'amd64');
    using arm64 = await releases.bootFiles(v('v1.10.0'), 'arm64');
    assert.equal(amd64.manifestDigest, digest);
    for (const [blob, content, nature] of [
      [amd64.kernel, bootContent['usr/install/amd64/vmlinuz'], 'packed'],
      [amd64.initramfs, bootContent['usr/install/amd64/initramfs.xz'], 'packed'],
      [amd64.sdBoot!, efiContent['usr/install/amd64/systemd-boot.efi'], 'plain'],
      [arm64.sdStub!, efiContent['usr/install/arm64/systemd-stub.efi'], 'plain'],
      [arm64.kernel, bootContent['usr/install/arm64/vmlinuz'], 'plain'],
    ] as const) {
      assert.deepEqual(await bytesOf(blob), Buffer.from(content));
      assert.equal(blob.key, sha256(content));
      assert.equal(blob.nature, nature);
      assert.deepEqual([...blob.extents()], [...leafExtents(blob)]);
      // Other threads read it from its file.
      const part = filePart(blob);
      const again = fileBlob(part.path, part);
      assert.deepEqual(await bytesOf(again), Buffer.from(content));
    }
  }
  const calls = paths(upstream).filter((call) => call.includes('/blobs/') && call.startsWith('GET'));
  // Config, three layers, and the payload of the signature.
  assert.equal(calls.length, 5, calls.join('\n'));
  await upstream.restart();
  upstream.registry.clearCalls();
  using again = await (await upstream.releases()).bootFiles(v('1.10.0'), 'amd64');
  assert.deepEqual(
    await bytesOf(again.initramfs),
    Buffer.from(bootContent['usr/install/amd64/initramfs.xz']),
  );
  assert.deepEqual(paths(upstream), [
    'GET /v2/siderolabs/imager/tags/list?n=1000',
    'HEAD /v2/siderolabs/imager/manifests/v1.10.0',
  ]);
});

test('only the eight boot files are kept', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  using _ = await releases.bootFiles(v('1.10.0'), 'amd64');
  const sizes = new Map<string, number>();
  for (const item of await readdir(join(upstream.directory, 'entries'), {
    withFileTypes: true,
    recursive: true,
  })) {
    if (item.isFile()) sizes.set(item.name, (await stat(join(item.parentPath, item.name))).size);
  }
  const names = ['content', 'entry.json', 'index.json', 'manifest', 'media-type', 'method', 'natures.json'];
  assert.deepEqual([...sizes.keys()].sort(), names);
  const kept = Object.values({ ...bootContent, ...efiContent }).reduce((sum, bytes) => sum + bytes.length, 0);
  assert.equal(sizes.get('content'), kept);
});

test('releases before 1.5 need no systemd-boot, later ones do', async (t) => {
  const upstream = await startUpstream(t);
  for (const tag of ['v1.4.0', 'v1.5.0-alpha.0']) await upstream.publish('imager', tag, imageOf(bootContent));
  const releases = await upstream.releases();
  using old = await releases.bootFiles(v('1.4.0'), 'arm64');
  assert.ok(!('sdBoot' in old) && !('sdStub' in old));
  const reason = await error(releases.bootFiles(v('1.5.0-alpha.0'), 'arm64'));
  assert.match(
    reason.message,
    /^failed to find artifact: usr\/install\/arm64\/systemd-boot.efi in image sha256:/,
  );
  assert.equal(reason.kind, 'upstream');
});

test('a later layer may take a boot file away', async (t) => {
  const upstream = await startUpstream(t);
  const layers = [
    buildLayer(filesOf(bootContent)),
    buildLayer(filesOf({ 'usr/install/amd64/.wh.vmlinuz': '' })),
  ];
  await upstream.publish('imager', 'v1.4.0', buildImage('amd64', layers));
  const releases = await upstream.releases();
  assert.match(
    (await error(releases.bootFiles(v('1.4.0'), 'amd64'))).message,
    /failed to find artifact: .*vmlinuz/,
  );
  using _ = await releases.bootFiles(v('1.4.0'), 'arm64');
});

test('a version that is not listed is not available for anything', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.11.0', imagerImage());
  const releases = await upstream.releases();
  const version = v('1.12.0-beta.1');
  for (const work of [
    () => releases.requireVersion(version),
    () => releases.extensions(version),
    () => releases.selectExtension(version, 'x'),
    () => releases.overlays(version),
    () => releases.bootDigest(version),
    () => releases.bootFiles(version, 'amd64'),
    () => releases.talosctl(version),
    () => releases.talosctlFile(version, 'talosctl-linux-amd64'),
  ]) {
    const reason = await error(work());
    assert.equal(reason.kind, 'not-found');
    assert.equal(reason.message, 'version 1.12.0-beta.1 is not available');
  }
});

test('tags of signatures and of referrers do not disturb the versions', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage(), 'legacy');
  await upstream.publish('imager', 'latest', imagerImage(), 'bundle');
  const releases = await upstream.releases({ versions: { minimum: v('1.2.0'), broken: [v('1.9.0')] } });
  assert.deepEqual((await releases.versions()).map(versionTag), ['v1.10.0']);
  assert.deepEqual(releases.brokenVersions().map(versionTag), ['v1.9.0']);
});

test('an image is refused unless it is signed with the configured key', async (t) => {
  const upstream = await startUpstream(t);
  const digest = await upstream.publish('imager', 'v1.10.0', imagerImage(), 'unsigned');
  const releases = await upstream.releases();
  const unsigned = await error(releases.bootFiles(v('1.10.0'), 'amd64'));
  assertUpstream(upstream, unsigned, /no valid bundles exist in registry\nno signatures found$/);
  assert.ok(
    unsigned.message.includes(
      `failed to verify image signature for ${upstream.registry.host}/siderolabs/imager@${digest}: `,
    ),
  );
  // Nothing of it was fetched.
  assert.deepEqual(
    paths(upstream).filter((call) => call.includes('/blobs/')),
    [],
  );
  // Errors are not kept: it heals when the signature is there.
  await upstream.publish('imager', 'v1.10.0', imagerImage(), 'bundle');
  using _ = await releases.bootFiles(v('1.10.0'), 'amd64');
  const stranger = await upstream.releases({ verifier: verifierOf(signingKey(generateSigningKeyPem())) });
  const foreign = await error(stranger.bootFiles(v('1.10.0'), 'amd64'));
  assertUpstream(upstream, foreign, /bundle was not signed with the configured key/);
});

test('what was taken without verification is not trusted when verification is on', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage(), 'unsigned');
  const trusting = await upstream.releases({ verifier: imageVerifier({ type: 'disabled' }) });
  (await trusting.bootFiles(v('1.10.0'), 'amd64'))[Symbol.dispose]();
  await upstream.restart();
  const reason = await error((await upstream.releases()).bootFiles(v('1.10.0'), 'amd64'));
  assert.equal(reason.code, 'SIGNATURE_MISSING');
});

test('an image is verified once, also across restarts', async (t) => {
  const upstream = await startUpstream(t);
  const catalog = imageOf({ 'image-digests': `ghcr.io/siderolabs/a:1@${'sha256:'.padEnd(71, '0')}` });
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  await upstream.publish('extensions', 'v1.10.0', catalog, 'bundle');
  await (await upstream.releases()).extensions(v('1.10.0'));
  const signatures = (): string[] => paths(upstream).filter((call) => /referrers|\.sig/.test(call));
  assert.deepEqual(signatures().length > 0, true);
  await upstream.restart();
  upstream.registry.clearCalls();
  assert.equal((await (await upstream.releases()).extensions(v('1.10.0'))).length, 1);
  assert.deepEqual(signatures(), []);
});

function extensionIndex(arches: readonly ('amd64' | 'arm64')[]): BuiltImage {
  return buildIndex(
    arches.map((arch) => ({
      arch,
      image: buildImage(arch, [buildLayer(filesOf({ 'manifest.yaml': arch }))]),
    })),
  );
}

async function publishCatalog(upstream: Upstream, lines: readonly string[], tag = 'v1.10.0'): Promise<void> {
  await upstream.publish('extensions', tag, imageOf({ 'image-digests': lines.join('\n') }));
}

test('an extension is pulled by its digest for each architecture', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const both = await upstream.publish('gvisor', '1', extensionIndex(['amd64', 'arm64']));
  const one = await upstream.publish('intel', '1', extensionIndex(['amd64']));
  const single = await upstream.publish('single', '1', imageOf({ 'manifest.yaml': 'any' }));
  await publishCatalog(upstream, [
    `ghcr.io/siderolabs/gvisor:1@${both}`,
    `ghcr.io/siderolabs/intel:1@${one}`,
    `ghcr.io/siderolabs/single:1@${single}`,
  ]);
  const releases = await upstream.releases();
  const [gvisor, intel, plain] = await releases.extensions(v('1.10.0'));
  for (const arch of ['amd64', 'arm64'] as const) {
    using tree = await releases.extensionImage(gvisor!, arch);
    const entry = tree.get('manifest.yaml');
    assert.ok(entry?.type === 'file');
    assert.equal(String(await bytesOf(entry.content)), arch);
    assert.ok((await readdir(tree.directory)).includes('index.json'));
    assert.notEqual(tree.digest, both);
  }
  // A single manifest is taken as it is.
  using any = await releases.extensionImage(plain!, 'arm64');
  assert.equal(any.digest, single);
  const reason = await error(releases.extensionImage(intel!, 'arm64'));
  assert.equal(reason.kind, 'invalid');
  assert.equal(reason.message, 'extension "siderolabs/intel" is not available for arm64');
  const unknown = await error(releases.selectExtension(v('1.10.0'), 'siderolabs/gvisr'));
  assert.equal(
    unknown.message,
    'official extension "siderolabs/gvisr" is not available for Talos version v1.10.0; did you mean "siderolabs/gvisor"?',
  );
});

test('a catalog that is pushed again is noticed after the interval', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const line = (name: string): string => `ghcr.io/siderolabs/${name}:1@${sha256(name)}`;
  await publishCatalog(upstream, [line('a')]);
  const releases = await upstream.releases();
  const names = async (): Promise<string> =>
    (await releases.extensions(v('1.10.0'))).map(({ name }) => name).join(' ');
  assert.equal(await names(), 'siderolabs/a');
  upstream.registry.clearCalls();
  assert.equal(await names(), 'siderolabs/a');
  assert.deepEqual(paths(upstream), []);
  // The same digest: looked at, and nothing more.
  upstream.now += 3 * 900_000;
  assert.equal(await names(), 'siderolabs/a');
  assert.deepEqual(paths(upstream), [
    'GET /v2/siderolabs/imager/tags/list?n=1000',
    'HEAD /v2/siderolabs/extensions/manifests/v1.10.0',
  ]);
  await publishCatalog(upstream, [line('a'), line('b')]);
  assert.equal(await names(), 'siderolabs/a');
  upstream.now += 3 * 900_000;
  assert.equal(await names(), 'siderolabs/a siderolabs/b');
});

test('a mirror is asked below its namespace, and references do not show it', async (t) => {
  const upstream = await startUpstream(t);
  const { registry } = upstream;
  await upstream.publish('mirror/siderolabs/imager', 'v1.10.0', imagerImage());
  const core = {
    registry: registry.host,
    namespace: 'siderolabs/mirror/',
    insecure: true,
    components: RELEASE_COMPONENTS,
  };
  const extension = await upstream.publish('mirror/siderolabs/a', '1', imageOf({ 'manifest.yaml': 'a' }));
  const lines = `ghcr.io/siderolabs/a:1@${extension}`;
  await upstream.publish('mirror/siderolabs/extensions', 'v1.10.0', imageOf({ 'image-digests': lines }));
  const releases = await upstream.releases({ core });
  const [record] = await releases.extensions(v('1.10.0'));
  assert.equal(record?.ref, `${registry.host}/siderolabs/a:1`);
  assert.equal(record?.repository, `${registry.host}/siderolabs/mirror/siderolabs/a`);
  using tree = await releases.extensionImage(record!, 'amd64');
  assert.equal(tree.digest, extension);
});

test('extra extensions come first, and may be missing', async (t) => {
  const upstream = await startUpstream(t);
  for (const tag of ['v1.9.0', 'v1.10.0']) {
    await upstream.publish('imager', tag, imagerImage());
    await publishCatalog(upstream, [`ghcr.io/x/a:1@${sha256('a')}`, `ghcr.io/x/b:1@${sha256('b')}`], tag);
  }
  const extra = imageOf({ 'image-digests': `example.com/x/b:2@${sha256('c')}` });
  await upstream.publish('extra/catalog', 'v1.10.0', extra);
  const { host: registry } = upstream.registry;
  const releases = await upstream.releases({
    extraExtensions: { registry, namespace: 'siderolabs/extra', repository: 'catalog', insecure: true },
  });
  const refs = async (version: string): Promise<string[]> =>
    (await releases.extensions(v(version))).map(({ ref }) => ref.replace(registry, 'R'));
  assert.deepEqual(await refs('1.10.0'), ['R/x/b:2', 'R/x/a:1']);
  assert.deepEqual(await refs('1.9.0'), ['R/x/a:1', 'R/x/b:1']);
  assert.deepEqual(upstream.warnings, ['no extra extensions for this Talos version']);
});

test('overlays, from 1.7 on', async (t) => {
  const upstream = await startUpstream(t);
  for (const tag of ['v1.6.0', 'v1.7.0']) await upstream.publish('imager', tag, imagerImage());
  const image = imageOf({ 'installers/rpi_generic': 'program', 'profiles/rpi_generic.yaml': 'arch: arm64' });
  const digest = await upstream.publish('sbc-raspberrypi', 'v0.1.0', image);
  const names =
    'rpi_generic rockpi4 rockpi4c rock4cplus nanopi-r4s rock64 orangepi-r1-plus-lts jetson_nano bananapi_m64 libretech_all_h3_cc_h5 pine64'.split(
      ' ',
    );
  const yaml = `overlays:\n${names.map((name) => `  - {name: ${name}, image: ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0, digest: "${digest}"}\n`).join('')}`;
  await upstream.publish('overlays', 'v1.7.0', imageOf({ 'overlays.yaml': yaml }));
  const releases = await upstream.releases();
  assert.deepEqual(await releases.overlays(v('1.6.9')), []);
  assert.deepEqual(
    paths(upstream).filter((call) => call.includes('tags/list')),
    [],
  );
  const overlays = await releases.overlays(v('1.7.0'));
  assert.deepEqual(
    overlays.map(({ name }) => name),
    names,
  );
  assert.equal(overlays[0]?.ref, 'ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0');
  using tree = await releases.overlayImage(await releases.selectOverlay(v('1.7.0'), 'rpi_generic'), 'arm64');
  assert.ok(tree.get('installers/rpi_generic')?.type === 'file');
  assert.match(
    (await error(releases.selectOverlay(v('1.7.0'), 'rpi5'))).message,
    /^official overlay "rpi5" is not available for Talos version v1.7.0/,
  );
});

test('talosctl, from 1.11 on', async (t) => {
  const upstream = await startUpstream(t);
  for (const tag of ['v1.10.0', 'v1.11.0-alpha.0', 'v1.11.0'])
    await upstream.publish('imager', tag, imagerImage());
  const program = Buffer.alloc(5000, 'talosctl');
  await upstream.publish(
    'talosctl-all',
    'v1.11.0',
    imageOf({ 'talosctl-windows-amd64.exe': 'exe', 'talosctl-linux-amd64': program, LICENSE: 'text' }),
  );
  const releases = await upstream.releases();
  assert.deepEqual(await releases.talosctl(v('1.11.0')), [
    'talosctl-linux-amd64',
    'talosctl-windows-amd64.exe',
  ]);
  assert.deepEqual(await releases.talosctl(v('1.10.0')), []);
  {
    using linux = await releases.talosctlFile(v('1.11.0'), 'talosctl-linux-amd64');
    assert.deepEqual(await bytesOf(linux.blob), program);
    assert.match(linux.etag, /^[A-Za-z0-9._:+/=-]+$/);
  }
  for (const [version, name, message] of [
    ['1.10.0', 'talosctl-linux-amd64', 'version 1.10.0 is not available'],
    ['1.11.0-alpha.0', 'talosctl-linux-amd64', 'version 1.11.0-alpha.0 is not available'],
    ['1.11.0', 'LICENSE', '"LICENSE" is not among the talosctl files of version 1.11.0'],
    ['1.11.0', '..', '".." is not among the talosctl files of version 1.11.0'],
    ['1.11.0', '../index.json', '"../index.json" is not among the talosctl files of version 1.11.0'],
  ] as const) {
    const reason = await error(releases.talosctlFile(v(version), name));
    assert.deepEqual([reason.kind, reason.message], ['not-found', message]);
  }
  assert.equal((await error(releases.talosctl(v('1.11.0-alpha.0')))).kind, 'not-found');
});

test('a half published release is upstream trouble and heals', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  const missing = await error(releases.extensions(v('1.10.0')));
  assertUpstream(upstream, missing, /image .*\/siderolabs\/extensions:v1.10.0 is not in the registry$/);
  await publishCatalog(upstream, [`ghcr.io/siderolabs/a:1@${sha256('a')}`]);
  const [record] = await releases.extensions(v('1.10.0'));
  const absent = await error(releases.extensionImage(record!, 'amd64'));
  assertUpstream(
    upstream,
    absent,
    /^failed to get extension siderolabs\/a: image .*@sha256:[0-9a-f]{64} is not in the registry$/,
  );
});

test('catalogs without their file', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const image = imageOf({ 'etc/image-digests': 'x', 'overlays.yml': 'x' });
  for (const name of ['extensions', 'overlays']) await upstream.publish(name, 'v1.10.0', image);
  const releases = await upstream.releases();
  assertUpstream(
    upstream,
    await error(releases.extensions(v('1.10.0'))),
    /: failed to find image-digests file$/,
  );
  assertUpstream(
    upstream,
    await error(releases.overlays(v('1.10.0'))),
    /: failed to find overlays.yaml file$/,
  );
});

test('wrong and truncated layers are refused, leave nothing, and are fetched again', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  for (const fault of [{ kind: 'corrupt' }, { kind: 'truncate', after: 1000 }] as const) {
    upstream.registry.fault({ path: /imager\/blobs/, times: Infinity, skip: 2, fault });
    assertUpstream(upstream, await error(releases.bootFiles(v('1.10.0'), 'amd64')), /^failed to get /);
    upstream.registry.clearFaults();
    assert.deepEqual(await readdir(join(upstream.directory, 'work')), []);
  }
  using files = await releases.bootFiles(v('1.10.0'), 'amd64');
  assert.equal(files.kernel.size, 300_000);
});

test('a manifest that is not what its digest says is refused', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  upstream.registry.fault({
    method: 'GET',
    path: /manifests\/sha256:/,
    times: Infinity,
    fault: { kind: 'corrupt', at: 5 },
  });
  const releases = await upstream.releases();
  assertUpstream(upstream, await error(releases.bootDigest(v('1.10.0'))), /digest/);
});

test('a decompression bomb is refused', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const bomb = buildLayer(filesOf({ zeros: new Uint8Array(80 << 20) }), 1);
  await upstream.publish('extensions', 'v1.10.0', buildImage('amd64', [bomb]));
  const reason = await error((await upstream.releases()).extensions(v('1.10.0')));
  assertUpstream(upstream, reason, /the image has more bytes \(67108864\) than are taken/);
  assert.ok(bomb.bytes.length < 2 << 20);
});

test('the list of versions survives a registry that fails, hangs up or says nonsense', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  const listed = async (): Promise<string[]> => (await releases.versions()).map(versionTag);
  const path = 'tags/list';
  const faults = [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 404 },
    { kind: 'status', status: 401 },
    { kind: 'reset' },
    { kind: 'truncate', after: 3 },
    { kind: 'corrupt', at: 0 },
  ] as const;
  for (const fault of faults) {
    upstream.registry.fault({ path, times: Infinity, fault });
    const reason = await error((await upstream.releases()).versions());
    assert.ok(reason.kind === 'upstream' || reason.kind === 'unavailable', `${fault.kind}: ${reason.kind}`);
    upstream.registry.clearFaults();
  }
  assert.deepEqual(await listed(), ['v1.10.0']);
  for (const fault of faults) {
    upstream.now += 86_400_000;
    upstream.registry.fault({ path, times: Infinity, fault });
    assert.deepEqual(await listed(), ['v1.10.0'], fault.kind);
    upstream.registry.clearFaults();
  }
  assert.equal(upstream.warnings.length, faults.length);
});

test('a registry that is down is named, with a time to try again', async (t) => {
  const upstream = await startUpstream(t);
  const releases = await upstream.releases();
  await upstream.registry.close();
  const reason = await error(releases.versions());
  assert.equal(reason.kind, 'unavailable');
  assertUpstream(upstream, reason, /cannot be reached/);
});

test('boot files that are held can be used while the registry is down', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  (await releases.bootFiles(v('1.10.0'), 'amd64'))[Symbol.dispose]();
  await upstream.registry.close();
  upstream.now += 86_400_000;
  using files = await releases.bootFiles(v('1.10.0'), 'amd64');
  assert.equal(files.kernel.size, 300_000);
});

test('a caller that leaves does not stop the fetching', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  await releases.versions();
  upstream.registry.fault({ path: '/blobs/', fault: { kind: 'delay', milliseconds: 50 } });
  const leaver = new AbortController();
  const left = releases.bootFiles(v('1.10.0'), 'amd64', leaver.signal);
  const stayed = releases.bootFiles(v('1.10.0'), 'arm64');
  setImmediate(() => leaver.abort());
  await assert.rejects(left, { name: 'AbortError' });
  using files = await stayed;
  assert.equal(files.kernel.nature, 'plain');
});

test('a repository name that leads elsewhere is refused', async (t) => {
  const upstream = await startUpstream(t);
  await upstream.publish('imager', 'v1.10.0', imagerImage());
  const releases = await upstream.releases();
  const repository = `${upstream.registry.host}/../../etc`;
  const image = { name: 'x', repository, digest: sha256('x') as Digest };
  await assert.rejects(releases.extensionImage(image, 'amd64'), { code: 'OCI_NAME_INVALID' });
});
