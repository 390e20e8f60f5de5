import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExtensionRecord, OverlayRecord } from '../artifacts/catalogs.ts';
import { FactoryError } from '../errors.ts';
import { recipeKey } from '../imager/recipe.ts';
import { parseDigest, parseRepositoryName } from '../oci/names.ts';
import { canonicalize } from '../schematics/canonicalize.ts';
import { decodeSchematic } from '../schematics/decode.ts';
import { formatVersion, parseTalosVersion } from '../talos/version.ts';
import { parseAssetPath } from './request.ts';
import { type Catalogs, type OverlayDescriber, Resolver } from './resolve.ts';

const BASE = parseDigest(`sha256:${'c'.repeat(64)}`);
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
    installerBase: async () => ({ digest: BASE }),
    selectOverlay: async (version, name): Promise<OverlayRecord> => {
      if (name === 'rpi_generic') {
        const { ref, repository, digest } = record('siderolabs/sbc-raspberrypi', 'e', registry);
        return { name, image: 'siderolabs/sbc-raspberrypi', ref, repository, digest };
      }
      const what = `official overlay ${JSON.stringify(name)}`;
      throw new FactoryError(
        'invalid',
        'X',
        `${what} is not available for Talos version v${formatVersion(version)}`,
      );
    },
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

/** Wants GRUB, a console of its own and room before the partition table. */
const board: OverlayDescriber = {
  describe: async () => ({
    profile: {
      extraKernelArgs: ['from.profile'],
      image: { bootloader: 'grub', sectorSize: undefined, enrollKeys: undefined },
      iso: { bootloader: undefined, enrollKeys: undefined },
    },
    kernelArgs: ['console=tty0', 'console=ttyS2,1500000n8'],
    partitionOffset: 20480,
  }),
};
const resolver = new Resolver(catalogs(), board, 'https://factory.example/');

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

const NO_OVERLAY = 'overlay: {name: nosuch, image: x}';
const custom = (text: string): string => `customization: {${text}}`;

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
  [
    'cmdline-metal-arm64',
    'v1.7.0',
    NO_OVERLAY,
    'invalid',
    `${ENHANCING}official overlay "nosuch" is not available for Talos version v1.7.0`,
  ],
  [
    'initramfs-arm64.xz',
    'v1.7.0',
    NO_OVERLAY,
    'invalid',
    `${ENHANCING}official overlay "nosuch" is not available for Talos version v1.7.0`,
  ],
  [
    'metal-amd64.raw.zst',
    'v1.13.0',
    custom('diskImage: {sectorSize: 1000}'),
    'invalid',
    `${ENHANCING}customization.diskImage.sectorSize must be 512 or 4096, not 1000`,
  ],
  [
    'metal-arm64.raw',
    'v1.13.0',
    custom('bootloader: dual-boot'),
    'invalid',
    `${ENHANCING}customization.bootloader: dual-boot bootloader is not supported on arm64 architecture, either GRUB or sd-boot must be used`,
  ],
  [
    'metal-amd64.raw',
    'v1.4.0',
    custom('bootloader: sd-boot'),
    'invalid',
    `${ENHANCING}customization.bootloader: sd-boot is not supported for Talos version v1.4.0, use grub`,
  ],
  ['kernel-amd64', 'v1.99.0', '{}', 'not-found', 'failed to get kernel: version 1.99.0 is not available'],
];

test('what cannot be made says why', async () => {
  for (const [path, version, yaml, kind, message] of refused) {
    await assert.rejects(resolve(path, version, yaml), { kind, message }, `${path} ${version}`);
  }
});

test('installers have a command line of their own from 1.10, and META nowhere', async () => {
  const meta = 'customization: {meta: [{key: 12, value: x}], extraKernelArgs: [mine]}';
  const old = await resolve('installer-amd64.tar', 'v1.9.5', meta);
  assert.ok(old.kind === 'installer');
  assert.equal(old.commandLine, undefined);
  const recipe = await resolve('aws-installer-arm64.tar', 'v1.13.0', meta);
  assert.ok(recipe.kind === 'installer');
  assert.deepEqual([recipe.base, recipe.boot, recipe.arch], [BASE, BOOT, 'arm64']);
  assert.match(recipe.commandLine ?? '', /^talos.platform=aws .* mine$/);
  assert.doesNotMatch(recipe.commandLine ?? '', /talos.environment/);
  const board = await resolve('installer-arm64.tar', 'v1.13.0', OVERLAY);
  assert.ok(board.kind === 'installer');
  assert.equal(board.overlay?.name, 'rpi_generic');
  assert.notEqual(recipeKey(board, TOOLS), recipeKey({ ...board, base: BOOT }, TOOLS));
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
  const elsewhere = new Resolver(catalogs('mirror.example'), board, 'https://factory.example/');
  const pairs: readonly (readonly [Promise<string>, Promise<string>])[] = [
    [key('kernel-amd64', 'v1.13.0'), key('kernel-x86_64', '1.13.0', BOTH)],
    [key('cmdline-metal-amd64', '1.13.0'), key('cmdline-metal-i386', 'v1.13.0', BOTH)],
    [key('metal-amd64.iso', 'v1.13.0', BOTH), key('metal-x86_64.iso', '1.13.0', BOTH, elsewhere)],
  ];
  for (const [one, other] of pairs) assert.equal(await one, await other);
});

