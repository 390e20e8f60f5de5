import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseTag } from '../../src/oci/names.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { type Answer, createSchematic, download, send } from './client.ts';
import { EXTERNAL_URL, type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// What the factory says of the release, and the scripts that it writes for iPXE.

const PXE_URL = 'https://pxe.example:8443/boot/';

let sandbox: SandboxRegistry;
let factory: LocalFactory;
before(async () => {
  sandbox = await startSandbox();
  factory = await startLocalFactory({
    sandbox,
    config: {
      http: { externalPXEURL: PXE_URL },
      build: { minTalosVersion: '1.5.0', brokenTalosVersions: ['1.12.0', '1.9.5'] },
    },
  });
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
});

async function list(path: string): Promise<Answer & { readonly value: unknown }> {
  const answer = await download(factory.url, path);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.headers['cache-control'], 'public, max-age=300, stale-if-error=86400');
  assert.ok(answer.text.endsWith('\n'));
  const same = await send(factory.url, path, { headers: { 'if-none-match': answer.headers.etag! } });
  assert.equal(same.status, 304);
  return { ...answer, text: answer.text, value: JSON.parse(answer.text) };
}

test('versions: ascending, without strays, withdrawn and too old ones', async () => {
  const { value } = await list('/versions');
  assert.deepEqual(value, [
    ...['v1.5.5', 'v1.6.4', 'v1.7.6', 'v1.10.1', 'v1.11.2', 'v1.13.0', 'v1.14.0-beta.0'],
  ]);
  assert.deepEqual((await list('/versions?broken=true')).value, ['v1.12.0', 'v1.9.5']);
  assert.deepEqual((await list('/versions?broken=yes')).value, value);
});

describe('extensions', () => {
  for (const [version, names, tag] of [
    [
      'v1.6.4',
      [
        ...['gvisor', 'iscsi-tools', 'hello-world-service', 'intel-ucode', 'amd-ucode', 'i915-ucode', 'drbd'],
        'gasket-driver',
      ],
      '20231214.0-v1.0.0',
    ],
    [
      '1.13.0',
      [
        ...['gvisor', 'iscsi-tools', 'hello-world-service', 'intel-ucode', 'amd-ucode', 'i915', 'drbd'],
        ...['gasket-driver', 'panfrost', 'newt'],
      ],
      '20250505.0-v1.0.0',
    ],
  ] as const) {
    test(version, async () => {
      const { value, text } = await list(`/version/${version}/extensions/official`);
      const records = value as Record<string, string>[];
      assert.deepEqual(
        records.map(({ name }) => name),
        names.map((name) => `siderolabs/${name}`),
      );
      const [gvisor] = records;
      const image = await sandbox.registry.storage('siderolabs/gvisor').resolve(parseTag(tag));
      assert.deepEqual(gvisor, {
        name: 'siderolabs/gvisor',
        ref: `${sandbox.registry.host}/siderolabs/gvisor:${tag}`,
        digest: image?.digest,
        author: 'Sandbox Authors',
        description: '[core] Container runtime: plain files, one of them labelled for SELinux\n',
      });
      assert.ok(text.startsWith('[{"name":"siderolabs/gvisor","ref":"'), 'in the order of the reference');
    });
  }

  test('of a version that is not offered', async () => {
    for (const version of ['v1.12.0', 'v1.3.7', 'v1.5.0-alpha.0']) {
      const answer = await send(factory.url, `/version/${version}/extensions/official`);
      assert.equal(answer.status, 404);
      assert.equal(answer.text, `version ${version.slice(1)} is not available\n`);
    }
  });
});

test('overlays', async () => {
  const overlay = await sandbox.registry.storage('siderolabs/sbc-raspberrypi').resolve(parseTag('v0.1.0'));
  const { value } = await list('/version/v1.13.0/overlays/official');
  assert.deepEqual((value as object[])[0], {
    name: 'rpi_generic',
    image: 'siderolabs/sbc-raspberrypi',
    ref: 'ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0',
    digest: overlay?.digest,
  });
  assert.deepEqual(
    (value as { name: string }[]).map(({ name }) => name),
    ['rpi_generic', 'rock4cplus'],
  );
  // Below 1.7 there are none, whether there is such a version or not.
  assert.deepEqual((await list('/version/v1.6.4/overlays/official')).value, []);
  assert.deepEqual((await list('/version/v1.2.99/overlays/official')).value, []);
  assert.equal((await send(factory.url, '/version/v1.12.0/overlays/official')).status, 404);
});

