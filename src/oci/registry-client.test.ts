import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { bytesBlob } from '../blob/bytes.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../testing/registry.ts';
import { digestOf } from './digest.ts';
import { OCI_MANIFEST } from './media-types.ts';
import { parseRepositoryName, parseTag } from './names.ts';
import { openRegistryClient, type RegistryClientOptions } from './registry-client.ts';
import type { Repository } from './repository.ts';

interface Bench {
  readonly registry: TestRegistry;
  readonly repository: Repository;
  /** The same repository without the network. */
  readonly storage: Repository;
  /** Milliseconds of each wait between tries. */
  readonly waits: number[];
}

async function bench(
  t: TestContext,
  options: RegistryOptions = {},
  clientOptions: Partial<RegistryClientOptions> = {},
): Promise<Bench> {
  const registry = await startRegistry(options);
  t.after(() => registry.close());
  const waits: number[] = [];
  const client = openRegistryClient({
    credentials: { env: {} },
    retry: {
      sleep: async (milliseconds) => {
        waits.push(milliseconds);
      },
    },
    ...clientOptions,
  });
  t.after(() => client.close());
  return {
    registry,
    waits,
    storage: registry.storage('a/b'),
    repository: client.repository(registry.name('a/b')),
  };
}

async function read(stream: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  assert.ok(stream !== undefined);
  return Buffer.concat(await Array.fromAsync(stream));
}

async function fill(
  storage: Repository,
  size = 300_000,
): Promise<{ bytes: Buffer; digest: ReturnType<typeof digestOf> }> {
  const bytes = randomBytes(size);
  const digest = digestOf(bytes);
  await storage.pushBlob({ digest, size }, bytesBlob(bytes));
  return { bytes, digest };
}

const manifestBytes = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(Buffer.from('{}')), size: 2 },
    layers: [],
  }),
);
const v1 = parseTag('v1');

describe('statuses', () => {
  const cases: readonly {
    readonly status: number;
    readonly headers?: Record<string, string>;
    readonly times: number;
    readonly error?: object;
    readonly waits: readonly number[];
  }[] = [
    { status: 500, times: 2, waits: [1000, 3000] },
    { status: 503, times: 1, waits: [1000] },
    { status: 429, headers: { 'retry-after': '5' }, times: 1, waits: [5000] },
    {
      status: 500,
      times: 9,
      waits: [1000, 3000],
      error: { kind: 'upstream', code: 'OCI_REGISTRY_FAILED', retryAfter: 30 },
    },
    {
      status: 503,
      times: 9,
      waits: [1000, 3000],
      error: { kind: 'unavailable', code: 'OCI_REGISTRY_FAILED' },
    },
    {
      status: 429,
      times: 9,
      waits: [1000, 3000],
      error: { kind: 'unavailable', code: 'OCI_RATE_LIMITED', retryAfter: 60 },
    },
    // Asked for more than we wait: the caller is told instead.
    {
      status: 429,
      headers: { 'retry-after': '3600' },
      times: 9,
      waits: [],
      error: { code: 'OCI_RATE_LIMITED', retryAfter: 3600 },
    },
    { status: 401, times: 9, waits: [], error: { kind: 'upstream', code: 'OCI_UNAUTHORIZED' } },
    { status: 403, times: 9, waits: [], error: { kind: 'upstream', code: 'OCI_DENIED' } },
    { status: 418, times: 9, waits: [], error: { kind: 'upstream', code: 'OCI_RESPONSE_INVALID' } },
  ];
  for (const { status, headers = {}, times, error, waits: expected } of cases) {
    test(`${status} ${times} times ${JSON.stringify(headers)}`, async (t) => {
      const { registry, repository, storage, waits } = await bench(t);
      const { digest } = await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
      registry.fault({
        path: '/manifests/v1',
        times,
        fault: { kind: 'status', status, headers, body: '{"errors":[{"code":"X","message":"why\\n"}]}' },
      });
      const got = repository.manifest(v1);
      if (error === undefined) assert.equal((await got)?.descriptor.digest, digest);
      else {
        await assert.rejects(got, error);
        await assert.rejects(
          got,
          (thrown: Error) =>
            thrown.message.includes(registry.host) &&
            thrown.message.includes('manifest v1') &&
            thrown.message.includes('X why?'),
        );
      }
      assert.deepEqual(waits, expected);
    });
  }
});

