import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import { externalUrls } from './external-urls.ts';
import { pxeScript } from './routes/pxe.ts';
import type { AssetRequest } from './services.ts';
import { FakeAsset, SCHEMATIC } from './testing/fakes.ts';
import { TestServer } from './testing/start.ts';

const IMAGE = `/image/${SCHEMATIC}/v1.11.0/metal-amd64.iso`;

/** A server that always serves this asset, and what it was asked for. */
async function serving(asset: FakeAsset, urls = externalUrls(new URL('https://factory.example'))) {
  const asked: AssetRequest[] = [];
  const open = async (request: AssetRequest): Promise<FakeAsset> => {
    asked.push(request);
    return asset;
  };
  return { server: await TestServer.start({ open }, { urls }), asked };
}

const types: readonly [string, string][] = [
  ['metal-amd64-uki.efi', 'application/efi'],
  ['metal-amd64.iso', 'application/x-iso9660-image'],
  ['metal-amd64.raw.xz', 'application/x-xz'],
  ['metal-amd64.raw.tar.gz', 'application/gzip'],
  ['metal-amd64.qcow2', 'application/x-qemu-disk'],
  ['kernel-amd64', 'application/octet-stream'],
  ['metal-amd64.raw.zst', 'application/octet-stream'],
  ['metal-amd64.raw', 'application/octet-stream'],
  ['metal-amd64.ova', 'application/octet-stream'],
  ['installer-amd64.tar', 'application/octet-stream'],
  ['x.constructor', 'application/octet-stream'],
];

test('content types follow the path, not the file name', async () => {
  const { server } = await serving(new FakeAsset(textBlob('x')));
  await using _ = server;
  for (const [path, type] of types) {
    const answer = await server.request('GET', `/image/${SCHEMATIC}/v1.11.0/${path}?filename=a.iso`);
    assert.equal(answer.headers['content-type'], type, path);
  }
});

const filenames: readonly [string, string][] = [
  ['', 'attachment; filename="metal-amd64.iso"'],
  ['filename=', 'attachment; filename="metal-amd64.iso"'],
  ['filename=custom-filename.iso', 'attachment; filename="custom-filename.iso"'],
  ['filename=a%22b', 'attachment; filename="a\\"b"'],
  ['filename=a%0d%0aX-Evil:%201', 'attachment; filename="aX-Evil: 1"'],
  ['filename=%2e%2e%2fa', 'attachment; filename="..a"'],
  ['filename=%E2%82%AC', `attachment; filename="_"; filename*=UTF-8''%E2%82%AC`],
  ['filename=a&filename=b', 'attachment; filename="a"'],
];

