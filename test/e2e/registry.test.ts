import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../src/process/run.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, download, send } from './client.ts';
import { type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// Installer images by the names that machines pull them by, from the composed factory, with a client of others.

let sandbox: SandboxRegistry;
let factory: LocalFactory;
let dir: string;
let id: string;
before(async () => {
  sandbox = await startSandbox();
  factory = await startLocalFactory({ sandbox });
  dir = await mkdtemp(join(tmpdir(), 'registry-'));
  await writeFile(join(dir, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  id = await createSchematic(
    factory.url,
    'customization: {systemExtensions: {officialExtensions: [siderolabs/gvisor]}}',
  );
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
  await rm(dir, { recursive: true, force: true });
});

async function skopeo(...args: readonly string[]): Promise<string> {
  const all = ['--policy', join(dir, 'policy.json'), ...args];
  const { stdout } = await runProgram({ program: 'skopeo', args: all, timeout: 180_000 });
  return Buffer.from(stdout).toString('utf8');
}

const image = (name: string): string => `docker://${new URL(factory.url).host}/${name}`;

for (const version of ['v1.9.5', 'v1.13.0']) {
  test(`${version}: an installer image is built, signed and pulled, for both architectures`, async () => {
    const name = image(`metal-installer/${id}:${version}`);
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', name);
    const index = JSON.parse(raw);
    assert.deepEqual(
      index.manifests.map((one: { platform: { architecture: string } }) => one.platform.architecture).sort(),
      ['amd64', 'arm64'],
    );
    for (const arch of ['amd64', 'arm64']) {
      await skopeo(
        '--override-arch',
        arch,
        'copy',
        '--src-tls-verify=false',
        name,
        `dir:${join(dir, version + arch)}`,
      );
    }
    const key = await send(factory.url, '/oci/cosign/signing-key.pub');
    assert.equal(key.status, 200);
    assert.match(key.text, /^-----BEGIN PUBLIC KEY-----\n/);
  });
}

test('the same installer as a file', async () => {
  const file = await download(factory.url, `/image/${id}/v1.13.0/installer-amd64.tar`);
  const path = join(dir, 'installer.tar');
  await writeFile(path, file.body);
  const config = JSON.parse(await skopeo('inspect', '--config', `docker-archive:${path}`));
  assert.equal(config.architecture, 'amd64');
  const again = await download(factory.url, `/image/${id}/v1.13.0/installer-amd64.tar`);
  assert.ok(again.body.equals(file.body));
});

test('what cannot be pulled says why, as registries do', async () => {
  for (const [path, status, code] of [
    [`/v2/metal-installer/${'0'.repeat(64)}/manifests/v1.13.0`, 404, /NAME_UNKNOWN|MANIFEST_UNKNOWN/],
    [`/v2/metal-installer/${id}/manifests/v1.99.0`, 404, /MANIFEST_UNKNOWN/],
    [`/v2/nosuch-installer/${id}/manifests/v1.13.0`, 400, /NAME_INVALID|UNSUPPORTED/],
    [`/v2/metal-installer-secureboot/${id}/manifests/v1.13.0`, 400, /./],
  ] as const) {
    const answer = await send(factory.url, path);
    assert.equal(answer.status, status, `${path}: ${answer.text}`);
    assert.match(answer.text, code, path);
  }
});
