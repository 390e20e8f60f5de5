import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FactoryError } from '../errors.ts';
import { CANONICAL, SCHEMATIC } from './testing/fakes.ts';
import { TestServer } from './testing/start.ts';

let server: TestServer;
before(async () => {
  server = await TestServer.start();
});
after(() => server[Symbol.asyncDispose]());

const IMAGE = `/image/${SCHEMATIC}/v1.11.0/metal-amd64.iso`;

const statuses: readonly [string, string, number, string | undefined][] = [
  ['GET', '/', 200, undefined],
  ['GET', '/healthz', 200, ''],
  ['GET', '/readyz', 200, ''],
  ['GET', '/versions', 200, '["v1.10.0","v1.11.0-alpha.1","v1.11.0"]\n'],
  ['GET', '/versions?broken=true', 200, '["v1.9.3"]\n'],
  ['GET', '/versions?broken=yes', 200, '["v1.10.0","v1.11.0-alpha.1","v1.11.0"]\n'],
  [
    'GET',
    '/version/1.7.0/extensions/official',
    200,
    '[{"name":"siderolabs/gvisor","ref":"r","digest":"d","author":"\\u003ca\\u003e","description":"x"}]\n',
  ],
  ['GET', '/version/v1.5.0-alpha.0/extensions/official', 404, 'version 1.5.0-alpha.0 is not available\n'],
  ['GET', '/version/1.7/extensions/official', 400, 'invalid Talos version: "1.7"\n'],
  ['GET', '/version/v1.7.0+x/overlays/official', 400, 'invalid Talos version: "v1.7.0+x"\n'],
  [
    'GET',
    '/version/v1.7.0/overlays/official',
    200,
    '[{"name":"rpi_generic","image":"i","ref":"r","digest":"d"}]\n',
  ],
  [
    'GET',
    '/talosctl/1.11.0',
    200,
    '["https://factory.example/talosctl/v1.11.0/talosctl-linux-amd64","https://factory.example/talosctl/v1.11.0/talosctl-windows-amd64.exe"]\n',
  ],
  ['GET', '/talosctl/v1.10.0', 200, '[]\n'],
  ['GET', '/talosctl/v1.3.0', 404, 'version 1.3.0 is not available\n'],
  ['GET', '/talosctl/nope', 400, 'invalid Talos version: "nope"\n'],
  ['GET', '/talosctl/v1.11.0/talosctl-linux-amd64', 200, 'program talosctl-linux-amd64'],
  ['GET', '/talosctl/v1.10.0/talosctl-linux-amd64', 404, 'version 1.10.0 is not available\n'],
  ['GET', '/talosctl/v1.11.0/..', 404, 'talosctl has no file ".." in version 1.11.0\n'],
  ['GET', `/schematics/${SCHEMATIC}`, 200, CANONICAL],
  ['GET', '/schematics/aaaaaaaaaaaa', 404, 'schematic not found\n'],
  ['GET', '/secureboot/signing-cert.pem', 404, 'secure boot is disabled\n'],
  ['GET', '/oci/cosign/signing-key.pub', 404, 'this factory has no signing key\n'],
  ['GET', '/llms.txt', 200, undefined],
  ['GET', '/openapi.json', 200, undefined],
  ['GET', '/robots.txt', 200, undefined],
  ['GET', '/favicon.ico', 200, undefined],
  ['GET', IMAGE, 200, 'hello world'],
  [
    'GET',
    `${IMAGE}.sha256`,
    200,
    'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9  metal-amd64.iso\n',
  ],
  [
    'GET',
    `${IMAGE}.sigstore.json`,
    402,
    'enterprise signing is not enabled: signature endpoint is not available\n',
  ],
  [
    'GET',
    `/pxe/${SCHEMATIC}/v1.11.0/metal-amd64`,
    200,
    `#!ipxe\n\nimgfree\nkernel https://factory.example/image/${SCHEMATIC}/v1.11.0/kernel-amd64 talos.platform=metal console=tty0\ninitrd https://factory.example/image/${SCHEMATIC}/v1.11.0/initramfs-amd64.xz\nboot\n`,
  ],
  [
    'GET',
    `/pxe/${SCHEMATIC}/v1.11.0/metal-amd64-secureboot`,
    200,
    `#!ipxe\n\nimgfree\nkernel https://factory.example/image/${SCHEMATIC}/v1.11.0/metal-amd64-secureboot-uki.efi talos.platform=metal console=tty0\nboot\n`,
  ],
  ['GET', '/schematics', 405, 'Method Not Allowed\n'],
  ['GET', '/nope', 404, '404 page not found\n'],
  ['GET', '/%zz', 400, 'invalid request path\n'],
  ['GET', '/image/a/b/c%0ad', 400, 'invalid request path\n'],
  ['TRACE', '/versions', 405, 'Method Not Allowed\n'],
  ['BREW', '/versions', 400, undefined],
];

