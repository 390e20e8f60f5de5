import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTalosVersion } from '../talos/version.ts';
import { diskGrubConfig, isoGrubConfig, quoteGrub } from './grub-config.ts';
import { loaderConfig } from './loader-config.ts';

test('quoting', () => {
  const quoted: readonly (readonly [string, string])[] = [
    [
      `http://my-host/config.yaml?uuid=\${uuid}&serial=\${serial}`,
      'http://my-host/config.yaml?uuid=\\$\\{uuid\\}\\&serial=\\$\\{serial\\}',
    ],
    ['foo\\$', 'foo\\\\\\$'],
    ['a|b;c<d>e"f', 'a\\|b\\;c\\<d\\>e\\"f'],
    ["console=ttyS0,115200 'x' #y", "console=ttyS0,115200 'x' #y"],
  ];
  for (const [text, expected] of quoted) assert.equal(quoteGrub(text), expected);
});

test('the menu of an ISO', () => {
  const expected = `set default=0
set timeout=3

insmod all_video

terminal_input console
terminal_output console

menuentry "Talos ISO" {
	set gfxmode=auto
	set gfxpayload=text
	linux /boot/vmlinuz a=\\$b
	initrd /boot/initramfs.xz
}

menuentry "Reset Talos installation" {
	set gfxmode=auto
	set gfxpayload=text
	linux /boot/vmlinuz a=\\$b talos.experimental.wipe=system
	initrd /boot/initramfs.xz
}
`;
  assert.equal(isoGrubConfig({ cmdline: 'a=$b', reset: true }), expected);
  const [first] = expected.split('\nmenuentry "Reset');
  assert.equal(isoGrubConfig({ cmdline: 'a=$b', reset: false }), first);
});

test('the menu of a disk', () => {
  const expected = `set default="A - Talos v1.9.0"

set timeout=3

insmod all_video

terminal_input console
terminal_output console

menuentry "A - Talos v1.9.0" {
  set gfxmode=auto
  set gfxpayload=text
  linux /A/vmlinuz a=b
  initrd /A/initramfs.xz
}
menuentry "Reset Talos installation and return to maintenance mode" {
  set gfxmode=auto
  set gfxpayload=text
  linux /A/vmlinuz a=b talos.experimental.wipe=system:EPHEMERAL,STATE
  initrd /A/initramfs.xz
}
`;
  const version = parseTalosVersion('1.9.0');
  assert.equal(diskGrubConfig(version, { cmdline: 'a=b', reset: true }), expected);
  const [first] = expected.split('menuentry "Reset');
  assert.equal(diskGrubConfig(version, { cmdline: 'a=b', reset: false }), first);
});

test('loader.conf', () => {
  assert.equal(loaderConfig(), '# systemd-boot configuration\n\ntimeout 10\n');
  assert.equal(
    loaderConfig('if-safe'),
    '# systemd-boot configuration\n\ntimeout 10\n\nsecure-boot-enroll if-safe\n',
  );
});
