import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type FactoryProcess, startFactoryProcess } from '../../src/testing/factory-process.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, send, sha256 } from './client.ts';
import { EXTERNAL_URL, startSandbox } from './local-factory.ts';

// Two factories that have nothing in common but their configuration give the same bytes under the same tags.

let sandbox: SandboxRegistry;
let dir: string;
before(async () => {
  sandbox = await startSandbox();
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
      config: { http: { externalURL: EXTERNAL_URL } },
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
    [`initramfs-${arch}.xz`, `cmdline-metal-${arch}`, `metal-${arch}-uki.efi`, `metal-${arch}.iso`]
      // Old ISOs for arm64 boot with GRUB, whose modules for it Debian has for arm64 machines only.
      .filter((file) => version !== 'v1.7.6' || file !== 'metal-arm64.iso')
      .map((file) => `${version}/${file}`),
  ),
);

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

  const made = async (factory: FactoryProcess, paths: readonly string[]): Promise<Map<string, string>> => {
    const result = new Map<string, string>();
    await Promise.all(
      paths.map(async (path) => {
        const answer = await send(factory.url, `/image/${id}/${path}`);
        assert.equal(answer.status, 200, `${path}: ${answer.text.slice(0, 500)}\n${factory.log()}`);
        result.set(path, `${answer.headers.etag} ${answer.body.length} ${sha256(answer.body)}`);
      }),
    );
    return result;
  };
  const [first, second] = await Promise.all([made(one, PATHS), made(two, PATHS.toReversed())]);
  for (const path of PATHS) assert.equal(second.get(path), first.get(path), path);
});