for (const [method, path, status, text] of statuses) {
  test(`${method} ${path} is ${status}`, async () => {
    const answer =
      method === 'BREW'
        ? {
            status: Number((await server.raw(`BREW ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)).slice(9, 12)),
            text: '',
          }
        : await server.request(method, path);
    assert.equal(answer.status, status);
    if (text !== undefined) assert.equal(answer.text, text);
  });
}

test('HEAD has the headers of GET and no body, on every GET route', async () => {
  for (const [method, path] of statuses) {
    if (method !== 'GET') continue;
    const get = await server.request('GET', path);
    const head = await server.request('HEAD', path);
    assert.equal(head.text, '');
    assert.equal(head.status, get.status, path);
    const volatile = { date: '', 'x-request-id': '', connection: '', 'keep-alive': '' };
    assert.deepEqual({ ...head.headers, ...volatile }, { ...get.headers, ...volatile }, path);
  }
});

test('every answer has the common headers', async () => {
  for (const [method, path, status] of [
    ...statuses,
    ['OPTIONS', '/versions', 200] as const,
    ['GET', '/versions/', 301] as const,
    ['POST', '/schematics/', 307] as const,
  ]) {
    if (method === 'BREW') continue;
    const { headers, status: got } = await server.request(method, path);
    assert.equal(got, status);
    assert.equal(headers.server, 'Image Factory v1.2.3');
    assert.match(
      headers['x-request-id'] ?? '',
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    assert.match(headers.vary ?? '', /^Origin/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.ok(headers.date);
    if (status >= 400) assert.equal(headers['cache-control'], 'no-store');
  }
});

test('request ids: harmless ones are echoed, others replaced; all lines carry them', async () => {
  const echoed = await server.request('GET', '/versions', { 'x-request-id': 'abc-1.2_~:/+=' });
  assert.equal(echoed.headers['x-request-id'], 'abc-1.2_~:/+=');
  await server.logged((line) => line.fields.request_id === 'abc-1.2_~:/+=');
  for (const bad of ['a b', 'x'.repeat(129), 'é']) {
    const answer = await server.request('GET', '/versions', { 'x-request-id': bad });
    assert.match(answer.headers['x-request-id'] ?? '', /^[0-9a-f-]{36}$/);
  }
});

test('POST /schematics', async () => {
  const answer = await server.request('POST', '/schematics', { 'content-type': 'image/png' }, 'a: 1');
  assert.equal(answer.status, 201);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.headers.location, `/schematics/${SCHEMATIC}`);
  assert.equal(answer.text, `{"id":"${SCHEMATIC}","schematic":"customization: {}\\n"}\n`);
});

test('a schematic: its id is its tag; JSON on request', async () => {
  const yaml = await server.request('GET', `/schematics/${SCHEMATIC}`);
  assert.equal(yaml.headers.etag, `"${SCHEMATIC}"`);
  assert.equal(yaml.headers['content-type'], 'application/yaml');
  assert.equal(yaml.headers['cache-control'], 'public, max-age=31536000, immutable');
  assert.equal(yaml.headers.vary, 'Origin, Accept');
  const json = await server.request('GET', `/schematics/${SCHEMATIC}`, { accept: 'application/json' });
  assert.deepEqual(JSON.parse(json.text), { id: SCHEMATIC, schematic: CANONICAL });
  assert.notEqual(json.headers.etag, yaml.headers.etag);
  const again = await server.request('GET', `/schematics/${SCHEMATIC}`, {
    'if-none-match': `"${SCHEMATIC}"`,
  });
  assert.equal(again.status, 304);
  assert.equal(again.text, '');
  assert.equal(again.headers.vary, 'Origin, Accept');
  assert.equal(again.headers['content-length'], undefined);
});

test('lists can be revalidated and are cached for a while', async () => {
  for (const path of ['/versions', '/version/v1.7.0/overlays/official', '/talosctl/v1.11.0']) {
    const list = await server.request('GET', path);
    assert.equal(list.headers['content-type'], 'application/json');
    assert.equal(list.headers['cache-control'], 'public, max-age=300, stale-if-error=86400');
    const again = await server.request('GET', path, { 'if-none-match': list.headers.etag ?? '' });
    assert.equal(again.status, 304);
  }
});

const redirects: readonly [string, string, number, string][] = [
  ['GET', '/Versions?x=1&y=%20', 301, '/versions?x=1&y=%20'],
  ['GET', '/versions/', 301, '/versions'],
  ['GET', '/IMAGE/A/b/c', 301, '/image/A/b/c'],
  ['POST', '/schematics/', 307, '/schematics'],
  ['GET', '//versions', 301, '/versions'],
];

for (const [method, path, status, location] of redirects) {
  test(`${method} ${path} redirects`, async () => {
    const answer = await server.request(method, path);
    assert.deepEqual([answer.status, answer.headers.location], [status, location]);
  });
}

test('Allow on 405 and on plain OPTIONS', async () => {
  const refused = await server.request('DELETE', '/versions');
  assert.deepEqual([refused.status, refused.headers.allow], [405, 'GET, HEAD, OPTIONS']);
  const asked = await server.request('OPTIONS', '/schematics');
  assert.deepEqual([asked.status, asked.headers.allow, asked.text], [200, 'OPTIONS, POST', '']);
  const all = await server.raw('OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(all, /^HTTP\/1.1 200 OK\r\n/);
});

test('CORS vectors', async () => {
  const origin = 'https://foo.com';
  for (const path of [IMAGE, '/nope', '/schematics']) {
    const preflight = await server.request('OPTIONS', path, {
      origin,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'cache-control',
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.text, '');
    assert.equal(preflight.headers['access-control-allow-origin'], '*');
    assert.equal(preflight.headers['access-control-allow-methods'], 'GET');
    assert.equal(preflight.headers['access-control-allow-headers'], 'cache-control');
    assert.equal(
      preflight.headers.vary,
      'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    );
  }
  const posted = await server.request('OPTIONS', '/schematics', {
    origin,
    'access-control-request-method': 'POST',
  });
  assert.equal(posted.status, 204);
  assert.equal(posted.headers['access-control-allow-origin'], undefined);
  for (const [method, path] of [
    ['GET', IMAGE],
    ['HEAD', IMAGE],
    ['GET', '/nope'],
    ['OPTIONS', '/versions'],
  ] as const) {
    const { headers } = await server.request(method, path, { origin });
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.equal(
      headers['access-control-expose-headers'],
      'Content-Disposition, Content-Length, Content-Type',
    );
  }
  const executed = await server.request('POST', '/schematics', { origin }, '{}');
  assert.equal(executed.status, 201);
  assert.equal(executed.headers['access-control-allow-origin'], undefined);
});

test('landing page and documents', async () => {
  const page = await server.request('GET', '/');
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  const llms = await server.request('GET', '/llms.txt');
  assert.match(llms.text, /factory\.talos\.dev/);
  assert.match(llms.text, /https:\/\/factory\.example\/openapi\.json/);
  const openapi = JSON.parse((await server.request('GET', '/openapi.json')).text);
  assert.deepEqual(openapi.servers, [{ url: 'https://factory.example' }]);
});

test('keys are served as they are, with a type of their own', async () => {
  const keys = { secureBootCertificate: async () => 'CERT\n', cosignPublicKey: async () => 'KEY\n' };
  await using own = await TestServer.start({ keys });
  for (const [path, text] of [
    ['/secureboot/signing-cert.pem', 'CERT\n'],
    ['/oci/cosign/signing-key.pub', 'KEY\n'],
  ] as const) {
    const answer = await own.request('GET', path);
    assert.deepEqual([answer.status, answer.text], [200, text]);
    assert.equal(answer.headers['content-type'], 'application/x-pem-file');
  }
});

test('a store that cannot be reached is not an unknown schematic', async () => {
  const get = async (): Promise<never> => {
    throw new FactoryError('unavailable', 'OCI_UNREACHABLE', 'registry.example does not answer');
  };
  await using own = await TestServer.start({ get });
  const answer = await own.request('GET', `/schematics/${SCHEMATIC}`);
  assert.deepEqual([answer.status, answer.text], [503, 'registry.example does not answer\n']);
});

test('metrics: by pattern, with the router’s own answers under one label', async () => {
  await server.request('GET', IMAGE);
  await server.request('GET', '/some/unknown/path');
  const text = await server.registry.metrics();
  assert.match(
    text,
    /http_request_duration_seconds_count\{service="",handler="\/image\/:schematic\/:version\/:path",method="GET",code="200"\} \d/,
  );
  assert.match(
    text,
    /http_response_size_bytes_bucket\{le="1000000000",service="",handler="unmatched",method="GET",code="404"\}/,
  );
  assert.match(text, /http_requests_inflight\{service="",handler="\/versions"\} 0/);
  assert.doesNotMatch(text, /unknown\/path/);
  assert.match(text, /# HELP http_requests_inflight \w+/);
});

test('the access log: one line, without the query', async () => {
  await server.request('GET', `${IMAGE}?token=secret`, { 'x-request-id': 'log-1', 'user-agent': 'test/1' });
  const line = await server.logged(({ fields }) => fields.request_id === 'log-1');
  assert.equal(line.level, 'info');
  const { duration, remote, ...rest } = line.fields;
  assert.deepEqual(rest, {
    request_id: 'log-1',
    frontend: 'http',
    method: 'GET',
    path: IMAGE,
    status: 200,
    bytes: 11,
    user_agent: 'test/1',
  });
  assert.equal(typeof duration, 'number');
  assert.equal(remote, '127.0.0.1');
  assert.doesNotMatch(JSON.stringify(server.lines), /secret/);
});
