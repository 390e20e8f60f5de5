import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type BootMedium, type BootSpec, boot } from '../../src/testing/boot.ts';
import { createSchematic, download } from '../../src/testing/factory-client.ts';
import type { FactoryProcess } from '../../src/testing/factory-process.ts';
import type { GuestReport } from '../../src/testing/guest-report.ts';
import { noise } from '../../src/testing/sandbox/extensions.ts';
import { BOOT_TIMEOUT_MS, type BootFactory, startBootFactory } from './boot-factory.ts';

// What the running factory serves, booted: the guest prints what it sees, and that is what the schematic asks for.

let booted: BootFactory;
let factory: FactoryProcess;
let dir: string;
before(async () => {
  booted = await startBootFactory();
  ({ factory, dir } = booted);
});
after(() => booted?.[Symbol.asyncDispose]());

const EXTENSIONS = [
  'siderolabs/gvisor',
  'siderolabs/iscsi-tools',
  'siderolabs/hello-world-service',
  'siderolabs/intel-ucode',
  'siderolabs/amd-ucode',
  'siderolabs/i915-ucode',
  'siderolabs/drbd',
  'siderolabs/gasket',
];

interface SchematicParts {
  readonly extensions?: readonly string[];
  readonly bootloader?: string;
  readonly machineConfig?: string;
}

/** A schematic with a kernel argument and META of its own. */
function schematic(parts: SchematicParts = {}): Promise<string> {
  return createSchematic(
    factory.url,
    JSON.stringify({
      customization: {
        extraKernelArgs: ['sandbox.test=1'],
        meta: [{ key: 10, value: 'network: x' }],
        systemExtensions: { officialExtensions: parts.extensions ?? EXTENSIONS },
        ...(parts.bootloader === undefined ? {} : { bootloader: parts.bootloader }),
        ...(parts.machineConfig === undefined ? {} : { embeddedMachineConfiguration: parts.machineConfig }),
      },
    }),
  );
}

let files = 0;
async function fetchImage(id: string, version: string, path: string): Promise<string> {
  const file = join(dir, `${++files}-${path}`);
  await download(factory.url, `/image/${id}/${version}/${path}`, file);
  return file;
}

async function report(
  arch: BootSpec['arch'],
  firmware: BootSpec['firmware'],
  medium: BootMedium,
): Promise<GuestReport> {
  return (await boot({ arch, firmware, medium, timeoutMs: BOOT_TIMEOUT_MS })).report;
}

const sha256 = (...parts: readonly Uint8Array[]): string =>
  createHash('sha256').update(Buffer.concat(parts)).digest('hex');

const OLD_ARGS =
  'init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on ima_template=ima-ng ima_appraise=fix ima_hash=sha512';
const META_ARG = `talos.environment=INSTALLER_META_BASE64=${Buffer.from('0xa=network: x').toString('base64')}`;

/** GRUB puts the kernel's file name in front. */
const withoutBootImage = (cmdline: string): string => cmdline.replace(/^BOOT_IMAGE=\S+ /, '');

/** Layers, files, modules, firmware and microcode of `EXTENSIONS`, as the guest has to see them. */
function assertExtensions(seen: GuestReport, id: string, version: string, firmware: string): void {
  assert.deepEqual(seen.errors, []);
  assert.equal(seen.version, version);
  assert.equal(seen.schematic, id);
  assert.deepEqual(
    seen.layers.map(({ name }) => name),
    [
      ...['gvisor', 'iscsi-tools', 'hello-world-service', 'intel-ucode', 'amd-ucode'],
      ...[firmware === '/lib/firmware' && version < 'v1.7' ? 'i915-ucode' : 'i915', 'drbd', 'gasket-driver'],
      ...['schematic', 'modules.dep'],
    ],
  );
  assert.equal(seen.files.get('/usr/local/share/gvisor/README'), 'gVisor of the sandbox');
  assert.equal(seen.files.get('/usr/local/etc/containers/iscsid.yaml'), 'name: iscsid');
  assert.equal(
    seen.files.get('/usr/local/lib/containers/iscsid/sbin/iscsi-iname'),
    '#!/bin/sh',
    'a hard link has the content of its target',
  );
  assert.equal(seen.files.get('/usr/local/share/hello/replaced'), 'upper layer');
  assert.equal(seen.files.has('/usr/local/share/hello/removed'), false, 'whiteouts count');
  assert.ok(seen.files.has(`/usr/local/share/schematic/${id}`));
  assert.deepEqual(Object.fromEntries(seen.modules), { drbd: 'loaded', dummy: 'loaded' });
  const blob = sha256(noise(5, 6000));
  assert.equal(seen.firmware.get(`${firmware}/i915/adlp_dmc_ver2_16.bin`), blob);
  assert.equal(seen.firmware.get(`${firmware}/i915/adlp_dmc.bin`), blob, 'through its link');
  assert.equal(
    seen.firmware.get(`${firmware}/amd-ucode/README`),
    sha256(Buffer.from('not microcode\n')),
    'what is no microcode stays firmware',
  );
  assert.deepEqual(Object.fromEntries(seen.microcode), {
    '/kernel/x86/microcode/AuthenticAMD.bin': sha256(noise(4, 1600), noise(3, 3200)),
    '/kernel/x86/microcode/GenuineIntel.bin': sha256(noise(1, 1024), noise(2, 2048)),
  });
}

