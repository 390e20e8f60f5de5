import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExtensionRecord } from '../artifacts/catalogs.ts';
import { FactoryError } from '../errors.ts';
import { recipeKey } from '../imager/recipe.ts';
import { parseDigest, parseRepositoryName } from '../oci/names.ts';
import { canonicalize } from '../schematics/canonicalize.ts';
import { decodeSchematic } from '../schematics/decode.ts';
import { formatVersion, parseTalosVersion } from '../talos/version.ts';
import { parseAssetPath } from './request.ts';
import { type Catalogs, Resolver } from './resolve.ts';

const BOOT = parseDigest(`sha256:${'b'.repeat(64)}`);
const TOOLS = 'tools';

function record(name: string, digit: string, registry = 'registry.example'): ExtensionRecord {
  return {
    name,
    ref: `${registry}/${name}:1`,
    repository: parseRepositoryName(`${registry}/${name}`),
    digest: parseDigest(`sha256:${digit.repeat(64)}`),
    author: '',
    description: '',
  };
}

function catalogs(registry?: string): Catalogs {
  const records = [record('siderolabs/gvisor', 'a', registry), record('siderolabs/drbd', 'd', registry)];
  return {
    requireVersion: async (version) => {
      if (version.minor > 20) {
        throw new FactoryError('not-found', 'X', `version ${formatVersion(version)} is not available`);
      }
    },
    bootDigest: async () => BOOT,
    selectExtension: async (version, name) => {
      const found = records.find((one) => one.name === name);
      if (found !== undefined) return found;
      const what = `official extension ${JSON.stringify(name)}`;
      throw new FactoryError(
        'invalid',
        'X',
        `${what} is not available for Talos version v${formatVersion(version)}`,
      );
    },
  };
}

const resolver = new Resolver(catalogs(), 'https://factory.example/');

function resolve(path: string, version: string, yaml = '{}', by = resolver) {
  const { id, canonical, schematic } = canonicalize(decodeSchematic(Buffer.from(yaml)));
  return by.resolve({
    request: parseAssetPath(path),
    version: parseTalosVersion(version),
    schematicId: id,
    canonical,
    schematic,
  });
}

const ENHANCING = 'error enhancing profile from schematic: ';
const OVERLAY = 'overlay: {name: rpi_generic, image: siderolabs/sbc-raspberrypi}';
const CONFIG = 'customization: {embeddedMachineConfiguration: "x: 1"}';
const UNKNOWN = 'customization: {systemExtensions: {officialExtensions: [siderolabs/foo]}}';

const refused: readonly (readonly [string, string, string, string, string])[] = [
  [
    'metal-amd64.iso',
    'v1.6.0',
    OVERLAY,
    'invalid',
    `${ENHANCING}overlay is not supported for Talos version v1.6.0`,
  ],
  [
    'kernel-arm64',
    'v1.6.0',
    OVERLAY,
    'invalid',
    `${ENHANCING}overlay is not supported for Talos version v1.6.0`,
  ],
  [
    'metal-amd64.iso',
    'v1.11.0',
    CONFIG,
    'invalid',
    `${ENHANCING}embedding configuration is not supported for Talos version v1.11.0`,
  ],
  ['metal-amd64-secureboot.iso', 'v1.11.0', '{}', 'invalid', `${ENHANCING}secure boot is disabled`],
  ['cmdline-metal-amd64-secureboot', 'v1.11.0', '{}', 'invalid', `${ENHANCING}secure boot is disabled`],
  [
    'metal-amd64-uki.efi',
    'v1.4.0',
    '{}',
    'invalid',
    `${ENHANCING}UKI output is not supported in this Talos version`,
  ],
  [
    'metal-amd64.iso',
    'v1.7.0',
    UNKNOWN,
    'invalid',
    `${ENHANCING}official extension "siderolabs/foo" is not available for Talos version v1.7.0`,
  ],
  ['kernel-amd64', 'v1.99.0', '{}', 'not-found', 'failed to get kernel: version 1.99.0 is not available'],
];

test('what cannot be made says why', async () => {
  for (const [path, version, yaml, kind, message] of refused) {
    await assert.rejects(resolve(path, version, yaml), { kind, message }, `${path} ${version}`);
  }
});

