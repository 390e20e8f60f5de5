import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Bootloader, selectBootloader } from './bootloader.ts';
import { diskFormatOptions, diskSize } from './disk-size.ts';
import type { PlatformName } from './platforms.ts';
import { parseTalosVersion } from './version.ts';

// spec/profile.md §4.2
const SIZES: readonly (readonly [PlatformName, string, Bootloader, number])[] = [
  ['metal', '1.9.0', 'grub', 1306525696],
  ['metal', '1.10.0', 'sd-boot', 1306525696],
  ['metal', '1.10.0', 'dual-boot', 2356150272],
  ['nocloud', '1.11.0', 'grub', 2355101696],
  ['scaleway', '1.13.0', 'dual-boot', 4453302272],
  ['aws', '1.8.0', 'grub', 8589934592],
  ['aws', '1.10.9', 'dual-boot', 9639559168],
  ['equinixMetal', '1.11.0-alpha.0', 'sd-boot', 9638510592],
  ['vmware', '1.12.0', 'dual-boot', 11736711168],
  ['exoscale', '1.10.0', 'grub', 10737418240],
  ['exoscale', '1.10.0', 'dual-boot', 11787042816],
  ['exoscale', '1.11.0', 'sd-boot', 11785994240],
  ['exoscale', '1.11.0', 'dual-boot', 13884194816],
];

describe('diskSize', () => {
  for (const [platform, version, bootloader, bytes] of SIZES) {
    it(`${platform} ${version} ${bootloader}`, () => {
      assert.equal(diskSize(platform, parseTalosVersion(version), bootloader), bytes);
    });
  }
});

describe('diskFormatOptions', () => {
  it("are the platform's before the format's", () => {
    assert.equal(diskFormatOptions('metal', 'raw'), '');
    assert.equal(diskFormatOptions('metal', 'qcow2'), 'cluster_size=8k');
    assert.equal(diskFormatOptions('oracle', 'raw'), 'cluster_size=8k');
    assert.equal(diskFormatOptions('azure', 'qcow2'), 'subformat=fixed,force_size');
    assert.equal(diskFormatOptions('vmware', 'ova'), '');
  });
});

describe('selectBootloader', () => {
  const rows: readonly (readonly [Bootloader, boolean, 'amd64' | 'arm64', string, Bootloader])[] = [
    ['none', false, 'amd64', '1.9.9', 'grub'],
    ['none', false, 'arm64', '1.9.9', 'grub'],
    ['none', false, 'amd64', '1.10.0-alpha.0', 'dual-boot'],
    ['none', false, 'arm64', '1.10.0', 'sd-boot'],
    ['none', true, 'amd64', '1.9.0', 'sd-boot'],
    ['grub', true, 'amd64', '1.12.0', 'sd-boot'],
    ['grub', false, 'arm64', '1.12.0', 'grub'],
    ['dual-boot', false, 'arm64', '1.12.0', 'dual-boot'],
  ];
  for (const [requested, secureboot, arch, version, expected] of rows) {
    it(`${requested} ${arch} ${version}${secureboot ? ' signed' : ''}`, () => {
      assert.equal(
        selectBootloader({ requested, secureboot, arch, version: parseTalosVersion(version) }),
        expected,
      );
    });
  }
});