describe('boots', { concurrency: 2 }, () => {
  test('1.7 ISO (GRUB, xz) under SeaBIOS', async () => {
    const id = await schematic();
    const path = await fetchImage(id, 'v1.7.6', 'metal-amd64.iso');
    const seen = await report('amd64', 'seabios', { kind: 'cdrom', path });
    assertExtensions(seen, id, 'v1.7.6', '/lib/firmware');
    assert.equal(seen.boot, 'bios');
    assert.deepEqual(seen.metaArgument, ['0xa=network: x']);
    assert.equal(
      withoutBootImage(seen.cmdline),
      `talos.platform=metal console=ttyS0 console=tty0 ${OLD_ARGS} ${META_ARG} sandbox.test=1`,
    );
  });

  test('1.5 ISO (GRUB, xz) under OVMF', async () => {
    const id = await schematic();
    const path = await fetchImage(id, 'v1.5.5', 'metal-amd64.iso');
    const seen = await report('amd64', 'ovmf', { kind: 'cdrom', path });
    assertExtensions(seen, id, 'v1.5.5', '/lib/firmware');
    assert.equal(seen.boot, 'efi');
  });

  const NEW_ARGS =
    'init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on selinux=1 module.sig_enforce=1';
  const ISO_113 = `talos.platform=metal console=tty0 talos.halt_if_installed=1 ${NEW_ARGS} proc_mem.force_override=never ${META_ARG} sandbox.test=1`;

  for (const firmware of ['seabios', 'ovmf'] as const) {
    test(`1.13 ISO (dual-boot) under ${firmware}`, async () => {
      const id = await schematic();
      const path = await fetchImage(id, 'v1.13.0', 'metal-amd64.iso');
      const seen = await report('amd64', firmware, { kind: 'cdrom', path });
      assertExtensions(seen, id, 'v1.13.0', '/usr/lib/firmware');
      assert.equal(seen.boot, firmware === 'ovmf' ? 'efi' : 'bios');
      assert.equal(withoutBootImage(seen.cmdline), ISO_113);
      // Under UEFI it is the UKI that was started, by systemd-boot.
      assert.equal(/^systemd-stub 257/.test(seen.efi.get('StubInfo') ?? ''), firmware === 'ovmf');
      assert.equal(/^systemd-boot 257/.test(seen.efi.get('LoaderInfo') ?? ''), firmware === 'ovmf');
    });
  }

  test('1.12 ISO with systemd-boot only under OVMF, with more than ten layers', async () => {
    const machineConfig = 'version: v1alpha1\n';
    const extensions = [...EXTENSIONS, 'siderolabs/gvisor'];
    const id = await schematic({ bootloader: 'sd-boot', machineConfig, extensions });
    const path = await fetchImage(id, 'v1.12.0', 'metal-amd64.iso');
    const seen = await report('amd64', 'ovmf', { kind: 'cdrom', path });
    assert.deepEqual(seen.errors, []);
    assert.equal(seen.schematic, id);
    assert.match(seen.efi.get('StubInfo') ?? '', /^systemd-stub 257/);
    // Layers are in the order of their names as texts: the eleventh is the third.
    assert.deepEqual(
      seen.layers.map(({ image, name }) => `${image} ${name}`).filter((text) => !/^[2-8]\./.test(text)),
      [
        '0.sqsh gvisor',
        '1.sqsh iscsi-tools',
        '10.sqsh embedded-config',
        '9.sqsh schematic',
        'modules.dep.sqsh modules.dep',
      ],
    );
    assert.equal(seen.files.get('/usr/local/etc/talos/config.yaml'), 'version: v1alpha1');
  });

  for (const firmware of ['seabios', 'ovmf'] as const) {
    test(`1.12 ISO with GRUB only under ${firmware}`, async () => {
      const id = await schematic({ bootloader: 'grub' });
      const path = await fetchImage(id, 'v1.12.0', 'metal-amd64.iso');
      const seen = await report('amd64', firmware, { kind: 'cdrom', path });
      assertExtensions(seen, id, 'v1.12.0', '/usr/lib/firmware');
      assert.match(seen.cmdline, /^BOOT_IMAGE=\/boot\/vmlinuz /);
      assert.equal(seen.efi.has('StubInfo'), false);
    });
  }

  test('1.9 arm64 ISO (GRUB) under AAVMF', async () => {
    const id = await schematic();
    const path = await fetchImage(id, 'v1.9.5', 'metal-arm64.iso');
    const seen = await report('arm64', 'aavmf', { kind: 'cdrom', path });
    assertExtensions(seen, id, 'v1.9.5', '/lib/firmware');
    assert.match(seen.cmdline, /^BOOT_IMAGE=\/boot\/vmlinuz /);
    assert.equal(seen.machine, 'aarch64');
  });

  test('1.13 arm64 ISO under AAVMF', async () => {
    const id = await schematic();
    const path = await fetchImage(id, 'v1.13.0', 'metal-arm64.iso');
    const seen = await report('arm64', 'aavmf', { kind: 'cdrom', path });
    assertExtensions(seen, id, 'v1.13.0', '/usr/lib/firmware');
    assert.equal(seen.machine, 'aarch64');
    assert.equal(seen.cmdline, ISO_113.replace('console=tty0', 'console=ttyAMA0 console=tty0'));
  });

  for (const [arch, version, firmware] of [
    ['amd64', 'v1.3.7', '/lib/firmware'],
    ['amd64', 'v1.14.0-beta.0', '/usr/lib/firmware'],
    ['arm64', 'v1.9.5', '/lib/firmware'],
  ] as const) {
    test(`${version} ${arch} kernel, initramfs and command line`, async () => {
      const id = await schematic();
      const kernel = await fetchImage(id, version, `kernel-${arch}`);
      const initrd = await fetchImage(id, version, `initramfs-${arch}.xz`);
      const cmdline = await readFile(await fetchImage(id, version, `cmdline-metal-${arch}`), 'utf8');
      const seen = await report(arch, 'direct', { kind: 'kernel', kernel, initrd, cmdline });
      assertExtensions(seen, id, version, firmware);
      assert.equal(seen.cmdline, cmdline);
      assert.deepEqual(seen.metaArgument, ['0xa=network: x']);
      assert.match(cmdline, / sandbox\.test=1$/);
    });
  }

  for (const [arch, version, firmware] of [
    ['amd64', 'v1.10.1', 'ovmf'],
    ['arm64', 'v1.14.0-beta.0', 'aavmf'],
  ] as const) {
    test(`${version} ${arch} unified kernel image under ${firmware}`, async () => {
      const id = await schematic();
      const path = await fetchImage(id, version, `metal-${arch}-uki.efi`);
      const seen = await report(arch, firmware, { kind: 'uki', path });
      assertExtensions(seen, id, version, '/usr/lib/firmware');
      assert.match(seen.efi.get('StubInfo') ?? '', /^systemd-stub 257/);
      assert.match(seen.cmdline, /^talos\.platform=metal console=\S+ .*selinux=1.* sandbox\.test=1$/);
      assert.deepEqual(seen.metaArgument, [], 'META is no part of a UKI');
    });
  }

  test('iPXE chains to the factory', async () => {
    const id = await schematic();
    const base = factory.url.replace('127.0.0.1', '10.0.2.2');
    const url = `${base}/pxe/${id}/v1.11.2/metal-amd64`;
    const seen = await report('amd64', 'seabios', { kind: 'netboot', url });
    assertExtensions(seen, id, 'v1.11.2', '/usr/lib/firmware');
    assert.equal(seen.boot, 'bios');
    assert.deepEqual(seen.metaArgument, ['0xa=network: x']);
    assert.match(seen.cmdline, /^talos\.platform=metal console=tty0 .* sandbox\.test=1$/);
  });
});