describe('broken connections', () => {
  test('a blob is resumed from where it broke', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { bytes, digest } = await fill(storage);
    registry.fault({ path: '/blobs/', fault: { kind: 'truncate', after: 100_000 } });
    registry.fault({ path: '/blobs/', fault: { kind: 'truncate', after: 50_000 } });
    registry.fault({ path: '/blobs/', fault: { kind: 'reset' } });
    assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
    const ranges = registry.calls
      .filter(({ path }) => path.includes('/blobs/'))
      .map(({ headers }) => headers.range);
    assert.deepEqual(ranges, [undefined, 'bytes=100000-', 'bytes=150000-', 'bytes=150000-']);
  });

  test('also when the server ignores ranges', async (t) => {
    const { registry, repository, storage } = await bench(t, { ranges: false });
    const { bytes, digest } = await fill(storage);
    registry.fault({ path: '/blobs/', fault: { kind: 'truncate', after: 100_000 } });
    registry.fault({ path: '/blobs/', fault: { kind: 'truncate', after: 200_001 } });
    assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
    assert.deepEqual(
      await read(await repository.openBlob(digest, { offset: 7, length: 100 })),
      bytes.subarray(7, 107),
    );
  });

  test('and in the middle of a range', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { bytes, digest } = await fill(storage);
    registry.fault({ path: '/blobs/', fault: { kind: 'truncate', after: 1000 } });
    assert.deepEqual(
      await read(await repository.openBlob(digest, { offset: 500, length: 5000 })),
      bytes.subarray(500, 5500),
    );
  });

  test('a transfer that never moves on is given up', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { digest } = await fill(storage);
    registry.fault({ path: '/blobs/', fault: { kind: 'truncate', after: 1000 } });
    registry.fault({ path: '/blobs/', times: 99, fault: { kind: 'truncate', after: 0 } });
    await assert.rejects(read(await repository.openBlob(digest)), {
      kind: 'unavailable',
      code: 'OCI_UNREACHABLE',
    });
    assert.ok(registry.calls.length < 20);
  });

  test('a body that stalls is resumed after the time-out', async (t) => {
    const { registry, repository, storage } = await bench(
      t,
      {},
      { transport: { timeouts: { idleBody: 100 } } },
    );
    const { bytes, digest } = await fill(storage);
    registry.fault({ path: '/blobs/', fault: { kind: 'stall', after: 1000 } });
    assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
  });

  test('an answer that does not come is asked for again', async (t) => {
    const { registry, repository, storage, waits } = await bench(
      t,
      {},
      { transport: { timeouts: { headers: 100 } } },
    );
    await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    registry.fault({ path: '/manifests/', fault: { kind: 'hang' } });
    assert.ok((await repository.manifest(v1)) !== undefined);
    assert.deepEqual(waits, [1000]);
  });

  test('a manifest that is cut off is asked for again', async (t) => {
    const { registry, repository, storage } = await bench(t);
    await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    registry.fault({ path: '/manifests/', fault: { kind: 'truncate', after: 10 } });
    assert.deepEqual(Buffer.from((await repository.manifest(v1))!.bytes), manifestBytes);
  });

  test('a registry that is not there is named', async (t) => {
    const { registry, repository, waits } = await bench(t);
    await registry.close();
    await assert.rejects(repository.manifest(v1), (error: Error & { code: string }) => {
      assert.match(error.message, new RegExp(`${registry.host} cannot be reached: ECONNREFUSED`));
      return error.code === 'OCI_UNREACHABLE';
    });
    assert.deepEqual(waits, [1000, 3000]);
  });

  test('a paused download holds no slot', async (t) => {
    const { repository, storage } = await bench(t, {}, { jobs: 1 });
    const { bytes, digest } = await fill(storage, 3 << 20);
    const first = (await repository.openBlob(digest))![Symbol.asyncIterator]();
    const second = (await repository.openBlob(digest))![Symbol.asyncIterator]();
    await first.next();
    await second.next();
    // Both are under way with a limit of one; a third one is read from end to end.
    assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
    await first.return?.();
    await second.return?.();
  });
});

