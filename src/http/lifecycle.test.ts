import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { zeroBlob } from '../blob/bytes.ts';
import { silentLog } from '../log.ts';
import { createMetricsServer } from './metrics-server.ts';
import { FakeAsset, SCHEMATIC } from './testing/fakes.ts';
import { TestServer } from './testing/start.ts';

const GET = `GET /image/${SCHEMATIC}/v1.11.0/metal-amd64.raw HTTP/1.1\r\nHost: a\r\n\r\n`;

test('not ready until the service says so', async () => {
  let ready = false;
  await using server = await TestServer.start({
    ready: () => (ready ? { ready } : { ready, reason: 'no listing of Talos versions yet' }),
  });
  const before = await server.request('GET', '/readyz');
  assert.deepEqual([before.status, before.text], [503, 'not ready: no listing of Talos versions yet\n']);
  assert.equal((await server.request('GET', '/healthz')).status, 200);
  ready = true;
  assert.equal((await server.request('GET', '/readyz')).status, 200);
});

test('closing lets a running request end, and nothing new begin', async () => {
  const opened = Promise.withResolvers<void>();
  const go = Promise.withResolvers<FakeAsset>();
  await using server = await TestServer.start({
    open: () => {
      opened.resolve();
      return go.promise;
    },
  });
  const idle = server.connect();
  idle.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(idle, 'data');
  const answer = server.raw(GET);
  await opened.promise;
  const closing = server.server.close(10_000);
  await once(idle, 'close');
  const late = server.connect();
  const [error] = await once(late, 'error');
  assert.equal(error.code, 'ECONNREFUSED');
  const asset = new FakeAsset(zeroBlob(100));
  go.resolve(asset);
  const text = await answer;
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.match(text, /Connection: close\r\n/);
  assert.ok(text.endsWith('\u0000'.repeat(100)));
  await closing;
  assert.equal(asset.disposed, 1);
});

test('what does not end in time is broken', async () => {
  const opened = Promise.withResolvers<void>();
  await using server = await TestServer.start({
    open: ({ signal }) =>
      new Promise((_, reject) => {
        opened.resolve();
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  });
  const answer = server.raw(GET).catch(() => '');
  await opened.promise;
  await server.server.close(20);
  assert.equal(await answer, '');
});

test('a second listener on the same port says which', async () => {
  await using server = await TestServer.start();
  const metrics = createMetricsServer(new Registry(), silentLog);
  await assert.rejects(metrics.listen(`127.0.0.1:${server.port}`), {
    code: 'LISTEN_FAILED',
    message: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${server.port}: .*EADDRINUSE`),
  });
});

test('routes of others join the table, and replace ours', async () => {
  const route = {
    method: 'GET',
    id: 'x',
    class: 'public',
    tag: 'x',
    summary: 'x',
    responses: [],
    errors: [],
    handle: () => ({ kind: 'message', status: 200, body: 'theirs' }) as const,
  } as const;
  await using server = await TestServer.start(
    {},
    {
      routes: [
        { ...route, path: '/' },
        { ...route, path: '/v2/*path' },
      ],
    },
  );
  assert.equal((await server.request('GET', '/')).text, 'theirs');
  assert.equal((await server.request('GET', '/v2/a/b')).text, 'theirs');
});

test('the metrics listener serves /metrics with any method, and nothing else', async () => {
  await using main = await TestServer.start();
  await main.request('GET', '/versions');
  const metrics = createMetricsServer(main.registry, silentLog);
  await metrics.listen('127.0.0.1:0');
  const base = `http://127.0.0.1:${metrics.address?.port}`;
  for (const method of ['GET', 'POST']) {
    const answer = await fetch(`${base}/metrics?x=1`, { method });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.match(await answer.text(), /http_requests_inflight/);
  }
  assert.equal((await fetch(`${base}/`)).status, 404);
  await metrics.close(0);
});
