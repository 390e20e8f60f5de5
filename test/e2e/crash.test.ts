import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type FactoryProcess, startFactoryProcess } from '../../src/testing/factory-process.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, download, send, sha256 } from './client.ts';
import { EXTERNAL_URL, startLocalFactory, startSandbox } from './local-factory.ts';

// The program is killed at any moment of builds and of writes to its data directory: what it serves afterwards is
// whole, what it said was stored is stored, and nothing stays behind.

let sandbox: SandboxRegistry;
let dir: string;
before(async () => {
  sandbox = await startSandbox();
  dir = await mkdtemp(join(tmpdir(), 'crash-'));
  await mkdir(join(dir, 'tmp'));
});
after(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await sandbox?.registry.close();
  await rm(dir, { recursive: true, force: true });
});

const started: FactoryProcess[] = [];

async function start(): Promise<FactoryProcess> {
  const factory = await startFactoryProcess({
    directory: dir,
    registry: sandbox.registry.host,
    publicKeyFile: sandbox.release.publicKeyFile,
    config: { http: { externalURL: EXTERNAL_URL } },
    env: { TMPDIR: join(dir, 'tmp') },
  });
  started.push(factory);
  return factory;
}

async function kill(factory: FactoryProcess): Promise<void> {
  const gone = once(factory.child, 'exit');
  assert.equal(factory.child.exitCode, null, `it lives until it is killed\n${factory.log()}`);
  factory.child.kill('SIGKILL');
  await gone;
}

const schematic = (round: number): object => ({
  customization: {
    extraKernelArgs: [`round=${round}`],
    systemExtensions: {
      officialExtensions: [
        'siderolabs/gvisor',
        'siderolabs/intel-ucode',
        'siderolabs/i915-ucode',
        'siderolabs/drbd',
      ],
    },
  },
});

/** A version nobody has asked for before, and when it is killed: after milliseconds, or in the middle of a layer. */
const ROUNDS: readonly (readonly [version: string, when: number | 'in a layer'])[] = [
  ['v1.13.0', 100],
  ['v1.12.0', 'in a layer'],
  ['v1.11.2', 600],
  ['v1.10.1', 900],
  ['v1.9.5', 1300],
  ['v1.7.6', 'in a layer'],
  ['v1.6.4', 1800],
  ['v1.5.5', 2500],
];
const FILES = ['initramfs-amd64.xz', 'metal-amd64-uki.efi', 'cmdline-metal-amd64'];

test('kill -9 in the middle of builds', { timeout: 180_000 }, async (t) => {
  const ids: string[] = [];
  /** Path and digest of everything that came whole, in any round. */
  const seen = new Map<string, string>();
  const note = (path: string, body: Uint8Array): void => {
    const digest = sha256(body);
    assert.equal(seen.get(path) ?? digest, digest, `${path} is always the same`);
    seen.set(path, digest);
  };

  for (const [round, [version, when]] of ROUNDS.entries()) {
    const factory = await start();
    assert.deepEqual(await readdir(join(dir, 'data/store/work')), [], 'what the last one left is gone');
    const id = await createSchematic(factory.url, schematic(round));
    ids.push(id);
    // Breaks off with the program; whoever got everything got the right thing.
    const requests = FILES.map(async (file) => {
      const path = `/image/${id}/${version}/${file}`;
      note(path, (await download(factory.url, path)).body);
    });
    const more = (async () => {
      for (let n = 0; ; n++) ids.push(await createSchematic(factory.url, schematic(1000 * (round + 1) + n)));
    })();
    const settled = Promise.allSettled([...requests, more]);
    if (when === 'in a layer') {
      const path = '/siderolabs/imager/blobs/';
      sandbox.registry.fault({ path, skip: 2, fault: { kind: 'stall', after: 1 << 20 }, times: 10 });
      sandbox.registry.clearCalls();
      while (sandbox.registry.calls.filter((call) => call.path.includes(path)).length < 3) await delay(10);
      await delay(150);
    } else await delay(when);
    await kill(factory);
    sandbox.registry.clearFaults();
    for (const result of await settled) {
      if (result.status === 'rejected')
        assert.match(String(result.reason.code ?? result.reason), /^E[A-Z]+$/);
    }
  }
  t.diagnostic(`${seen.size} assets came before a kill, ${ids.length} schematics were stored`);

  // A temporary file of the embedded repositories belongs to a process that may live elsewhere, for a day.
  const abandoned = join(dir, 'data/oci/tmp/1-abandoned');
  await writeFile(abandoned, 'x');
  await utimes(abandoned, new Date(0), new Date(0));
  await using factory = await start();
  assert.ok(!(await readdir(join(dir, 'data/oci/tmp'))).includes('1-abandoned'));

  for (const id of ids)
    assert.equal((await send(factory.url, `/schematics/${id}`)).status, 200, 'was stored');
  await using reference = await startLocalFactory({ sandbox });
  for (const [round, [version]] of ROUNDS.entries()) {
    const id = await createSchematic(reference.url, schematic(round));
    for (const file of FILES) {
      const path = `/image/${id}/${version}/${file}`;
      const { body } = await download(factory.url, path);
      note(path, body);
      assert.equal(sha256((await download(reference.url, path)).body), sha256(body), path);
    }
  }
  assert.equal(await factory.stop(), 0, factory.log());
  assert.deepEqual(await readdir(join(dir, 'data/store/work')), []);
  assert.deepEqual(await readdir(join(dir, 'tmp')), []);
  assert.deepEqual(await programsOf(dir), [], 'no program that it started is left');
});

test('SIGTERM in the middle of a build ends it in time and leaves nothing', { timeout: 60_000 }, async () => {
  const factory = await start();
  const id = await createSchematic(factory.url, schematic(99));
  const path = `/image/${id}/v1.3.7/initramfs-amd64.xz`;
  sandbox.registry.fault({
    path: '/imager/blobs/',
    skip: 2,
    fault: { kind: 'stall', after: 1000 },
    times: 10,
  });
  sandbox.registry.clearCalls();
  const waiting = send(factory.url, path);
  waiting.catch(() => {});
  while (sandbox.registry.calls.filter((call) => call.path.includes('/imager/blobs/')).length < 3)
    await delay(10);
  assert.equal(await factory.stop(), 0, factory.log());
  await assert.rejects(waiting);
  sandbox.registry.clearFaults();
  assert.deepEqual(await readdir(join(dir, 'tmp')), []);
  assert.deepEqual(await programsOf(dir), []);
  await using next = await start();
  assert.deepEqual(await readdir(join(dir, 'data/store/work')), []);
  assert.equal((await send(next.url, path)).status, 200);
});

/** Command lines of running programs that name a place below a directory; those that are ending get a moment. */
async function programsOf(directory: string): Promise<string[]> {
  let found: string[] = [];
  for (let attempt = 0; attempt < 50; attempt++) {
    found = [];
    for (const pid of await readdir('/proc')) {
      if (!/^[0-9]+$/.test(pid)) continue;
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(directory)) found.push(line.replaceAll('\0', ' '));
    }
    if (found.length === 0) break;
    await delay(100);
  }
  return found;
}
