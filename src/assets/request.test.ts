import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AssetRequest, parseAssetPath } from './request.ts';

const target = (platform: string, arch: string, secureboot = false): object => ({
  platform,
  arch,
  secureboot,
});

const accepted: readonly (readonly [string, object])[] = [
  ['kernel-amd64', { kind: 'kernel', arch: 'amd64' }],
  ['kernel-i386', { kind: 'kernel', arch: 'amd64' }],
  ['cmdline-metal-arm64', { kind: 'cmdline', ...target('metal', 'arm64') }],
  ['cmdline-aws-amd64-secureboot', { kind: 'cmdline', ...target('aws', 'amd64', true) }],
  ['cmdline-metal-x86_64', { kind: 'cmdline', ...target('metal', 'amd64') }],
  ['initramfs-amd64.xz', { kind: 'initramfs', arch: 'amd64' }],
  ['metal-arm64-secureboot.iso', { kind: 'iso', ...target('metal', 'arm64', true) }],
  ['aws-amd64.iso', { kind: 'iso', ...target('aws', 'amd64') }],
  ['metal-amd64-uki.efi', { kind: 'uki', ...target('metal', 'amd64') }],
  ['metal-amd64-secureboot-uki.efi', { kind: 'uki', ...target('metal', 'amd64', true) }],
  ['installer-amd64.tar', { kind: 'installer', ...target('metal', 'amd64') }],
  ['installer-arm64-secureboot.tar', { kind: 'installer', ...target('metal', 'arm64', true) }],
  ['digital-ocean-installer-amd64.tar', { kind: 'installer', ...target('digital-ocean', 'amd64') }],
  ['metal-arm64.raw.xz', { kind: 'image', format: 'raw', compression: 'xz', ...target('metal', 'arm64') }],
  ['metal-arm64.raw.zst', { kind: 'image', format: 'raw', compression: 'zst', ...target('metal', 'arm64') }],
  ['metal-amd64.qcow2', { kind: 'image', format: 'qcow2', compression: 'none', ...target('metal', 'amd64') }],
  [
    'aws-amd64-secureboot.qcow2.tar.gz',
    { kind: 'image', format: 'qcow2', compression: 'tar.gz', ...target('aws', 'amd64', true) },
  ],
  ['azure-amd64.vhd', { kind: 'image', format: 'vhd', compression: 'none', ...target('azure', 'amd64') }],
  [
    'digital-ocean-amd64.raw.gz',
    { kind: 'image', format: 'raw', compression: 'gz', ...target('digital-ocean', 'amd64') },
  ],
  ['vmware-amd64.ova', { kind: 'image', format: 'ova', compression: 'none', ...target('vmware', 'amd64') }],
];

test('paths of every kind', () => {
  for (const [path, expected] of accepted) {
    assert.deepEqual(parseAssetPath(path), expected as AssetRequest, path);
  }
});

const refused: readonly (readonly [string, string])[] = [
  ['kernel-foo', 'invalid architecture: "foo"'],
  ['kernel-mips', 'invalid architecture: "mips"'],
  ['kernel-amd64-secureboot', 'invalid architecture: "amd64-secureboot"'],
  ['kernel-constructor', 'invalid architecture: "constructor"'],
  ['initramfs-metal-amd64.xz', 'invalid architecture: "metal-amd64"'],
  ['cmdline-metal', 'invalid platform-arch: "metal"'],
  ['cmdline-metal-arm32', 'invalid architecture: "arm32"'],
  ['metal.iso', 'invalid platform-arch: "metal"'],
  ['metal-rpi_generic-arm64.raw.xz', 'invalid architecture: "rpi_generic-arm64"'],
  ['metal-4k-amd64.raw.zst', 'invalid architecture: "4k-amd64"'],
  ['metal-amd64.img', 'invalid profile path: "metal-amd64.img"'],
  ['metal-amd64.ssd', 'invalid profile path: "metal-amd64.ssd"'],
  ['metal-amd64', 'invalid profile path: "metal-amd64"'],
  ['foo.gz', 'invalid profile path: "foo"'],
  ['foo.xz', 'invalid profile path: "foo"'],
  ['metal-amd64.raw.gz.xz', 'invalid profile path: "metal-amd64.raw.gz"'],
  ['initramfs-amd64', 'invalid profile path: "initramfs-amd64"'],
  ['foo-amd64.iso', 'invalid platform: "foo"'],
  ['-amd64.iso', 'invalid platform: ""'],
  ['iso-amd64.raw', 'invalid platform: "iso"'],
  ['installer-amd64.raw', 'invalid platform: "installer"'],
  ['', 'invalid profile path: ""'],
];

test('paths that are none say what is wrong with them', () => {
  for (const [path, message] of refused) {
    assert.throws(() => parseAssetPath(path), { kind: 'invalid', message }, path);
  }
});