test('file names', async () => {
  const { server } = await serving(new FakeAsset(textBlob('x')));
  await using _ = server;
  for (const [query, expected] of filenames) {
    const answer = await server.request('GET', `${IMAGE}?${query}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-disposition'], expected);
    assert.equal(answer.headers['x-evil'], undefined);
  }
});

test('the service gets the segments as they came, without the checksum suffix', async () => {
  const { server, asked } = await serving(new FakeAsset(textBlob('x')));
  await using _ = server;
  await server.request('GET', '/image/abc/1.11.0/metal-amd64.raw.xz.sha512');
  const { signal: __, ...rest } = asked[0]!;
  assert.deepEqual(rest, { schematicId: 'abc', version: '1.11.0', path: 'metal-amd64.raw.xz' });
});

test('checksum lines name the file as it will be saved', async () => {
  const asset = new FakeAsset(textBlob('hello world'));
  const { server } = await serving(asset);
  await using _ = server;
  const answer = await server.request('GET', `${IMAGE}.sha512?filename=b%0a%2fc.iso`);
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(answer.headers['content-disposition'], 'attachment; filename="bc.iso.sha512"');
  assert.match(answer.text, /^309ecc489c12d6eb4cc40f50c902f2b4[0-9a-f]{96} {2}bc\.iso\n$/);
  assert.equal(asset.disposed, 1);
});

test('an asset is released once, whatever becomes of the answer', async () => {
  const cases: readonly [string, string, Readonly<Record<string, string>>, number][] = [
    ['GET', IMAGE, {}, 200],
    ['HEAD', IMAGE, {}, 200],
    ['GET', IMAGE, { range: 'bytes=0-0' }, 206],
    ['GET', IMAGE, { range: 'bytes=99-' }, 416],
    ['GET', IMAGE, { 'if-none-match': '*' }, 304],
    ['GET', IMAGE, { 'if-match': '"x"' }, 412],
    ['GET', `${IMAGE}.sha256`, {}, 200],
  ];
  for (const [method, path, headers, status] of cases) {
    const asset = new FakeAsset(textBlob('hello world'));
    const { server } = await serving(asset);
    await using _ = server;
    const answer = await server.request(method, path, headers);
    assert.equal(answer.status, status);
    await server.logged(() => true);
    assert.equal(asset.disposed, 1, `${method} ${path} ${JSON.stringify(headers)}`);
  }
});

test('a failing digest is an error before the first byte, and the asset is released', async () => {
  const asset = new FakeAsset(textBlob('x'));
  asset.digest = async () => {
    throw new Error('disk broke');
  };
  const { server } = await serving(asset);
  await using _ = server;
  for (const path of [IMAGE, `${IMAGE}.sha256`]) {
    const answer = await server.request('GET', path);
    assert.deepEqual([answer.status, answer.text], [500, 'internal server error\n']);
  }
  assert.equal(asset.disposed, 2);
});

test('a service that ignores the algorithm does not get a wrong checksum served', async () => {
  const asset = new FakeAsset(textBlob('x'));
  asset.digest = async () => 'a'.repeat(64);
  const { server } = await serving(asset);
  await using _ = server;
  assert.equal((await server.request('GET', `${IMAGE}.sha512`)).status, 500);
});

test('caching: for ever, or revalidated when a key may change the bytes', async () => {
  for (const [immutable, cacheControl] of [
    [true, 'public, max-age=31536000, immutable'],
    [false, 'no-cache'],
  ] as const) {
    const asset = new FakeAsset(textBlob('x'), 'recipe');
    asset.immutable = immutable;
    const { server } = await serving(asset);
    await using _ = server;
    const { headers } = await server.request('GET', IMAGE);
    assert.equal(headers['cache-control'], cacheControl);
    assert.equal(headers.etag, '"recipe"');
    assert.equal(headers['last-modified'] !== undefined, immutable);
  }
});

const CDN = 'https://cdn.example/x?sig=%22%3C&a=1';
const separate = externalUrls(new URL('https://factory.example'), new URL('https://pxe.example:8443/base'));
const single = externalUrls(new URL('https://factory.example'));
const redirects: readonly [typeof single, string, Readonly<Record<string, string>>, number][] = [
  [separate, 'GET', { host: 'factory.example' }, 302],
  [separate, 'GET', { host: 'pxe.example:8443' }, 200],
  [separate, 'HEAD', { host: 'factory.example' }, 200],
  [single, 'GET', { host: 'factory.example' }, 302],
  [single, 'GET', { host: 'factory.example', 'user-agent': 'iPXE/1.21.1' }, 200],
];

for (const [urls, method, headers, status] of redirects) {
  test(`an asset in a readable store: ${method} ${JSON.stringify(headers)} is ${status}`, async () => {
    const asset = new FakeAsset(textBlob('x'));
    asset.location = async () => CDN;
    const { server } = await serving(asset, urls);
    await using _ = server;
    const answer = await server.request(method, IMAGE, headers);
    assert.equal(answer.status, status);
    assert.equal(answer.headers.location, status === 302 ? CDN : undefined);
    if (status === 302) {
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.equal(answer.text, '<a href="https://cdn.example/x?sig=%22%3C&amp;a=1">Found</a>.\n\n');
    }
    await server.logged(() => true);
    assert.equal(asset.disposed, 1);
  });
}

test('an asset whose address cannot be had is served directly', async () => {
  const asset = new FakeAsset(textBlob('x'));
  asset.location = async () => {
    throw new Error('no credentials');
  };
  const { server } = await serving(asset);
  await using _ = server;
  assert.equal((await server.request('GET', IMAGE)).status, 200);
  assert.ok(server.lines.some(({ level, message }) => level === 'warn' && /directly/.test(message)));
});

test('messages of the asset service are passed on', async () => {
  const cases: readonly [FactoryError, number, string][] = [
    [
      new FactoryError('not-found', 'SCHEMATIC_NOT_FOUND', 'schematic ID "aaaaaaaaaaaa" not found'),
      404,
      'schematic ID "aaaaaaaaaaaa" not found\n',
    ],
    [
      new FactoryError(
        'invalid',
        'PATH_INVALID',
        'error parsing profile from path: invalid profile path: "metal-amd64.ssd"',
      ),
      400,
      'error parsing profile from path: invalid profile path: "metal-amd64.ssd"\n',
    ],
    [new FactoryError('not-implemented', 'X', 'not in this build'), 501, 'not in this build\n'],
    [
      new FactoryError('upstream', 'OCI_STATUS', 'registry ghcr.io answered 500'),
      502,
      'registry ghcr.io answered 500\n',
    ],
    [
      new FactoryError('unavailable', 'BUILD_QUEUE_FULL', 'queue is full', { retryAfter: 30 }),
      503,
      'queue is full\n',
    ],
    [new FactoryError('internal', 'PROGRAM_FAILED', 'secret stderr'), 500, 'internal server error\n'],
  ];
  for (const [error, status, text] of cases) {
    await using server = await TestServer.start({ open: () => Promise.reject(error) });
    const answer = await server.request('GET', IMAGE);
    assert.deepEqual([answer.status, answer.text], [status, text]);
    assert.equal(
      answer.headers['retry-after'],
      error.retryAfter?.toString() ?? (status === 502 ? '10' : undefined),
    );
    const head = await server.request('HEAD', IMAGE);
    assert.equal(head.headers['content-length'], String(text.length));
    const line = await server.logged(({ fields }) => fields.method === 'GET');
    assert.equal(line.level, status === 500 ? 'error' : 'warn');
    assert.equal(line.fields.error, error.message);
    assert.equal(line.fields.stacktrace !== undefined, status === 500);
  }
});

test('a command line cannot add lines to a script', () => {
  const boot = { arch: 'amd64', platform: 'metal', secureboot: false, version: 'v1.11.0' };
  assert.throws(() => pxeScript({ ...boot, cmdline: 'a=1\nshell' }, (file) => file), { kind: 'invalid' });
  assert.match(
    pxeScript({ ...boot, cmdline: `uuid=\${uuid} x="y z"` }, (file) => file),
    /uuid=\$\{uuid\}/,
  );
});

test('script addresses keep the base path of the PXE address', async () => {
  await using server = await TestServer.start({}, { urls: separate });
  const { text, headers } = await server.request('GET', `/pxe/${SCHEMATIC}/v1.11.0/metal-amd64`);
  assert.match(
    text,
    new RegExp(`kernel https://pxe\\.example:8443/base/image/${SCHEMATIC}/v1\\.11\\.0/kernel-amd64 `),
  );
  assert.equal(headers['cache-control'], 'no-cache');
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
});
