import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Digest, parseTag, type Tag } from '../../src/oci/names.ts';
import type { Fault } from '../../src/testing/registry-faults.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { type Answer, createSchematic, send } from './client.ts';
import { type LocalFactory, type SandboxCopies, sandboxCopies, startLocalFactory } from './local-factory.ts';

// A registry that fails: it is named, it is told when to try again, nothing wrong is served, nothing is kept of it,
// and the factory recovers by itself.

let sandboxes: SandboxCopies;
before(async () => {
  sandboxes = await sandboxCopies();
});
after(() => sandboxes?.[Symbol.asyncDispose]());

const GVISOR = { customization: { systemExtensions: { officialExtensions: ['siderolabs/gvisor'] } } };
const PATH = 'v1.13.0/initramfs-amd64.xz';

async function image(factory: LocalFactory, path = PATH): Promise<Answer> {
  return send(factory.url, `/image/${await createSchematic(factory.url, GVISOR)}/${path}`);
}

/** The registry's fault, with its name and a time to come back. */
function assertUpstream(answer: Answer, status: number, text: RegExp): void {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.text, text);
  assert.match(String(answer.headers['retry-after']), /^[1-9][0-9]*$/);
  assert.equal(answer.headers['cache-control'], 'no-store');
}

/** Requests for the layers of the image that boot files of v1.13.0 come from. */
async function layersOfBoot({ registry }: SandboxRegistry): Promise<RegExp> {
  const manifest = await registry.storage('siderolabs/imager').manifest(parseTag('v1.13.0'));
  assert.ok(manifest !== undefined);
  const { layers } = JSON.parse(Buffer.from(manifest.bytes).toString('utf8'));
  return new RegExp(`/imager/blobs/(${layers.map(({ digest }: { digest: string }) => digest).join('|')})`);
}

/** Digest of a layer that only this extension has. */
async function layerOf({ registry }: SandboxRegistry, name: string): Promise<string> {
  const storage = registry.storage(name);
  const json = async (reference: Tag | Digest) => {
    const manifest = await storage.manifest(reference);
    assert.ok(manifest !== undefined);
    return JSON.parse(Buffer.from(manifest.bytes).toString('utf8'));
  };
  const index = await json(parseTag('20250505.0-v1.0.0'));
  const amd64 = index.manifests.find(
    ({ platform }: { platform: { architecture: string } }) => platform.architecture === 'amd64',
  );
  return (await json(amd64.digest)).layers[0].digest;
}

