import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectH2, constants } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Blob } from '../blob/blob.ts';
import { zeroBlob } from '../blob/bytes.ts';
import { FakeAsset, SCHEMATIC } from './testing/fakes.ts';
import { TestServer } from './testing/start.ts';
import { loadKeyPair, tlsFiles } from './tls.ts';

const IMAGE = `/image/${SCHEMATIC}/v1.11.0/metal-amd64.raw`;
let directory = '';

/** A self-signed certificate under a name, made by openssl. */
function makePair(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-keyout',
    join(directory, `${name}.key`),
  ];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', join(directory, `${name}.crt`)], {
    stdio: 'ignore',
  });
}

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'tls-'));
  makePair('one');
  makePair('two');
});
after(() => rmSync(directory, { recursive: true }));

const files = (name: string) => ({
  certFile: join(directory, `${name}.crt`),
  keyFile: join(directory, `${name}.key`),
});

async function http2<T>(port: number, use: (session: ClientHttp2Session) => Promise<T>): Promise<T> {
  const session = connectH2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  try {
    return await use(session);
  } finally {
    session.destroy();
  }
}

async function get(session: ClientHttp2Session, path: string, headers: Record<string, string> = {}) {
  const stream = session.request({ ':path': path, ...headers });
  const [answer] = await once(stream, 'response');
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { headers: answer, body: Buffer.concat(chunks) };
}

test('both files or none', () => {
  assert.equal(tlsFiles('', ''), undefined);
  assert.deepEqual(tlsFiles('a', 'b'), { certFile: 'a', keyFile: 'b' });
  for (const [certFile, keyFile, missing] of [
    ['a', '', 'keyFile'],
    ['', 'b', 'certFile'],
  ] as const) {
    assert.throws(() => tlsFiles(certFile, keyFile), {
      message: `failed to load certificate: http.${missing} is not set`,
    });
  }
});

test('a server with half of a pair does not start', async () => {
  await assert.rejects(TestServer.start({}, { tls: { ...files('one'), keyFile: '' } }), {
    code: 'TLS_INCOMPLETE',
  });
  await using plain = await TestServer.start({}, { tls: { certFile: '', keyFile: '' } });
  assert.equal((await plain.request('GET', '/healthz')).status, 200);
});

test('files that are missing or do not belong together are refused', async () => {
  await assert.rejects(loadKeyPair({ ...files('one'), certFile: '/nonexistent' }), {
    code: 'TLS_CERTIFICATE',
    message: /^failed to load certificate: .*ENOENT/,
  });
  await assert.rejects(loadKeyPair({ certFile: files('one').certFile, keyFile: files('two').keyFile }), {
    code: 'TLS_CERTIFICATE',
  });
});

test('HTTP/2 by ALPN: headers, ranges, errors, HEAD, uploads', async () => {
  const open = async (): Promise<FakeAsset> => new FakeAsset(zeroBlob(3 * 1024 * 1024));
  await using server = await TestServer.start({ open }, { tls: files('one') });
  await http2(server.port, async (session) => {
    const whole = await get(session, IMAGE);
    assert.equal(whole.headers[':status'], 200);
    assert.equal(whole.body.length, 3 * 1024 * 1024);
    assert.equal(whole.headers.server, 'Image Factory v1.2.3');
    const part = await get(session, IMAGE, { range: 'bytes=5-9' });
    assert.deepEqual([part.headers[':status'], part.body.length], [206, 5]);
    const head = await get(session, IMAGE, { ':method': 'HEAD' });
    assert.deepEqual([head.headers['content-length'], head.body.length], [String(3 * 1024 * 1024), 0]);
    assert.equal((await get(session, '/nope')).body.toString(), '404 page not found\n');
    assert.equal((await get(session, '/versions/')).headers[':status'], 301);

    const upload = session.request({ ':method': 'POST', ':path': '/schematics' });
    upload.end('a: 1');
    const [stored] = await once(upload, 'response');
    assert.equal(stored[':status'], 201);
    upload.resume();
    await once(upload, 'close');

    for (let round = 0; round < 3; round++) {
      const flood = session.request({ ':method': 'POST', ':path': '/schematics' });
      flood.on('error', () => {});
      flood.write(Buffer.alloc(5 * 1024 * 1024));
      const [refused] = await once(flood, 'response');
      assert.equal(refused[':status'], 413);
      flood.resume();
      await once(flood, 'end');
      // Otherwise the client keeps what it could not send, until its own memory limit.
      flood.close(constants.NGHTTP2_CANCEL);
    }
    const large = session.request({ ':method': 'POST', ':path': '/schematics' });
    large.end(Buffer.alloc(2 * 1024 * 1024));
    const [taken] = await once(large, 'response');
    assert.equal(taken[':status'], 201);
    large.resume();
    await once(large, 'close');
    assert.equal((await get(session, '/healthz')).headers[':status'], 200);
  });
});

