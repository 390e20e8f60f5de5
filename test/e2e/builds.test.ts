import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, createSchematic, download, open, send } from './client.ts';
import { type SandboxCopies, sandboxCopies, startLocalFactory } from './local-factory.ts';

// Who asks at the same time, leaves early, or comes back after a restart.

let sandboxes: SandboxCopies;
before(async () => {
  sandboxes = await sandboxCopies();
});
after(() => sandboxes?.[Symbol.asyncDispose]());

const EXTENSIONS = ['siderolabs/gvisor', 'siderolabs/drbd', 'siderolabs/i915'];
const SCHEMATIC = { customization: { systemExtensions: { officialExtensions: EXTENSIONS } } };
const FILE = 'v1.13.0/metal-amd64-uki.efi';

test('fifty clients that ask for one unbuilt image share one build', async () => {
  await using sandbox = await sandboxes.start();
  await using factory = await startLocalFactory({ sandbox });
  const path = `/image/${await createSchematic(factory.url, SCHEMATIC)}/${FILE}`;
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      send(
        factory.url,
        path,
        i % 5 === 0 ? { method: 'HEAD' } : { headers: { range: `bytes=${i * 1000}-` } },
      ),
    ),
  );
  assert.equal(await factory.metric('image_factory_assets_built_total'), 1);
  const whole = (await download(factory.url, path)).body;
  for (const [i, { status, body, headers }] of answers.entries()) {
    assert.equal(status, i % 5 === 0 ? 200 : 206);
    assert.equal(headers.etag, answers[0]!.headers.etag);
    if (i % 5 !== 0) assert.ok(body.equals(whole.subarray(i * 1000)));
  }
  // Nothing came twice from the registry.
  const blobs = sandbox.registry.calls.filter(
    ({ method, path }) => method === 'GET' && path.includes('/blobs/'),
  );
  assert.equal(new Set(blobs.map((call) => call.path)).size, blobs.length);
});

test('schematics that share extensions share their pieces', async () => {
  await using sandbox = await sandboxes.start();
  await using factory = await startLocalFactory({ sandbox });
  const bodies: Buffer[] = [];
  for (const args of [['a=1'], ['a=2']]) {
    const id = await createSchematic(factory.url, {
      customization: { ...SCHEMATIC.customization, extraKernelArgs: args },
    });
    bodies.push((await download(factory.url, `/image/${id}/${FILE}`)).body);
    if (bodies.length === 1) sandbox.registry.clearCalls();
  }
  assert.ok(!bodies[0]!.equals(bodies[1]!));
  assert.deepEqual(
    sandbox.registry.calls.filter(({ path }) => path.includes('/blobs/')),
    [],
  );
});

test('a client that leaves while its image is built finds it built', { timeout: 60_000 }, async () => {
  await using sandbox = await sandboxes.start();
  await using factory = await startLocalFactory({ sandbox });
  const path = `/image/${await createSchematic(factory.url, SCHEMATIC)}/${FILE}`;
  const layer = '/imager/blobs/';
  sandbox.registry.fault({ path: layer, fault: { kind: 'delay', milliseconds: 500 }, times: 3 });
  const left = new AbortController();
  const gone = fetch(`${factory.url}${path}`, { signal: left.signal });
  gone.catch(() => {});
  while (!sandbox.registry.calls.some((call) => call.path.includes(layer))) await delay(10);
  left.abort();
  await assert.rejects(gone);
  while ((await factory.metric('image_factory_assets_built_total')) === 0) await delay(20);
  sandbox.registry.clearCalls();
  assert.equal((await send(factory.url, path)).status, 200);
  assert.equal(await factory.metric('image_factory_assets_built_total'), 1);
  assert.deepEqual([...sandbox.registry.calls], []);
  assert.ok(
    factory.lines.some(({ fields }) => fields.status === 499),
    'the log says that the client left',
  );
});

test('a client that breaks off a download, or does not read on, harms nobody', async () => {
  await using sandbox = await sandboxes.start();
  await using factory = await startLocalFactory({ sandbox });
  const path = `/image/${await createSchematic(factory.url, SCHEMATIC)}/${FILE}`;
  const whole = (await download(factory.url, path)).body;
  const sleeping = await Promise.all(Array.from({ length: 10 }, () => open(factory.url, path)));
  for (let i = 0; i < 5; i++) {
    const response = await open(factory.url, path);
    const first: Buffer | null = await once(response, 'data').then(([chunk]) => chunk);
    assert.ok(first !== null && first.length > 0);
    response.destroy();
  }
  assert.ok((await download(factory.url, path)).body.equals(whole));
  // Those who slept read on where they were.
  for (const response of sleeping) {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(whole));
  }
});