describe('upstream', { concurrency: true }, () => {
  describe('a registry that cannot be reached', { concurrency: true }, () => {
    test('from the start: not ready, then ready by itself', async () => {
      await using sandbox = await sandboxes.start();
      sandbox.registry.fault({ fault: { kind: 'reset' }, times: Number.POSITIVE_INFINITY });
      await using factory = await startLocalFactory({ sandbox, ready: false });
      const health = await send(factory.url, '/healthz');
      assert.equal(health.status, 200);
      assertUpstream(await send(factory.url, '/readyz'), 503, /^not ready: /);
      assertUpstream(await send(factory.url, '/versions'), 503, new RegExp(sandbox.registry.host));
      // Schematics need no registry here.
      assertUpstream(
        await image(factory),
        503,
        new RegExp(`registry ${sandbox.registry.host} cannot be reached`),
      );
      sandbox.registry.clearFaults();
      assert.equal((await image(factory)).status, 200);
      assert.equal((await send(factory.url, '/readyz')).status, 200);
    });

    test('later: what is known is served, what is not says so', async () => {
      await using sandbox = await sandboxes.start();
      await using factory = await startLocalFactory({ sandbox });
      const first = await image(factory);
      assert.equal(first.status, 200);
      sandbox.registry.fault({ fault: { kind: 'reset' }, times: Number.POSITIVE_INFINITY });
      const second = await image(factory);
      assert.ok(second.body.equals(first.body));
      assert.equal((await send(factory.url, '/versions')).status, 200);
      const other = await createSchematic(factory.url, '{}');
      const composed = await send(factory.url, `/image/${other}/${PATH}`);
      assert.equal(composed.status, 200, 'another schematic from sources that are there');
      assertUpstream(await image(factory, 'v1.7.6/initramfs-amd64.xz'), 503, /cannot be reached/);
    });
  });

  const FAULTS: readonly (readonly [name: string, fault: Fault, status: number, text: RegExp])[] = [
    ['status 500', { kind: 'status', status: 500, body: 'secret detail' }, 502, /failed with status 500/],
    ['status 503', { kind: 'status', status: 503 }, 503, /failed with status 503/],
    ['status 429', { kind: 'status', status: 429, headers: { 'retry-after': '77' } }, 503, /limits the rate/],
    ['status 401', { kind: 'status', status: 401 }, 502, /credentials/],
    ['status 404', { kind: 'status', status: 404 }, 502, /is missing|absent/],
    [
      'another body',
      { kind: 'corrupt', at: 20 },
      502,
      /expected digest sha256:[0-9a-f]{64}, got sha256:|layer sha256/,
    ],
    ['a body that ends early', { kind: 'truncate', after: 0 }, 503, /cannot be reached|ended early/],
    ['reset connections', { kind: 'reset' }, 503, /cannot be reached/],
  ];

  describe('blobs', { concurrency: true }, () => {
    for (const [name, fault, status, text] of FAULTS) {
      test(name, async () => {
        await using sandbox = await sandboxes.start();
        sandbox.registry.fault({ path: await layersOfBoot(sandbox), fault, times: Number.POSITIVE_INFINITY });
        await using factory = await startLocalFactory({ sandbox });
        const answer = await image(factory);
        assertUpstream(answer, status, text);
        assert.match(answer.text, new RegExp(sandbox.registry.host), 'the registry is named');
        sandbox.registry.clearFaults();
        const path = '/version/v1.13.0/extensions/official';
        assert.equal((await send(factory.url, path)).status, 200, 'the next one gets it');
        const again = await image(factory);
        assert.equal(again.status, 200, again.text);
      });
    }
  });

  test('a blob that never comes holds up nobody else', { timeout: 60_000 }, async () => {
    await using sandbox = await sandboxes.start();
    const layer = await layerOf(sandbox, 'siderolabs/gvisor');
    sandbox.registry.fault({
      path: `/gvisor/blobs/${layer}`,
      fault: { kind: 'hang' },
      times: Number.POSITIVE_INFINITY,
    });
    await using factory = await startLocalFactory({ sandbox, config: { build: { maxConcurrency: 1 } } });
    const waiting = image(factory);
    // It ends when the factory is closed.
    waiting.catch(() => {});
    const other = await createSchematic(factory.url, '{}');
    while (!sandbox.registry.calls.some(({ path }) => path.endsWith(layer))) await delay(20);
    assert.equal((await send(factory.url, `/image/${other}/${PATH}`)).status, 200);
  });

  describe('what another try mends', { concurrency: true }, () => {
    for (const [name, fault] of [
      ['one status 503', { kind: 'status', status: 503 }],
      ['one reset', { kind: 'reset' }],
      ['one transfer that breaks off', { kind: 'truncate', after: 100_000 }],
      ['a slow answer', { kind: 'delay', milliseconds: 1500 }],
    ] satisfies (readonly [string, Fault])[]) {
      test(name, async () => {
        await using sandbox = await sandboxes.start();
        await using factory = await startLocalFactory({ sandbox });
        sandbox.registry.fault({ path: '/siderolabs/imager/blobs/', fault });
        assert.equal((await image(factory)).status, 200);
      });
    }
  });

  describe('signatures', { concurrency: true }, () => {
    test('of another key are refused', async () => {
      await using sandbox = await sandboxes.start();
      await using factory = await startLocalFactory({ sandbox, ready: false });
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const publicKeyFile = join(factory.dataDir, 'other.pub');
      await writeFile(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }));
      await using strict = await startLocalFactory({
        sandbox,
        config: { containerSignature: { publicKeyFile } },
      });
      const about = new RegExp(`${sandbox.registry.host}/siderolabs/imager`);
      for (const version of ['v1.7.6', 'v1.13.0']) {
        assertUpstream(await image(strict, `${version}/kernel-amd64`), 502, about);
        assertUpstream(await send(strict.url, `/version/${version}/extensions/official`), 502, /signature/);
      }
    });

    // Old releases carry a tag beside the image, new ones a referrer.
    for (const [version, what] of [
      ['v1.7.6', /\/imager\/manifests\/sha256-/],
      ['v1.13.0', /\/imager\/referrers\//],
    ] as const) {
      test(`that are missing are missed, ${version}`, async () => {
        await using sandbox = await sandboxes.start();
        const missing: Fault = { kind: 'status', status: 404 };
        sandbox.registry.fault({ path: what, fault: missing, times: Number.POSITIVE_INFINITY });
        sandbox.registry.fault({
          path: /manifests\/sha256-/,
          fault: missing,
          times: Number.POSITIVE_INFINITY,
        });
        await using factory = await startLocalFactory({ sandbox });
        const answer = await image(factory, `${version}/kernel-amd64`);
        assertUpstream(answer, 502, /no .*signature|signature.*(missing|found)|not signed/i);
        sandbox.registry.clearFaults();
        assert.equal((await image(factory, `${version}/kernel-amd64`)).status, 200);
      });
    }

    test('of an image under the tag of another one do not count for it', async () => {
      // Somebody moves a version's tag to an image that nobody signed: the other version's content, changed.
      await using sandbox = await sandboxes.start();
      const imager = sandbox.registry.storage('siderolabs/imager');
      const signed = await imager.manifest(parseTag('v1.13.0'));
      assert.ok(signed !== undefined);
      const forged = Buffer.from(`${Buffer.from(signed.bytes).toString('utf8').trimEnd()}\n \n`);
      await imager.pushManifest(parseTag('v1.13.0'), signed.descriptor.mediaType, forged);
      await using factory = await startLocalFactory({ sandbox });
      assertUpstream(await image(factory, 'v1.13.0/kernel-amd64'), 502, /signature|signed/);
      assert.equal((await image(factory, 'v1.12.0/kernel-amd64')).status, 200);
    });

    test('of another image under the name of this one do not count', async () => {
      await using sandbox = await sandboxes.start();
      const imager = sandbox.registry.storage('siderolabs/imager');
      const mine = await imager.resolve(parseTag('v1.7.6'));
      const other = await imager.resolve(parseTag('v1.6.4'));
      const tag = (digest: string): Tag => parseTag(`${digest.replace(':', '-')}.sig`);
      const signature = await imager.manifest(tag(other!.digest));
      assert.ok(signature !== undefined);
      await imager.pushManifest(tag(mine!.digest), signature.descriptor.mediaType, signature.bytes);
      await using factory = await startLocalFactory({ sandbox });
      assertUpstream(await image(factory, 'v1.7.6/kernel-amd64'), 502, /signature/);
      assert.equal((await image(factory, 'v1.6.4/kernel-amd64')).status, 200);
    });
  });
});