test('HTTP/2: a blob that fails midway resets its stream only', async () => {
  const failing: Blob = {
    size: 10 * 65536,
    async *read() {
      yield new Uint8Array(65536);
      throw new Error('disk broke');
    },
    extents: () => [],
  };
  const asset = new FakeAsset(failing);
  asset.known = 'ab';
  await using server = await TestServer.start({ open: async () => asset }, { tls: files('one') });
  await http2(server.port, async (session) => {
    await assert.rejects(get(session, IMAGE), { code: 'ERR_HTTP2_STREAM_ERROR' });
    assert.equal((await get(session, '/healthz')).headers[':status'], 200);
  });
  const line = await server.logged(({ level }) => level === 'error');
  assert.equal(line.fields.error, 'disk broke');
  assert.equal(asset.disposed, 1);
});

test('HTTP/2: a client that does not read holds back the blob; its reset ends the reading', async () => {
  let yielded = 0;
  const ended = Promise.withResolvers<void>();
  const big: Blob = {
    size: 1024 * 1024 * 1024,
    async *read() {
      try {
        for (;;) {
          yielded += 65536;
          yield new Uint8Array(65536);
        }
      } finally {
        ended.resolve();
      }
    },
    extents: () => [],
  };
  const asset = new FakeAsset(big);
  asset.known = 'ab';
  await using server = await TestServer.start({ open: async () => asset }, { tls: files('one') });
  await http2(server.port, async (session) => {
    const stream = session.request({ ':path': IMAGE });
    await once(stream, 'response');
    stream.pause();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(yielded < 16 * 1024 * 1024, `${yielded} bytes were read ahead`);
    stream.close(constants.NGHTTP2_CANCEL);
    await ended.promise;
    const line = await server.logged(() => true);
    assert.deepEqual([line.level, line.fields.status], ['info', 499]);
    assert.equal(asset.disposed, 1);
  });
});

test('HTTP/1.1 over TLS, with its limits', async () => {
  await using server = await TestServer.start({}, { tls: files('one'), limits: { headersTimeout: 200 } });
  const { port } = server;
  const outgoing = request({ port, host: '127.0.0.1', path: '/versions', rejectUnauthorized: false });
  outgoing.end();
  const [answer] = await once(outgoing, 'response');
  assert.deepEqual([answer.statusCode, answer.httpVersion], [200, '1.1']);
  answer.resume();
  for (const [bytes, status] of [
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(64 * 1024)}\r\n\r\n`, 431],
    ['GET / HTTP/1.1\r\n\r\n', 400],
    ['GET / HTTP/1.1\r\nX', 408],
  ] as const) {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => {});
    socket.write(bytes);
    const chunks: Uint8Array[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await new Promise((resolve) => socket.once('close', resolve));
    assert.match(Buffer.concat(chunks).toString(), new RegExp(`^HTTP/1\\.1 ${status} `));
  }
});

async function handshake(port: number, version?: 'TLSv1.1'): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(version === undefined
      ? {}
      : { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }),
  });
  await once(socket, 'secureConnect');
  return socket;
}

test('TLS 1.1 is refused', async () => {
  await using server = await TestServer.start({}, { tls: files('one') });
  await assert.rejects(handshake(server.port, 'TLSv1.1'));
  (await handshake(server.port)).destroy();
});

async function subject(port: number): Promise<string | undefined> {
  const socket = await handshake(port);
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return Array.isArray(CN) ? CN[0] : CN;
}

test('a renewed certificate is taken up, a broken one is not', async () => {
  const current = join(directory, 'current');
  const point = (name: string): void => {
    // As Kubernetes does it: a link is swapped.
    for (const extension of ['crt', 'key']) {
      symlinkSync(join(directory, `${name}.${extension}`), `${current}.${extension}.new`);
      renameSync(`${current}.${extension}.new`, `${current}.${extension}`);
    }
  };
  const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
    for (let tries = 0; !(await condition()); tries++) {
      assert.ok(tries < 500, 'it did not happen');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  point('one');
  await using server = await TestServer.start({}, { tls: files('current'), tlsInterval: 10 });
  assert.equal(await subject(server.port), 'one');
  point('two');
  await until(async () => (await subject(server.port)) === 'two');
  writeFileSync(join(directory, 'broken.crt'), 'garbage');
  writeFileSync(join(directory, 'broken.key'), 'garbage');
  point('broken');
  await until(() => server.lines.some(({ message }) => message === 'TLS certificate not reloaded'));
  assert.equal(await subject(server.port), 'two');
  point('one');
  await until(async () => (await subject(server.port)) === 'one');
});

test('closing ends idle TLS connections of both protocols', async () => {
  await using server = await TestServer.start({}, { tls: files('one') });
  const session = connectH2(`https://127.0.0.1:${server.port}`, { rejectUnauthorized: false });
  await get(session, '/healthz');
  const socket = await handshake(server.port);
  const gone = Promise.all([once(session, 'close'), once(socket, 'close')]);
  socket.resume();
  await server.server.close(60_000);
  await gone;
});