describe('wrong bytes', () => {
  test('of a blob', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { digest } = await fill(storage);
    registry.fault({ path: '/blobs/', fault: { kind: 'corrupt', at: 1234 } });
    await assert.rejects(read(await repository.openBlob(digest)), {
      kind: 'upstream',
      code: 'OCI_DIGEST_MISMATCH',
    });
  });

  test('of a manifest by tag and by digest', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { digest } = await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    for (const reference of [v1, digest]) {
      registry.fault({ path: '/manifests/', fault: { kind: 'corrupt', at: 5 } });
      await assert.rejects(repository.manifest(reference), { code: 'OCI_DIGEST_MISMATCH' });
    }
    const headers = { 'docker-content-digest': digestOf(Buffer.from('other')) };
    registry.fault({ path: '/manifests/', fault: { kind: 'headers', headers } });
    await assert.rejects(repository.resolve(digest), { code: 'OCI_DIGEST_MISMATCH' });
  });

  test('a manifest that is too large is not read', async (t) => {
    const { registry, repository } = await bench(t);
    const body = 'x'.repeat((8 << 20) + 1);
    registry.fault({ path: '/manifests/', fault: { kind: 'status', status: 200, body } });
    await assert.rejects(repository.manifest(v1), { code: 'OCI_MANIFEST_TOO_LARGE' });
  });

  test('malformed lists', async (t) => {
    const { registry, repository } = await bench(t);
    for (const body of ['', '[]', '{"tags":"a"}', '{"tags":[1]}']) {
      registry.fault({ path: '/tags/', fault: { kind: 'status', status: 200, body } });
      await assert.rejects(repository.tags(), { code: 'OCI_RESPONSE_INVALID' }, body);
    }
  });

  test('a list that goes on elsewhere, or for ever', async (t) => {
    const { registry, repository } = await bench(t);
    const page = (link: string) =>
      ({ kind: 'status', status: 200, headers: { link }, body: '{"tags":["a"]}' }) as const;
    registry.fault({ path: '/tags/', fault: page('<http://127.0.0.1:1/v2/a/b/tags/list>; rel="next"') });
    await assert.rejects(repository.tags(), { code: 'OCI_REDIRECT_REFUSED' });
    registry.fault({
      path: '/tags/',
      times: Number.POSITIVE_INFINITY,
      fault: page('</v2/a/b/tags/list?n=1>; rel="next"'),
    });
    await assert.rejects(repository.tags(), { code: 'OCI_RESPONSE_TOO_LARGE' });
    assert.ok(registry.calls.length < 1100);
  });
});

describe('incomplete answers', () => {
  for (const name of ['content-type', 'content-length', 'docker-content-digest']) {
    test(`HEAD without ${name} is followed by GET`, async (t) => {
      const { registry, repository, storage } = await bench(t);
      const pushed = await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
      registry.fault({ method: 'HEAD', fault: { kind: 'without-headers', names: [name] } });
      assert.deepEqual(await repository.resolve(v1), pushed);
    });
  }

  test('HEAD that is not allowed is followed by GET', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const pushed = await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    const { digest, bytes } = await fill(storage, 10);
    registry.fault({ method: 'HEAD', times: 2, fault: { kind: 'status', status: 405 } });
    assert.deepEqual(await repository.resolve(v1), pushed);
    assert.equal(await repository.blobSize(digest), bytes.length);
  });

  test('a manifest that is served as octets has the type that it states', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const pushed = await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    const headers = { 'content-type': 'application/octet-stream' };
    registry.fault({ times: 9, path: '/manifests/', fault: { kind: 'headers', headers } });
    assert.deepEqual((await repository.manifest(v1))?.descriptor, pushed);
    assert.deepEqual(await repository.resolve(v1), pushed);
  });
});

