import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { parseArch } from './arch.ts';
import { extensionAlias } from './extension-aliases.ts';
import { gatesOf } from './gates.ts';
import {
  compareVersions,
  formatVersion,
  parseConfiguredVersion,
  parseTalosVersion,
  parseTolerantVersion,
  versionTag,
} from './version.ts';

describe('parseTalosVersion', () => {
  for (const [text, tag] of [
    ['1.13.0', 'v1.13.0'],
    ['v1.13.0', 'v1.13.0'],
    ['1.10.0-alpha.0', 'v1.10.0-alpha.0'],
    ['1.10.0-alpha.0-5-gabcdef', 'v1.10.0-alpha.0-5-gabcdef'],
  ] as const) {
    it(text, () => assert.equal(versionTag(parseTalosVersion(text)), tag));
  }

  for (const text of [
    '',
    'v',
    '1',
    '1.2',
    '1.2.3.4',
    '01.2.3',
    '1.2.3-',
    '1.2.3-01',
    '1.2.3-a..b',
    '1.2.3+build',
    'vv1.2.3',
    ' 1.2.3',
    '1.2.3\n',
    '../1.2.3',
    '99999999999999999.0.0',
    `1.0.0-${'a'.repeat(300)}`,
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(
        () => parseTalosVersion(text),
        (error) => error instanceof FactoryError && error.code === 'VERSION_INVALID',
      );
    });
  }
});

describe('parseTolerantVersion', () => {
  for (const [text, version] of [
    ['v1.5', '1.5.0'],
    ['1', '1.0.0'],
    [' v1.05.007 ', '1.5.7'],
    ['v1.8.0-alpha.1', '1.8.0-alpha.1'],
    ['latest', undefined],
    ['1.5-alpha', undefined],
    ['v1.2.3.4', undefined],
  ] as const) {
    it(text, () => {
      const parsed = parseTolerantVersion(text);
      assert.equal(parsed === undefined ? undefined : formatVersion(parsed), version);
    });
  }
});

describe('compareVersions', () => {
  it('orders as semver 2.0 §11 does', () => {
    const order = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.2.0',
      '1.10.0',
      '2.0.0',
    ].map((text) => parseTalosVersion(text));
    for (const [i, a] of order.entries()) {
      for (const [j, b] of order.entries()) assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j));
    }
  });

  it('reads back what it writes', () => {
    const number = fc.nat(2000);
    fc.assert(
      fc.property(
        number,
        number,
        number,
        fc.array(fc.stringMatching(/^[a-z][0-9a-z-]{0,4}$/), { maxLength: 3 }),
        (major, minor, patch, prerelease) => {
          const version = { major, minor, patch, prerelease, build: [] };
          assert.deepEqual(parseConfiguredVersion(formatVersion(version)), version);
          assert.equal(compareVersions(version, version), 0);
        },
      ),
    );
  });
});

describe('gatesOf', () => {
  /** The number of gates that a version differs in from the one before it. */
  const changes = (before: string, after: string): readonly string[] => {
    const [a, b] = [gatesOf(parseTalosVersion(before)), gatesOf(parseTalosVersion(after))];
    return (Object.keys(a) as (keyof typeof a)[]).filter((gate) => a[gate] !== b[gate]).sort();
  };

  // spec/profile.md §8, spec/initramfs.md §1
  for (const [before, after, expected] of [
    ['1.3.99', '1.4.0', 'grubReset'],
    ['1.4.99', '1.5.0', 'uki'],
    ['1.6.2', '1.6.3', 'compressedMeta'],
    ['1.6.99', '1.7.0', 'overlays'],
    ['1.7.99', '1.8.0', 'haltIfInstalled isoLabel metalSerialConsole skipDataPartitions zstd'],
    ['1.8.0', '1.9.99', ''],
    ['1.9.99', '1.10.0', 'sdBootForUefi selinux ukiProfiles unifiedInstaller usrMerge'],
    ['1.10.99', '1.11.0', 'ima largeBootPartition talosctl'],
    ['1.11.99', '1.12.0', 'embeddedConfig isoBootloader moduleSignatures'],
    ['1.12.99', '1.13.0', 'procMem'],
    ['1.13.99', '1.14.0', 'forcedLockdown initOnAlloc'],
    ['1.14.0', '2.0.0', ''],
    ['1.10.0-alpha.0', '1.10.0', ''],
  ] as const) {
    it(`${before} to ${after}`, () => assert.equal(changes(before, after).join(' '), expected));
  }
});

describe('parseArch', () => {
  it('reads names and the aliases of iPXE', () => {
    assert.deepEqual(['amd64', 'arm64', 'x86_64', 'i386'].map(parseArch), [
      'amd64',
      'arm64',
      'amd64',
      'amd64',
    ]);
  });

  for (const text of ['mips', '', 'AMD64', 'constructor']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseArch(text), {
        code: 'ARCH_INVALID',
        message: `invalid architecture: "${text}"`,
      });
    });
  }
});

describe('extensionAlias', () => {
  it('goes one step from old to new', () => {
    assert.equal(extensionAlias('siderolabs/i915-ucode'), 'siderolabs/i915');
    assert.equal(extensionAlias('siderolabs/nvidia-fabricmanager'), 'siderolabs/nvidia-fabric-manager-lts');
    assert.equal(extensionAlias('siderolabs/i915'), undefined);
    assert.equal(extensionAlias('constructor'), undefined);
  });
});
