import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryTree } from './memory-tree.testing.ts';
import { type OverlayProfile, parseOverlayProfile, readOverlayProfile } from './overlay-profile.ts';

const EMPTY: OverlayProfile = {
  extraKernelArgs: [],
  image: { bootloader: undefined, sectorSize: undefined, enrollKeys: undefined },
  iso: { bootloader: undefined, enrollKeys: undefined },
};

test('a profile gives what it may, and the rest is not even looked at', () => {
  const cases: readonly (readonly [string, OverlayProfile])[] = [
    ['', EMPTY],
    ['{}', EMPTY],
    ['output: ~', EMPTY],
    [
      // The profile of official boards (`spec/outputs-installer.md` §2.3).
      'arch: arm64\nplatform: metal\nsecureboot: false\noutput:\n  kind: image\n  outFormat: .xz\n' +
        '  imageOptions:\n    diskFormat: raw\n    diskSize: 1306525696\n    bootloader: grub\n',
      { ...EMPTY, image: { ...EMPTY.image, bootloader: 'grub' } },
    ],
    ['arch: [1]\ninput: 7\noverlay: {a: b}\nversion: {}\noutput: {kind: 9, outFormat: []}', EMPTY],
    ['output: {imageOptions: {diskSize: -1, diskFormat: {}, diskFormatOptions: 3}}', EMPTY],
    ['output: {imageOptions: {bootloader: none, diskSectorSize: 0}}', EMPTY],
    [
      'customization: {extraKernelArgs: [a=1, "b c"]}\n' +
        'output:\n  imageOptions: {bootloader: SD-Boot, diskSectorSize: 4096, sdBootEnrollKeys: Force}\n' +
        '  isoOptions: {bootloader: dual-boot, sdBootEnrollKeys: off}\n',
      {
        extraKernelArgs: ['a=1', 'b c'],
        image: { bootloader: 'sd-boot', sectorSize: 4096, enrollKeys: 'force' },
        iso: { bootloader: 'dual-boot', enrollKeys: 'off' },
      },
    ],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseOverlayProfile(text, 'board'), expected, text);
});

test('what cannot be taken is refused with the overlay and the field', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['- a', /"board": its profile profiles\/board\.yaml /],
    ['a: [', /is not valid YAML/],
    ['output: [1]', /field output: /],
    ['output: {imageOptions: {bootloader: lilo}}', /field output\.imageOptions\.bootloader: /],
    ['output: {imageOptions: {bootloader: 7}}', /field output\.imageOptions\.bootloader: /],
    ['output: {imageOptions: {diskSectorSize: 1000}}', /field output\.imageOptions\.diskSectorSize: /],
    ['output: {imageOptions: {diskSectorSize: "512"}}', /field output\.imageOptions\.diskSectorSize: /],
    ['output: {isoOptions: {sdBootEnrollKeys: maybe}}', /field output\.isoOptions\.sdBootEnrollKeys: /],
    ['customization: {extraKernelArgs: a}', /field customization\.extraKernelArgs: /],
    ['customization: {extraKernelArgs: [1]}', /field customization\.extraKernelArgs\.0: /],
    ['customization: {extraKernelArgs: ["a\\nb"]}', /extraKernelArgs\.0: has a line break/],
    [`customization: {extraKernelArgs: [${'a'.repeat(2049)}]}`, /extraKernelArgs\.0: /],
    [`customization: {extraKernelArgs: [${'a, '.repeat(256)}a]}`, /field customization\.extraKernelArgs: /],
    [
      `a: &a [x]\n${[...'bcdefgh'].map((k, i) => `${k}: &${k} [${`*${'abcdefgh'[i]},`.repeat(9)}]`).join('\n')}`,
      /is not valid YAML/,
    ],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseOverlayProfile(text, 'board'),
      { kind: 'upstream', code: 'OVERLAY_PROFILE_INVALID', message },
      text,
    );
  }
});

test('the profile is found in the image, through links, and missed', async () => {
  const tree = memoryTree({
    'profiles/one.yaml': 'output: {imageOptions: {bootloader: grub}}',
    'profiles/two.yaml': { link: '/profiles/one.yaml' },
    'profiles/dir.yaml/x': '',
    'profiles/large.yaml': '#'.repeat(300_000),
  });
  assert.equal((await readOverlayProfile(tree, 'one')).image.bootloader, 'grub');
  assert.equal((await readOverlayProfile(tree, 'two')).image.bootloader, 'grub');
  for (const name of ['three', 'dir', '../profiles/four']) {
    await assert.rejects(readOverlayProfile(tree, name), {
      kind: 'upstream',
      code: 'OVERLAY_FILE_MISSING',
      message: `overlay ${JSON.stringify(name)}: image ${tree.digest} has no file profiles/${name}.yaml`,
    });
  }
  await assert.rejects(readOverlayProfile(tree, 'large'), { code: 'OVERLAY_PROFILE_INVALID' });
});