describe('credentials', () => {
  const docker =
    (auths: (registry: TestRegistry) => object) => async (t: TestContext, registry: TestRegistry) => {
      const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
      const { join } = await import('node:path');
      const home = await mkdtemp('/tmp/home-');
      t.after(() => rm(home, { recursive: true }));
      await writeFile(join(home, 'config.json'), JSON.stringify({ auths: auths(registry) }));
      return { env: { DOCKER_CONFIG: home } };
    };
  const auth = Buffer.from('user:pass:word').toString('base64');

  const cases: Readonly<
    Record<string, { options: RegistryOptions; auths: (registry: TestRegistry) => object; fails?: object }>
  > = {
    basic: {
      options: { auth: { kind: 'basic', username: 'user', password: 'pass:word' } },
      auths: ({ host }) => ({ [host]: { auth } }),
    },
    'basic for one repository': {
      options: { auth: { kind: 'basic', username: 'user', password: 'pass:word' } },
      auths: ({ host }) => ({ [`${host}/a/b`]: { auth }, [host]: { auth: 'eDp5' } }),
    },
    'bearer with a password': {
      options: { auth: { kind: 'bearer', username: 'user', password: 'pass:word' } },
      auths: ({ host }) => ({ [`http://${host}`]: { username: 'user', password: 'pass:word' } }),
    },
    'bearer with an identity token': {
      options: { auth: { kind: 'bearer', identityToken: 'refresh' } },
      auths: ({ host }) => ({ [host]: { auth, identitytoken: 'refresh' } }),
    },
    'bearer with an identity token and no form for it': {
      options: { auth: { kind: 'bearer', identityToken: 'refresh', oauth: false } },
      auths: ({ host }) => ({ [host]: { identitytoken: 'refresh' } }),
    },
    'no credentials for basic': {
      options: { auth: { kind: 'basic', username: 'user', password: 'x' } },
      auths: () => ({}),
      fails: { code: 'OCI_UNAUTHORIZED', message: /wants credentials for a\/b and there are none/ },
    },
    'wrong credentials for basic': {
      options: { auth: { kind: 'basic', username: 'user', password: 'x' } },
      auths: ({ host }) => ({ [host]: { auth } }),
      fails: { code: 'OCI_UNAUTHORIZED', message: /401/ },
    },
    'wrong credentials for bearer': {
      options: { auth: { kind: 'bearer', username: 'user', password: 'x' } },
      auths: ({ host }) => ({ [host]: { auth } }),
      fails: { code: 'OCI_UNAUTHORIZED', message: /refuses the configured credentials/ },
    },
    'anonymous tokens that may not push': {
      options: { auth: { kind: 'bearer' } },
      auths: () => ({}),
      fails: { code: 'OCI_UNAUTHORIZED' },
    },
  };
  for (const [name, { options, auths, fails }] of Object.entries(cases)) {
    test(name, async (t) => {
      const registry = await startRegistry(options);
      t.after(() => registry.close());
      const client = openRegistryClient({
        credentials: await docker(auths)(t, registry),
        retry: { sleep: async () => {} },
      });
      t.after(() => client.close());
      const repository = client.repository(registry.name('a/b'));
      const push = repository.pushBlob(
        { digest: digestOf(manifestBytes), size: manifestBytes.length },
        bytesBlob(manifestBytes),
      );
      if (fails !== undefined) {
        await assert.rejects(push, fails);
        await assert.rejects(
          push,
          (error: Error) => !/pass|refresh|dXNlcj/.test(`${error.message}${error.stack}`),
        );
        return;
      }
      await push;
      await client
        .repository(registry.name('c'))
        .pushBlob({ digest: digestOf(manifestBytes), size: manifestBytes.length }, bytesBlob(manifestBytes), {
          mountFrom: registry.name('a/b'),
        })
        .catch((error: { code: string }) =>
          assert.ok(name.includes('one repository') && error.code === 'OCI_UNAUTHORIZED'),
        );
    });
  }

  test('tokens that expire are replaced, also those that the registry forgot early', async (t) => {
    let now = 1_000_000;
    const { registry, repository, storage } = await bench(
      t,
      { auth: { kind: 'bearer', lifetime: 100 } },
      { clock: { now: () => now } },
    );
    await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    const tokens = () => registry.calls.filter(({ path }) => path.startsWith('/token')).length;
    await Promise.all([repository.manifest(v1), repository.manifest(v1), repository.tags()]);
    assert.equal(tokens(), 1);
    now += 89_000;
    await repository.manifest(v1);
    assert.equal(tokens(), 1);
    now += 2_000;
    await repository.manifest(v1);
    assert.equal(tokens(), 2);
    registry.expireTokens();
    await repository.manifest(v1);
    assert.equal(tokens(), 3);
    // A new session asks for everything anew.
    now += 300_000;
    await repository.manifest(v1);
    assert.equal(tokens(), 4);
    assert.equal(registry.calls.filter(({ path }) => path === '/v2/').length, 2);
  });

  test('who aborts while a token is fetched does not end the others', async (t) => {
    const { registry, repository, storage } = await bench(t, { auth: { kind: 'bearer' } });
    await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    registry.fault({ path: '/token', fault: { kind: 'hang' } });
    const controller = new AbortController();
    const first = repository.manifest(v1, controller.signal);
    while (!registry.calls.some(({ path }) => path.startsWith('/token'))) await setImmediate();
    const others = [repository.manifest(v1), repository.tags(), repository.manifest(v1)];
    await setImmediate();
    controller.abort(new Error('enough'));
    await assert.rejects(first, /enough/);
    for (const found of await Promise.all(others)) assert.ok(found !== undefined);
  });

  test('a scope that the registry asks for is asked of the token service', async (t) => {
    const { registry, repository, storage } = await bench(t, { auth: { kind: 'bearer' } });
    await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
    const headers = {
      'www-authenticate': `Bearer realm="${registry.url}/token",scope="repository:x/y:pull repository:a/b:pull"`,
    };
    registry.fault({ path: '/manifests/', fault: { kind: 'status', status: 401, headers } });
    assert.ok((await repository.manifest(v1)) !== undefined);
    const asked = registry.calls
      .filter(({ path }) => path.startsWith('/token'))
      .map(({ path }) => new URL(path, registry.url).searchParams.getAll('scope'));
    assert.deepEqual(asked, [['repository:a/b:pull'], ['repository:x/y:pull', 'repository:a/b:pull']]);
  });

  test('they do not go where blobs are redirected to', async (t) => {
    const registry = await startRegistry({
      auth: { kind: 'basic', username: 'user', password: 'pass:word' },
      redirectBlobs: true,
    });
    t.after(() => registry.close());
    const sources = await docker(({ host }) => ({ [host]: { auth } }))(t, registry);
    const client = openRegistryClient({ credentials: sources, retry: { sleep: async () => {} } });
    t.after(() => client.close());
    const { bytes, digest } = await fill(registry.storage('a/b'));
    assert.deepEqual(await read(await client.repository(registry.name('a/b')).openBlob(digest)), bytes);
    const atStorage = registry.calls.filter(({ origin }) => origin === 'storage');
    assert.equal(atStorage.length, 1);
    assert.equal(atStorage[0]?.headers.authorization, undefined);
    assert.ok(
      registry.calls.some(
        ({ headers, origin }) => origin === 'registry' && headers.authorization !== undefined,
      ),
    );
  });

  const realms = [
    ['ftp://127.0.0.1/token', /scheme ftp:/],
    ['not a URL', /not a URL/],
    ['http://169.254.169.254/token', /internal address 169\.254\.169\.254/],
    ['http://10.0.0.1/token', /internal address 10\.0\.0\.1/],
    ['http://[fe80::1]/token', /internal address/],
    ['http://localhost/token', /internal address/],
    ['http://user:pass@example.com/token', /credentials in its address/],
  ] as const;
  for (const [realm, message] of realms) {
    test(`the token service ${realm} is refused`, async (t) => {
      const { repository } = await bench(t, { auth: { kind: 'bearer', realm } });
      await assert.rejects(repository.manifest(v1), { code: 'OCI_REALM_REFUSED', message });
    });
  }
});