describe('talosctl', () => {
  const NAMES = [
    ...['darwin-amd64', 'darwin-arm64', 'freebsd-amd64', 'freebsd-arm64', 'linux-amd64', 'linux-arm64'],
    ...['linux-armv7', 'windows-amd64.exe', 'windows-arm64.exe'],
  ].map((name) => `talosctl-${name}`);

  test('lists and programs', async () => {
    const { value } = await list('/talosctl/1.13.0');
    assert.deepEqual(
      value,
      NAMES.map((name) => `${EXTERNAL_URL}talosctl/v1.13.0/${name}`),
    );
    for (const name of NAMES) {
      const path = `/talosctl/v1.13.0/${name}`;
      const whole = await download(factory.url, path);
      assert.ok(whole.text.startsWith(`#!/bin/sh\necho "talosctl v1.13.0 ${name.slice(9)}"\n`));
      assert.equal(whole.headers['content-type'], 'application/octet-stream');
      assert.equal(whole.headers['content-disposition'], `attachment; filename="${name}"`);
      assert.equal(whole.headers['content-length'], String(whole.body.length));
      const part = await send(factory.url, path, { headers: { range: 'bytes=100000-' } });
      assert.equal(part.status, 206);
      assert.ok(part.body.equals(whole.body.subarray(100_000)));
      const head = await send(factory.url, path, { method: 'HEAD' });
      assert.equal(head.headers['content-length'], String(whole.body.length));
      assert.equal(head.headers.etag, whole.headers.etag);
    }
  });

  test('of versions without it', async () => {
    assert.deepEqual((await list('/talosctl/v1.10.1')).value, []);
    const file = await send(factory.url, '/talosctl/v1.10.1/talosctl-linux-amd64');
    assert.equal(file.status, 404);
    assert.equal(file.text, 'version 1.10.1 is not available\n');
    assert.equal((await send(factory.url, '/talosctl/v1.12.0')).status, 404);
  });
});

const IMA = 'ima_template=ima-ng ima_appraise=fix ima_hash=sha512';
const BASE =
  'init_on_alloc=1 slab_nomerge pti=on consoleblank=0 nvme_core.io_timeout=4294967295 printk.devkmsg=on';
/** `spec/http-api.md` §6.5: version, target, command line. */
const SCRIPTS: readonly (readonly [version: string, target: string, cmdline: string])[] = [
  ['v1.5.5', 'metal-amd64', `talos.platform=metal console=ttyS0 console=tty0 ${BASE} ${IMA}`],
  ['v1.7.6', 'metal-arm64', `talos.platform=metal console=ttyAMA0 console=tty0 ${BASE} ${IMA}`],
  ['v1.10.1', 'metal-amd64', `talos.platform=metal console=tty0 ${BASE} ${IMA} selinux=1`],
  ['v1.11.2', 'metal-amd64', `talos.platform=metal console=tty0 ${BASE} selinux=1`],
  [
    'v1.13.0',
    'metal-amd64',
    `talos.platform=metal console=tty0 ${BASE} selinux=1 module.sig_enforce=1 proc_mem.force_override=never`,
  ],
  [
    'v1.14.0-beta.0',
    'metal-arm64',
    'talos.platform=metal console=ttyAMA0 console=tty0 slab_nomerge pti=on consoleblank=0 printk.devkmsg=on selinux=1 module.sig_enforce=1 proc_mem.force_override=never',
  ],
  [
    'v1.13.0',
    'nocloud-amd64',
    `talos.platform=nocloud console=tty1 console=ttyS0 net.ifnames=0 ${BASE} selinux=1 module.sig_enforce=1 proc_mem.force_override=never`,
  ],
];

describe('iPXE scripts', () => {
  for (const [version, target, cmdline] of SCRIPTS) {
    test(`${version} ${target}`, async () => {
      const id = await createSchematic(factory.url, { customization: { extraKernelArgs: ['a=b', 'c'] } });
      const script = await download(factory.url, `/pxe/${id}/${version}/${target}`);
      const arch = target.slice(target.indexOf('-') + 1);
      const base = `${PXE_URL}image/${id}/${version}`;
      assert.equal(
        script.text,
        `#!ipxe\n\nimgfree\nkernel ${base}/kernel-${arch} ${cmdline} a=b c\ninitrd ${base}/initramfs-${arch}.xz\nboot\n`,
      );
      assert.equal(script.headers['content-type'], 'text/plain; charset=utf-8');
      const asset = await download(factory.url, `/image/${id}/${version}/cmdline-${target}`);
      assert.equal(asset.text, `${cmdline} a=b c`);
    });
  }

  test("by iPXE's own names of architectures, and without v", async () => {
    const id = await createSchematic(factory.url, '{}');
    const amd64 = (await download(factory.url, `/pxe/${id}/v1.13.0/metal-amd64`)).text;
    for (const path of ['v1.13.0/metal-x86_64', 'v1.13.0/metal-i386', '1.13.0/metal-amd64']) {
      assert.equal((await download(factory.url, `/pxe/${id}/${path}`)).text, amd64);
    }
  });

  test('whatever a script names is there, without a redirect', async () => {
    const id = await createSchematic(factory.url, '{}');
    const { text } = await download(factory.url, `/pxe/${id}/v1.13.0/metal-amd64`);
    const urls = [...text.matchAll(/(?:kernel|initrd) (\S+)/g)].map((match) => match[1]!);
    assert.equal(urls.length, 2);
    for (const url of urls) {
      const answer = await send(factory.url, url.replace(PXE_URL, '/'), { method: 'HEAD' });
      assert.equal(answer.status, 200, url);
    }
  });
});
