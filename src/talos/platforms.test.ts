import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FactoryError } from '../errors.ts';
import { BOARDS, boardsOf } from './boards.ts';
import { PLATFORM_NAMES, PLATFORMS, parsePlatform, platformsOf } from './platforms.ts';
import { isAtLeast, parseConfiguredVersion, parseTalosVersion } from './version.ts';

describe('parsePlatform', () => {
  it('knows every platform and the alias of one', () => {
    for (const name of PLATFORM_NAMES) assert.equal(parsePlatform(name), name);
    assert.equal(parsePlatform('packet'), 'equinixMetal');
  });

  for (const text of ['', 'foo', 'Metal', 'iso', 'installer', '__proto__', 'equinixmetal']) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parsePlatform(text),
        (error) =>
          error instanceof FactoryError &&
          error.kind === 'invalid' &&
          error.message === `invalid platform: "${text}"`,
      );
    });
  }
});

describe('platforms and boards', () => {
  it('are all there once, in the order of the table', () => {
    assert.equal(
      PLATFORMS.map((platform) => platform.name).join(' '),
      'metal aws gcp equinixMetal azure digital-ocean nocloud openstack vmware akamai cloudstack hcloud oracle upcloud vultr exoscale opennebula scaleway alibabacloud',
    );
    // `container` can be built but has nothing to boot from.
    assert.deepEqual(
      PLATFORM_NAMES.filter((name) => !PLATFORMS.some((platform) => platform.name === name)),
      ['container'],
    );
    assert.equal(BOARDS.length, 29);
    assert.equal(new Set(BOARDS.map((board) => board.name)).size, 29);
  });

  it('offer a disk image exactly when they have a suffix', () => {
    for (const platform of PLATFORMS) {
      assert.equal(
        platform.bootMethods.includes('disk-image'),
        platform.diskImageSuffix !== undefined,
        platform.name,
      );
    }
  });

  it('have versions that can be read', () => {
    for (const { minVersion } of [...PLATFORMS, ...BOARDS]) {
      if (minVersion !== undefined)
        assert.notEqual(parseConfiguredVersion(minVersion), undefined, minVersion);
    }
  });

  it('are offered from their first pre-release on', () => {
    const platform = (version: string, name: string): boolean =>
      platformsOf(parseTalosVersion(version)).some((each) => each.name === name);
    assert.equal(platform('1.8.0-alpha.1', 'cloudstack'), false);
    assert.equal(platform('1.8.0-alpha.2', 'cloudstack'), true);
    assert.equal(platform('1.14.0-beta.1', 'alibabacloud'), false);
    assert.equal(platform('1.14.0', 'alibabacloud'), true);
    assert.equal(platform('1.2.0', 'metal'), true);
    const board = (version: string, name: string): boolean =>
      boardsOf(parseTalosVersion(version)).some((each) => each.name === name);
    assert.equal(board('1.12.2', 'rpi_5'), false);
    assert.equal(board('1.12.3', 'rpi_5'), true);
    assert.equal(board('1.13.0-alpha.0', 'rock5b-plus'), false);
    assert.equal(board('1.13.0-alpha.1', 'rock5b-plus'), true);
  });

  it('say what goes into the schematic', () => {
    const nanopi = BOARDS.find((board) => board.name === 'nanopi_r4s');
    assert.equal(nanopi?.overlayName, 'nanopi-r4s');
    assert.equal(nanopi?.overlayImage, 'siderolabs/sbc-rockchip');
    assert.equal(BOARDS.find((board) => board.name === 'rock5a')?.documentation?.endsWith('/rock5b'), true);
    assert.equal(BOARDS.find((board) => board.name === 'rpi_5')?.documentation, undefined);
  });

  it('refuse a minimum that is no version', () => {
    assert.throws(() => isAtLeast(parseTalosVersion('1.0.0'), '1.0'), RangeError);
  });
});
