import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAll } from '../blob/consume.ts';
import { digestOf } from '../oci/digest.ts';
import { parseTalosVersion } from '../talos/version.ts';
import {
  type BuiltImage,
  buildIndex,
  buildLayer,
  jsonObject,
  OCI_CONFIG,
  OCI_MANIFEST,
} from '../testing/image-builder.ts';
import { file } from '../testing/tar-archive.ts';
import { imagerImage, startUpstream } from './releases.testing.ts';

const LAYER = buildLayer([file('usr/bin/installer', 'program', 0o755)]);
const OCI = 'application/vnd.oci.image.layer.v1.tar';
const DOCKER = 'application/vnd.docker.image.rootfs.diff.tar';

/** One image with the layer under these media types and the configuration as it is. */
function image(types: readonly string[], config: unknown): BuiltImage {
  const configuration = jsonObject(OCI_CONFIG, config);
  const root = jsonObject(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: configuration.descriptor,
    layers: types.map((mediaType) => ({ ...LAYER.descriptor, mediaType })),
  });
  return { root, manifests: [], blobs: [configuration, LAYER] };
}

const withLayers = (count: number) => ({
  config: { Entrypoint: ['/usr/bin/installer'] },
  rootfs: { type: 'layers', diff_ids: Array.from({ length: count }, () => LAYER.diffId) },
});
const INVALID = 'INSTALLER_BASE_INVALID';

const cases: readonly (readonly [string, readonly string[], unknown, string])[] = [
  ['OCI gzip', [`${OCI}+gzip`], withLayers(1), `${OCI}+gzip`],
  ['OCI zstd', [`${OCI}+zstd`], withLayers(1), `${OCI}+zstd`],
  ['Docker gzip', [`${DOCKER}.gzip`], withLayers(1), `${OCI}+gzip`],
  ['Docker', [DOCKER], withLayers(1), OCI],
  ['foreign layer', [`${DOCKER.replace('diff', 'foreign.diff')}.gzip`], withLayers(1), INVALID],
  ['a name of every object', ['constructor'], withLayers(1), INVALID],
  ['fewer diff IDs', [OCI, OCI], withLayers(1), INVALID],
  ['more diff IDs', [OCI], withLayers(2), INVALID],
  ['no diff IDs', [OCI], {}, INVALID],
  ['malformed diff ID', [OCI], { rootfs: { diff_ids: ['sha256:x'] } }, INVALID],
];

test('base installers are read with the media types of OCI, and strictly', async (t) => {
  const upstream = await startUpstream(t);
  const releases = await upstream.releases();
  await Promise.all(cases.map((_, i) => upstream.publish('imager', `v1.13.${i}`, imagerImage())));
  for (const [i, [name, types, config, expected]] of cases.entries()) {
    await upstream.publish(
      'installer-base',
      `v1.13.${i}`,
      buildIndex([{ arch: 'amd64', image: image(types, config) }]),
    );
    const outcome = await releases.installerBase(parseTalosVersion(`1.13.${i}`), 'amd64').then(
      ({ layers }) => layers[0]?.descriptor.mediaType,
      ({ code }: { code: string }) => code,
    );
    assert.equal(outcome, expected, name);
  }
});

test('a layer is fetched once, and checked', async (t) => {
  const upstream = await startUpstream(t);
  const releases = await upstream.releases();
  const version = parseTalosVersion('1.9.0');
  await upstream.publish('imager', 'v1.9.0', imagerImage());
  const amd64 = image([OCI], withLayers(1));
  const index = buildIndex([
    { arch: 'amd64', image: amd64 },
    { arch: 'arm64', image: amd64 },
  ]);
  await upstream.publish('installer', 'v1.9.0', index);
  const base = await releases.installerBase(version, 'amd64');
  assert.deepEqual(base.config, { Entrypoint: ['/usr/bin/installer'] });
  const [layer] = base.layers;
  assert.ok(layer !== undefined);
  upstream.registry.clearCalls();
  for (let i = 0; i < 2; i++) {
    using held = await releases.installerLayer(layer);
    assert.equal(digestOf(await readAll(held.blob)), LAYER.descriptor.digest);
    assert.ok(held.blob.file !== undefined, 'other threads can read it');
  }
  assert.equal(upstream.registry.calls.length, 1);
  await assert.rejects(releases.installerBase(parseTalosVersion('1.9.1'), 'amd64'), { kind: 'not-found' });
});
