import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../src/process/run.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, download, send } from './client.ts';
import { type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// The data directory is on a small file system of its own, which is really full.

let sandbox: SandboxRegistry;
before(async () => {
  sandbox = await startSandbox();
});
after(() => sandbox?.registry.close());

/** A file system in memory of so many MiB. */
async function smallDisk(mebibytes: number) {
  const path = await mkdtemp(join(tmpdir(), 'small-disk-'));
  const mount = async (...options: readonly string[]): Promise<void> => {
    await runProgram({ program: 'mount', args: ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', path] });
  };
  try {
    await mount(`size=${mebibytes}m`, 'mode=700');
  } catch (error) {
    await rm(path, { recursive: true });
    throw new Error('this test needs to mount a file system of its own: run it as root', { cause: error });
  }
  return {
    path,
    resize: (to: number) => mount('remount', `size=${to}m`),
    async [Symbol.asyncDispose]() {
      await runProgram({ program: 'umount', args: [path] });
      await rm(path, { recursive: true });
    },
  };
}

const SCHEMATIC = {
  customization: { systemExtensions: { officialExtensions: ['siderolabs/gvisor', 'siderolabs/drbd'] } },
};

function assertFull(answer: { status: number; text: string; headers: object }): void {
  assert.equal(answer.status, 503, answer.text);
  assert.match(answer.text, /no space left in the .*directory/);
  assert.match(String(Reflect.get(answer.headers, 'retry-after')), /^[1-9][0-9]*$/);
}

const work = (factory: LocalFactory): Promise<string[]> => readdir(join(factory.dataDir, 'store/work'));

test('a disk that is too small for a release', async () => {
  await using disk = await smallDisk(16);
  await using factory = await startLocalFactory({ sandbox, dataDir: disk.path });
  const id = await createSchematic(factory.url, SCHEMATIC);
  const path = `/image/${id}/v1.13.0/initramfs-amd64.xz`;
  assertFull(await send(factory.url, path));
  assert.deepEqual(await work(factory), [], 'what was begun takes no space');
  // What needs no space goes on.
  assert.equal((await send(factory.url, `/image/${id}/v1.13.0/cmdline-metal-amd64`)).status, 200);
  assert.equal((await send(factory.url, '/version/v1.13.0/extensions/official')).status, 200);
  assertFull(await send(factory.url, path));
  await disk.resize(512);
  await using reference = await startLocalFactory({ sandbox });
  await createSchematic(reference.url, SCHEMATIC);
  assert.ok((await download(factory.url, path)).body.equals((await download(reference.url, path)).body));
});

test('a disk that fills while images are made', async () => {
  await using disk = await smallDisk(256);
  await using factory = await startLocalFactory({ sandbox, dataDir: disk.path });
  const plain = await createSchematic(factory.url, '{}');
  const id = await createSchematic(factory.url, SCHEMATIC);
  const kernel = await download(factory.url, `/image/${plain}/v1.13.0/kernel-amd64`);
  const filler = join(disk.path, 'filler');
  const { bavail, bsize } = await statfs(disk.path);
  await writeFile(filler, Buffer.alloc((bavail - 2) * bsize));

  const path = `/image/${id}/v1.13.0/metal-amd64-uki.efi`;
  assertFull(await send(factory.url, path));
  assert.deepEqual(await work(factory), []);
  // What is there is served; a schematic that cannot be stored is not taken.
  const again = await download(factory.url, `/image/${plain}/v1.13.0/kernel-amd64`);
  assert.ok(again.body.equals(kernel.body));
  assert.equal((await send(factory.url, `/schematics/${id}`)).status, 200);
  const big = { customization: { extraKernelArgs: ['x'.repeat(100_000)] } };
  const refused = await send(factory.url, '/schematics', { method: 'POST', body: JSON.stringify(big) });
  assertFull(refused);

  await rm(filler);
  await createSchematic(factory.url, big);
  assert.equal((await send(factory.url, path)).status, 200, 'by itself, when there is space again');
});

test('a store that is smaller than what is asked for forgets what was used least', async () => {
  await using factory = await startLocalFactory({ sandbox, config: { store: { maxSize: '70MiB' } } });
  const id = await createSchematic(factory.url, SCHEMATIC);
  for (const version of ['v1.13.0', 'v1.12.0', 'v1.11.2', 'v1.13.0']) {
    const path = `/image/${id}/${version}/initramfs-amd64.xz`;
    assert.equal((await send(factory.url, path)).status, 200, version);
  }
});