const MIB = 1 << 20;

/** Path, version, customization; bootloader, MiB of the disk, sector size (`spec/profile.md` §4.2). */
const disks: readonly (readonly [string, string, string, string, number, number])[] = [
  ['metal-amd64.raw.zst', 'v1.9.5', '', 'grub', 1246, 512],
  ['metal-arm64.raw.xz', 'v1.9.5', '', 'grub', 1246, 512],
  ['metal-amd64.raw', 'v1.10.0', '', 'dual-boot', 2247, 512],
  ['metal-arm64.raw', 'v1.10.0', '', 'sd-boot', 1246, 512],
  ['metal-amd64.qcow2', 'v1.13.0', '', 'dual-boot', 4247, 512],
  ['metal-amd64.qcow2', 'v1.13.0', 'bootloader: sd-boot', 'sd-boot', 2246, 512],
  ['aws-amd64.raw.xz', 'v1.13.0', '', 'dual-boot', 11193, 512],
  ['exoscale-amd64.qcow2', 'v1.13.0', 'bootloader: grub', 'grub', 11240, 512],
  ['metal-amd64.raw', 'v1.13.0', 'diskImage: {sectorSize: 4096}', 'dual-boot', 4247, 4096],
];

test('disks have the bootloader and size of platform, version and architecture', async () => {
  for (const [path, version, text, bootloader, size, sectorSize] of disks) {
    const recipe = await resolve(path, version, custom(text));
    assert.ok(recipe.kind === 'image');
    const { diskSize } = recipe;
    assert.deepEqual(
      [recipe.bootloader, diskSize / MIB, recipe.sectorSize],
      [bootloader, size, sectorSize],
      path,
    );
  }
});

test('an overlay decides what its profile and installer say, the schematic the rest', async () => {
  const args = `${OVERLAY}\ncustomization: {extraKernelArgs: [mine]}`;
  const image = await resolve('metal-arm64.raw', 'v1.13.0', args);
  assert.ok(image.kind === 'image');
  assert.equal(image.bootloader, 'grub');
  assert.equal(image.overlay?.partitionOffset, 20480);
  const line =
    /^talos.platform=metal console=tty0 console=ttyS2,1500000n8 init_on_alloc=1 .* from.profile mine$/;
  assert.match(image.commandLine, line);
  for (const path of ['metal-arm64.iso', 'cmdline-metal-arm64', 'metal-arm64-uki.efi']) {
    const recipe = await resolve(path, 'v1.13.0', args);
    assert.ok('commandLine' in recipe);
    assert.match(recipe.commandLine, /console=ttyS2,1500000n8 .* from.profile mine$/, path);
  }
  const own = await resolve('metal-arm64.raw', 'v1.13.0', `${OVERLAY}\ncustomization: {bootloader: sd-boot}`);
  assert.equal(own.kind === 'image' && own.bootloader, 'sd-boot');
});

test('keys of images tell apart what disks differ by', async () => {
  const keys = await Promise.all([
    key('metal-amd64.raw', 'v1.13.0'),
    key('metal-amd64.raw.zst', 'v1.13.0'),
    key('metal-amd64.qcow2', 'v1.13.0'),
    key('metal-amd64.raw', 'v1.13.0', custom('meta: [{key: 12, value: x}]')),
    key('metal-amd64.raw', 'v1.13.0', custom('diskImage: {sectorSize: 4096}')),
    key('metal-arm64.raw', 'v1.13.0', OVERLAY),
    key('metal-arm64.raw', 'v1.13.0', `${OVERLAY.slice(0, -1)}, options: {a: 1}}`),
    key('metal-arm64.raw', 'v1.13.0', 'customization: {bootloader: grub}'),
  ]);
  assert.equal(new Set(keys).size, keys.length);
});