describe('redirects', () => {
  const cases = [
    ['ftp://127.0.0.1/x', /not an HTTP address/],
    ['http://a:b@127.0.0.1/x', /credentials/],
    ['//[', /not a URL/],
  ] as const;
  for (const [location, message] of cases) {
    test(`to ${location}`, async (t) => {
      const { registry, repository, storage } = await bench(t);
      const { digest } = await fill(storage);
      registry.fault({
        method: 'GET',
        path: '/blobs/',
        fault: { kind: 'status', status: 307, headers: { location } },
      });
      await assert.rejects(repository.openBlob(digest), { code: 'OCI_REDIRECT_REFUSED', message });
    });
  }

  test('in a circle', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { digest } = await fill(storage);
    const headers = { location: `/v2/a/b/blobs/${digest}` };
    registry.fault({
      method: 'GET',
      path: '/blobs/',
      times: 99,
      fault: { kind: 'status', status: 302, headers },
    });
    await assert.rejects(repository.openBlob(digest), { code: 'OCI_REDIRECT_REFUSED', message: /too often/ });
  });
});

describe('uploads', () => {
  const size = 300_000;
  const chunkSize = 100_000;

  test('a broken one in one piece is sent again', async (t) => {
    const { registry, repository, storage, waits } = await bench(t);
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    registry.fault({ method: 'PUT', path: '/uploads/', fault: { kind: 'reset-upload', after: 70_000 } });
    await repository.pushBlob({ digest, size }, bytesBlob(bytes));
    assert.equal(await storage.blobSize(digest), size);
    assert.deepEqual(waits, [1000]);
  });

  test('a broken chunk goes on where the registry has got to', async (t) => {
    const { registry, repository, storage } = await bench(t, {}, { chunkSize });
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    registry.fault({ method: 'PATCH', skip: 1, fault: { kind: 'reset-upload', after: 66_000 } });
    await repository.pushBlob({ digest, size }, bytesBlob(bytes));
    assert.equal(await storage.blobSize(digest), size);
    const ranges = registry.calls
      .filter(({ method }) => method === 'PATCH')
      .map(({ headers }) => headers['content-range']);
    assert.deepEqual(ranges, ['0-99999', '100000-199999', '166000-265999', '266000-299999']);
    assert.equal(registry.calls.filter(({ method }) => method === 'POST').length, 1);
  });

  test('an upload that the registry lost is started again', async (t) => {
    const { registry, repository, storage } = await bench(t, {}, { chunkSize });
    const bytes = randomBytes(size);
    const digest = digestOf(bytes);
    registry.fault({ method: 'PATCH', skip: 1, fault: { kind: 'status', status: 404 } });
    await repository.pushBlob({ digest, size }, bytesBlob(bytes));
    assert.equal(await storage.blobSize(digest), size);
  });

  test('a registry that always fails is given up', async (t) => {
    const { registry, repository, waits } = await bench(t);
    registry.fault({ method: 'PUT', times: 99, fault: { kind: 'status', status: 502 } });
    await assert.rejects(
      repository.pushBlob(
        { digest: digestOf(manifestBytes), size: manifestBytes.length },
        bytesBlob(manifestBytes),
      ),
      { code: 'OCI_REGISTRY_FAILED' },
    );
    assert.deepEqual(waits, [1000, 3000]);
  });

  test('what is there already is not sent', async (t) => {
    const { registry, repository, storage } = await bench(t);
    const { bytes, digest } = await fill(storage);
    await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
    assert.ok(registry.calls.every(({ method }) => method === 'GET' || method === 'HEAD'));
  });

  test('a mount sends nothing', async (t) => {
    const { registry, repository } = await bench(t);
    const { bytes, digest } = await fill(registry.storage('other'));
    await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes), {
      mountFrom: registry.name('other'),
    });
    assert.ok(registry.calls.every(({ method }) => method !== 'PUT' && method !== 'PATCH'));
    assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
  });
});

