import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type FactoryProcess, startFactoryProcess } from '../../src/testing/factory-process.ts';
import { grubDirectory } from '../../src/testing/grub-directory.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, open, send } from './client.ts';
import { EXTERNAL_URL, startSandbox } from './local-factory.ts';

// Two factories that have nothing in common but their configuration give the same bytes under the same tags.

let sandbox: SandboxRegistry;
let dir: string;
let modules: string;
before(async () => {
  sandbox = await startSandbox();
  modules = await grubDirectory(join(import.meta.dirname, '../../.cache'));
  dir = await mkdtemp(join(tmpdir(), 'reproducible-'));
});
after(async () => {
  await sandbox?.registry.close();
  await rm(dir, { recursive: true, force: true });
});

/** The program with another data directory, time zone, locale, umask and home. */
async function start(
  name: string,
  umask: number,
  env: Readonly<Record<string, string>>,
): Promise<FactoryProcess> {
  const directory = join(dir, name);
  await mkdir(directory);
  const before = process.umask(umask);
  try {
    return await startFactoryProcess({
      directory,
      registry: sandbox.registry.host,
      publicKeyFile: sandbox.release.publicKeyFile,
      config: { http: { externalURL: EXTERNAL_URL }, build: { grubDirectory: modules } },
      env: { HOME: directory, ...env },
    });
  } finally {
    process.umask(before);
  }
}

const SCHEMATIC = {
  customization: {
    extraKernelArgs: ['net.ifnames=0'],
    meta: [{ key: 12, value: 'ä' }],
    systemExtensions: {
      officialExtensions: [
        ...['siderolabs/gvisor', 'siderolabs/iscsi-tools', 'siderolabs/hello-world-service'],
        ...['siderolabs/intel-ucode', 'siderolabs/amd-ucode', 'siderolabs/i915'],
        ...['siderolabs/drbd', 'siderolabs/gasket-driver'],
      ],
    },
  },
};
const PATHS = ['v1.7.6', 'v1.13.0'].flatMap((version) =>
  ['amd64', 'arm64'].flatMap((arch) =>
    [`initramfs-${arch}.xz`, `cmdline-metal-${arch}`, `metal-${arch}-uki.efi`, `metal-${arch}.iso`].map(
      (file) => `${version}/${file}`,
    ),
  ),
);
/** Disk images: every container, every outer format, both architectures and every bootloader. */
const DISK_PATHS = [
  ...['raw', 'raw.xz', 'raw.zst', 'raw.gz', 'raw.tar.gz', 'qcow2', 'vhd', 'ova'].map(
    (suffix) => `v1.7.6/metal-amd64.${suffix}`,
  ),
  ...['qcow2', 'vhd.xz', 'ova.zst'].map((suffix) => `v1.13.0/azure-amd64.${suffix}`),
  ...['qcow2.gz', 'raw.tar.gz'].map((suffix) => `v1.13.0/metal-arm64.${suffix}`),
];
const BOARD = {
  customization: { diskImage: { sectorSize: 4096 }, meta: [{ key: 10, value: 'x' }] },
  overlay: { name: 'rpi_generic', image: 'siderolabs/sbc-raspberrypi', options: { board: 'ä' } },
};

test('other directory, time zone, locale, umask, order and neighbours: the same bytes', async () => {
  await using one = await start('one', 0o077, {
    TZ: 'Asia/Kathmandu',
    LC_ALL: 'tr_TR.UTF-8',
    LANG: 'tr_TR.UTF-8',
  });
  await using two = await start('with blanks and ümlaut', 0o000, {
    TZ: 'America/St_Johns',
    LC_ALL: 'C',
    LANG: 'C',
  });
  const id = await createSchematic(one.url, SCHEMATIC);
  assert.equal(await createSchematic(two.url, SCHEMATIC), id);
  // The second one has made other things before, which share pieces with these.
  const neighbour = await createSchematic(two.url, {
    customization: { systemExtensions: { officialExtensions: ['siderolabs/drbd', 'siderolabs/gvisor'] } },
  });
  assert.equal((await send(two.url, `/image/${neighbour}/v1.13.0/initramfs-amd64.xz`)).status, 200);

  const board = await createSchematic(one.url, BOARD);
  assert.equal(await createSchematic(two.url, BOARD), board);

  const paths = [
    ...[...PATHS, ...DISK_PATHS].map((path) => `${id}/${path}`),
    ...['raw.xz', 'raw.tar.gz'].map((suffix) => `${board}/v1.13.0/metal-arm64.${suffix}`),
  ];
  const [first, second] = await Promise.all([made(one, paths), made(two, paths.toReversed())]);
  for (const path of paths) assert.equal(second.get(path), first.get(path), path);
});

/** Tag, size and digest of each path, three at a time. */
async function made(factory: FactoryProcess, paths: readonly string[]): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  const left = paths.values();
  const take = async (): Promise<void> => {
    for (const path of left) {
      const response = await open(factory.url, `/image/${path}`);
      assert.equal(response.statusCode, 200, `${path}\n${factory.log()}`);
      const hash = createHash('sha256');
      let size = 0;
      for await (const chunk of response) {
        hash.update(chunk);
        size += chunk.length;
      }
      result.set(path, `${response.headers.etag} ${size} ${hash.digest('hex')}`);
    }
  };
  await Promise.all([take(), take(), take()]);
  return result;
}