test('more builds than may wait are told when to come back', async () => {
  await using sandbox = await sandboxes.start();
  await using factory = await startLocalFactory({
    sandbox,
    config: { build: { maxConcurrency: 1, queueLimit: 2 } },
  });
  const ids = await Promise.all(
    Array.from({ length: 12 }, (_, i) =>
      createSchematic(factory.url, { customization: { extraKernelArgs: [`n=${i}`] } }),
    ),
  );
  const answers = await Promise.all(ids.map((id) => send(factory.url, `/image/${id}/${FILE}`)));
  const statuses = (status: number): Answer[] => answers.filter((answer) => answer.status === status);
  assert.equal(statuses(200).length + statuses(503).length, 12);
  assert.ok(statuses(200).length >= 3);
  assert.ok(statuses(503).length > 0);
  for (const { text, headers } of statuses(503)) {
    assert.match(text, /1 builds are running and 2 are waiting/);
    assert.match(String(headers['retry-after']), /^[1-9][0-9]*$/);
  }
  for (const id of ids.slice(0, 3))
    assert.equal((await send(factory.url, `/image/${id}/${FILE}`)).status, 200);
});

test('after a restart everything is there again', async (t) => {
  await using sandbox = await sandboxes.start();
  const dataDir = await mkdtemp(join(tmpdir(), 'restart-'));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const first = await startLocalFactory({ sandbox, dataDir });
  const id = await createSchematic(first.url, SCHEMATIC);
  const path = `/image/${id}/${FILE}`;
  const before = await download(first.url, path);
  await first[Symbol.asyncDispose]();

  sandbox.registry.clearCalls();
  await using second = await startLocalFactory({ sandbox, dataDir });
  const after = await download(second.url, path);
  assert.ok(after.body.equals(before.body));
  assert.equal(after.headers.etag, before.headers.etag);
  const blobs = sandbox.registry.calls.filter(
    (call) => call.method === 'GET' && call.path.includes('/blobs/'),
  );
  assert.deepEqual(blobs, [], 'all sources were kept');
  const resumed = await send(second.url, path, {
    headers: { range: 'bytes=1000-', 'if-range': String(before.headers.etag) },
  });
  assert.equal(resumed.status, 206, 'a download begun before the restart can be resumed');
  assert.ok(resumed.body.equals(before.body.subarray(1000)));
});

test('after a restart without its registry what is known is served, and what is not says what it waits for', async (t) => {
  await using sandbox = await sandboxes.start();
  const dataDir = await mkdtemp(join(tmpdir(), 'restart-'));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const first = await startLocalFactory({ sandbox, dataDir });
  const id = await createSchematic(first.url, SCHEMATIC);
  const path = `/image/${id}/${FILE}`;
  const before = await download(first.url, path);
  const versions = await send(first.url, '/versions');
  await first[Symbol.asyncDispose]();

  sandbox.registry.fault({ fault: { kind: 'reset' }, times: Number.POSITIVE_INFINITY });
  await using second = await startLocalFactory({ sandbox, dataDir });
  assert.equal((await send(second.url, '/versions')).text, versions.text);
  assert.equal((await send(second.url, `/schematics/${id}`)).status, 200);
  assert.ok((await download(second.url, path)).body.equals(before.body));

  const unknown = await send(second.url, `/image/${id}/v1.5.5/kernel-amd64`);
  assert.equal(unknown.status, 503);
  assert.match(unknown.text, new RegExp(`registry ${sandbox.registry.host} cannot be reached`));
  assert.match(String(unknown.headers['retry-after']), /^[1-9][0-9]*$/);
});

test('a factory that never reached its registry is not ready', async () => {
  await using sandbox = await sandboxes.start();
  sandbox.registry.fault({ fault: { kind: 'reset' }, times: Number.POSITIVE_INFINITY });
  await using factory = await startLocalFactory({ sandbox, ready: false });
  assert.equal((await send(factory.url, '/readyz')).status, 503);
  assert.equal((await send(factory.url, '/versions')).status, 503);
});

test('one data directory belongs to one factory', async () => {
  await using sandbox = await sandboxes.start();
  await using factory = await startLocalFactory({ sandbox });
  await assert.rejects(startLocalFactory({ sandbox, dataDir: factory.dataDir }), { code: 'STORE_IN_USE' });
});
