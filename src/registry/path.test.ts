import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInstallerName } from './image-name.ts';
import { parseRegistryPath } from './path.ts';

const ID = 'a'.repeat(64);
const DIGEST = `sha256:${'b'.repeat(64)}`;

const paths: readonly (readonly [string, ReturnType<typeof parseRegistryPath>])[] = [
  ['', { kind: 'ping' }],
  ['/', { kind: 'ping' }],
  [
    `/metal-installer/${ID}/manifests/v1.13.0`,
    {
      kind: 'installer',
      image: 'metal-installer',
      schematicId: ID,
      resource: 'manifests',
      reference: 'v1.13.0',
    },
  ],
  [
    `/installer/${ID}/blobs/${DIGEST}/`,
    { kind: 'installer', image: 'installer', schematicId: ID, resource: 'blobs', reference: DIGEST },
  ],
  [
    `/installer/${ID}/referrers/${DIGEST}`,
    { kind: 'installer', image: 'installer', schematicId: ID, resource: 'referrers', reference: DIGEST },
  ],
  [
    '/siderolabs/talosctl/v.13.5/manifests/latest',
    { kind: 'source', name: 'talosctl/v.13.5', resource: 'manifests', reference: 'latest' },
  ],
  ['/siderolabs/imager/tags/list', { kind: 'source', name: 'imager', resource: 'tags', reference: 'list' }],
];

test('paths of the registry', () => {
  for (const [path, expected] of paths) assert.deepEqual(parseRegistryPath(path), expected, path);
});

test('paths that are none', () => {
  for (const path of [
    '/foo',
    '/foo/bar',
    '/foo/manifests/v1',
    '/a/b/c/manifests/v1',
    '/image/schematic/tags/v1',
    '/image/schematic/tags/list',
    '/siderolabs/manifests/v1',
    '/siderolabs/talosctl/tags/v1',
    '/siderolabs/talosctl/tags/foo',
    '/image/schematic/uploads/x',
    '/image//manifests/v1/x',
  ]) {
    assert.throws(() => parseRegistryPath(path), {
      kind: 'not-found',
      message: `unknown registry path: "${path}"`,
    });
  }
});

const names: readonly (readonly [string, string, boolean])[] = [
  ['installer', 'metal', false],
  ['installer-secureboot', 'metal', true],
  ['metal-installer', 'metal', false],
  ['aws-installer', 'aws', false],
  ['digital-ocean-installer', 'digital-ocean', false],
  ['digital-ocean-installer-secureboot', 'digital-ocean', true],
  ['equinixmetal-installer', 'equinixMetal', false],
  ['packet-installer', 'equinixMetal', false],
];

test('names of installers', () => {
  for (const [image, platform, secureboot] of names) {
    assert.deepEqual(parseInstallerName(image), { platform, secureboot }, image);
  }
});

test('names of nothing', () => {
  for (const image of [
    '',
    'foo',
    '-installer',
    'foo-installer',
    'AWS-installer',
    'metal',
    'installer-',
    'xinstaller',
  ]) {
    assert.throws(() => parseInstallerName(image), { kind: 'invalid', message: `invalid image: ${image}` });
  }
});