test('what is not made yet says so, before any registry is asked', async () => {
  for (const path of ['metal-amd64.raw.zst', 'installer-amd64.tar', 'aws-installer-arm64.tar']) {
    await assert.rejects(resolve(path, 'v1.99.0'), { kind: 'not-implemented' }, path);
  }
  await assert.rejects(resolve('metal-arm64.iso', 'v1.9.0', OVERLAY), { kind: 'not-implemented' });
});

test('kernels and command lines leave extensions and machine configuration alone', async () => {
  for (const path of ['kernel-amd64', 'cmdline-metal-amd64']) {
    await resolve(path, 'v1.11.0', CONFIG);
    await resolve(path, 'v1.7.0', UNKNOWN);
  }
});

const BOTH = 'customization: {systemExtensions: {officialExtensions: [siderolabs/gvisor, siderolabs/drbd]}}';

test('extensions come in the order of the schematic, the virtual ones last', async () => {
  const yaml = `${BOTH.slice(0, -1)}, embeddedMachineConfiguration: "x: 1"}`;
  const recipe = await resolve('metal-amd64.iso', 'v1.12.0', yaml);
  assert.ok(recipe.kind === 'iso');
  assert.deepEqual(
    recipe.extensions.map((one) => (one.type === 'official' ? one.name : one.type)),
    ['siderolabs/gvisor', 'siderolabs/drbd', 'schematic', 'embedded-config'],
  );
  const virtual = recipe.extensions.find((one) => one.type === 'schematic');
  assert.equal(virtual?.author, 'Image Factory (https://factory.example/)');
  assert.match(virtual?.extraInfo ?? '', /^customization:\n/);
});

test('the schematic itself is in images from Talos 1.7', async () => {
  for (const [version, expected] of [
    ['v1.6.9', ''],
    ['v1.7.0-alpha.0', 'customization: {}\n'],
  ] as const) {
    const recipe = await resolve('initramfs-amd64.xz', version);
    assert.ok(recipe.kind === 'initramfs' && recipe.extensions[0]?.type === 'schematic');
    assert.equal(recipe.extensions[0].extraInfo, expected);
  }
});

const key = async (...args: Parameters<typeof resolve>): Promise<string> =>
  recipeKey(await resolve(...args), TOOLS);

test('keys change with everything that changes the bytes', async () => {
  const args = (list: string): string => `customization: {extraKernelArgs: [${list}]}`;
  const keys = await Promise.all([
    key('kernel-amd64', 'v1.13.0'),
    key('kernel-arm64', 'v1.13.0'),
    key('initramfs-amd64.xz', 'v1.13.0'),
    key('initramfs-amd64.xz', 'v1.12.0'),
    key('initramfs-amd64.xz', 'v1.13.0', BOTH),
    key('initramfs-amd64.xz', 'v1.13.0', args('a')),
    key('metal-amd64.iso', 'v1.13.0'),
    key('aws-amd64.iso', 'v1.13.0'),
    key('metal-amd64.iso', 'v1.13.0', args('a, b')),
    key('metal-amd64.iso', 'v1.13.0', args('b, a')),
    key('metal-amd64.iso', 'v1.13.0', 'customization: {bootloader: grub}'),
    key('metal-amd64.iso', 'v1.13.0', 'customization: {meta: [{key: 12, value: x}]}'),
    key('metal-amd64-uki.efi', 'v1.13.0'),
    key('cmdline-metal-amd64', 'v1.13.0'),
    key('cmdline-aws-amd64', 'v1.13.0'),
    resolve('metal-amd64.iso', 'v1.13.0').then((recipe) => recipeKey(recipe, 'other tools')),
  ]);
  assert.equal(new Set(keys).size, keys.length);
  for (const one of keys) assert.match(one, /^[0-9a-f]{64}$/);
});

test('keys do not change with what does not change the bytes', async () => {
  const elsewhere = new Resolver(catalogs('mirror.example'), 'https://factory.example/');
  const pairs: readonly (readonly [Promise<string>, Promise<string>])[] = [
    [key('kernel-amd64', 'v1.13.0'), key('kernel-x86_64', '1.13.0', BOTH)],
    [key('cmdline-metal-amd64', '1.13.0'), key('cmdline-metal-i386', 'v1.13.0', BOTH)],
    [key('metal-amd64.iso', 'v1.13.0', BOTH), key('metal-x86_64.iso', '1.13.0', BOTH, elsewhere)],
  ];
  for (const [one, other] of pairs) assert.equal(await one, await other);
});