test('an index of referrers that another writer replaces is written again', async (t) => {
  const { registry, repository, storage } = await bench(t, { referrers: false });
  const subject = await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
  const body = JSON.parse(manifestBytes.toString());
  const bytes = Buffer.from(JSON.stringify({ ...body, artifactType: 'text/a', subject }));
  // The first write of the tag is lost: as if another writer had put the old one back.
  registry.fault({ method: 'PUT', path: /manifests\/sha256-/, fault: { kind: 'status', status: 201 } });
  const pushed = await repository.pushManifest(digestOf(bytes), OCI_MANIFEST, bytes);
  assert.deepEqual(
    (await repository.referrers(subject.digest)).map(({ digest }) => digest),
    [pushed.digest],
  );
});

test('names of Docker Hub are rewritten on the wire, proxies are used, local addresses are not proxied', async (t) => {
  const seen: string[] = [];
  const proxy = createServer((_, response) => response.writeHead(500).end());
  proxy.on('connect', (request: IncomingMessage, socket) => {
    seen.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { registry, repository, storage } = await bench(
    t,
    {},
    { transport: { proxies: { http: url, https: url } } },
  );
  await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
  assert.ok((await repository.manifest(v1)) !== undefined);
  assert.deepEqual(seen, []);
  assert.ok(registry.calls.length > 0);
  const client = openRegistryClient({
    credentials: { env: {} },
    retry: { attempts: 1 },
    transport: { proxies: { http: url, https: url, none: 'direct.invalid' } },
  });
  t.after(() => client.close());
  await assert.rejects(client.repository(parseRepositoryName('docker.io/alpine')).tags(), {
    code: 'OCI_UNREACHABLE',
  });
  assert.deepEqual(seen, ['index.docker.io:443']);
  await assert.rejects(client.repository(parseRepositoryName('direct.invalid/a')).tags(), {
    code: 'OCI_UNREACHABLE',
  });
  assert.equal(seen.length, 1);
});

test('a plain connection is not left open by a download that is broken off', async (t) => {
  const { registry, repository, storage } = await bench(t);
  const { digest } = await fill(storage, 5 << 20);
  for await (const _ of (await repository.openBlob(digest))!) break;
  // The server still answers, and the next request is not held up by the one that was left.
  assert.equal(await repository.blobSize(digest), 5 << 20);
  const socket = connect(Number(registry.host.split(':')[1]), '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
});

test('a host that may speak plain HTTP is spoken to so when TLS does not come about', async (t) => {
  const { registry, storage } = await bench(t);
  await storage.pushManifest(v1, OCI_MANIFEST, manifestBytes);
  // Silent when TLS is spoken to it (a record of type 22), else the registry.
  const silent = new Set<Socket>();
  const front = createNetServer(async (socket) => {
    socket.on('error', () => {});
    silent.add(socket);
    const [first] = (await once(socket, 'data')) as [Buffer];
    if (first[0] === 22) return;
    const behind = connect(Number(registry.host.split(':')[1]), '127.0.0.1');
    behind.on('error', () => {});
    behind.write(first);
    socket.pipe(behind).pipe(socket);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.after(() => {
    for (const socket of silent) socket.destroy();
    front.close();
  });
  await using client = openRegistryClient({ credentials: { env: {} } });
  const { port } = front.address() as AddressInfo;
  const repository = client.repository(parseRepositoryName(`localhost:${port}/a/b`));
  assert.ok((await repository.resolve(v1)) !== undefined);
});

test('a closed client breaks off what is under way and begins nothing', async (t) => {
  const { registry, storage } = await bench(t);
  const { digest } = await fill(storage, 5 << 20);
  const client = openRegistryClient({ credentials: { env: {} } });
  const repository = client.repository(registry.name('a/b'));
  const stream = await repository.openBlob(digest);
  await client.close();
  await assert.rejects(read(stream), { code: 'OCI_CLIENT_CLOSED' });
  await assert.rejects(repository.blobSize(digest), { code: 'OCI_CLIENT_CLOSED' });
});
