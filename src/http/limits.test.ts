import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestServer } from './testing/start.ts';

const MiB = 1024 * 1024;
let server: TestServer;
let stored: number[] = [];

before(async () => {
  server = await TestServer.start(
    {
      create: async (body) => {
        stored.push(body.length);
        return { id: 'x', canonical: '', existed: true };
      },
    },
    { limits: { headersTimeout: 300, requestTimeout: 600, keepAliveTimeout: 60_000 } },
  );
});
after(() => server[Symbol.asyncDispose]());

/** Sends pieces until the server stops taking them; returns its answer and how much was sent. */
async function upload(
  head: string,
  piece: Uint8Array,
  pieces: number,
): Promise<{ text: string; sent: number }> {
  const socket = server.connect();
  const chunks: Uint8Array[] = [];
  let closed = false;
  socket.on('error', () => {});
  socket.on('data', (chunk) => chunks.push(chunk));
  const done = new Promise<void>((resolve) =>
    socket.on('close', () => {
      closed = true;
      resolve();
    }),
  );
  socket.write(head);
  let sent = 0;
  for (let i = 0; i < pieces && !closed; i++) {
    sent += piece.length;
    if (!socket.write(piece)) {
      await Promise.race([done, new Promise((resolve) => socket.once('drain', resolve))]);
    }
  }
  await done;
  return { text: Buffer.concat(chunks).toString('latin1'), sent };
}

test('a body of 64 MB that is announced is refused without being read', async () => {
  const { text, sent } = await upload(
    `POST /schematics HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MiB}\r\n\r\n`,
    new Uint8Array(256 * 1024),
    256,
  );
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.match(text, /Connection: close\r\n/);
  assert.match(text, /request body is larger than 4194304 bytes/);
  assert.ok(sent < 32 * MiB, `${sent} bytes were taken`);
  assert.deepEqual(stored, []);
});

test('a body of 64 MB in chunks is refused where the limit is', async () => {
  const piece = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 0x61), Buffer.from('\r\n')]);
  const { text, sent } = await upload(
    'POST /schematics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
    piece,
    1024,
  );
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.ok(sent < 32 * MiB, `${sent} bytes were taken`);
  assert.deepEqual(stored, []);
});

test('an ordinary client reads the refusal', async () => {
  const answer = await server.request('POST', '/schematics', {}, new Uint8Array(64 * MiB));
  assert.equal(answer.status, 413);
});

test('a body of exactly the limit is taken, one byte more is not', async () => {
  stored = [];
  assert.equal((await server.request('POST', '/schematics', {}, new Uint8Array(4 * MiB))).status, 201);
  assert.equal((await server.request('POST', '/schematics', {}, new Uint8Array(4 * MiB + 1))).status, 413);
  assert.deepEqual(stored, [4 * MiB]);
});

test('Expect: 100-continue is answered before the body is sent', async () => {
  const refused = await server.raw(
    `POST /schematics HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${64 * MiB}\r\n\r\n`,
  );
  assert.match(refused, /^HTTP\/1\.1 413 /);
  stored = [];
  const socket = server.connect();
  socket.write('POST /schematics HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  const interim = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  assert.equal(interim.toString(), 'HTTP/1.1 100 Continue\r\n\r\n');
  socket.write('a:1');
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  assert.match(answer.toString(), /^HTTP\/1\.1 201 /);
  socket.destroy();
  assert.deepEqual(stored, [3]);
});

test('a body nobody asked for ends the connection', async () => {
  const text = await server.raw(
    'GET /versions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nGET /x HTTP/1.1\r\n',
  );
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.match(text, /Connection: close\r\n/);
  assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1);
});

const refused: readonly [string, string, number][] = [
  ['many headers', `GET / HTTP/1.1\r\nHost: a\r\n${'X-Flood: yyyyyyyyyyyyyyyy\r\n'.repeat(2000)}\r\n`, 431],
  ['one long header', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(64 * 1024)}\r\n\r\n`, 431],
  ['a long target', `GET /${'y'.repeat(64 * 1024)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
  [
    'length and chunks',
    'POST /schematics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  [
    'two lengths',
    'POST /schematics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    400,
  ],
  ['a list of lengths', 'POST /schematics HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc', 400],
  ['a signed length', 'POST /schematics HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc', 400],
  [
    'an unknown transfer coding',
    'POST /schematics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc', 400],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n', 400],
  ['a bare line feed in a header', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n', 400],
  ['a NUL in a header', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\u0000b\r\n\r\n', 400],
  [
    'a bad chunk size',
    'POST /schematics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n',
    400,
  ],
  ['TLS to a plain port', '\x16\x03\x01\x02\x00\x01\x00', 400],
  ['HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
];

for (const [name, bytes, status] of refused) {
  test(`refused: ${name}`, async () => {
    const text = await server.raw(Buffer.from(bytes, 'latin1'));
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), text.slice(0, 200));
    assert.equal(text.match(/HTTP\/1\.1 \d/g)?.length, 1);
    assert.match(text, /Connection: close\r\n/i);
  });
}

test('a refusal says who answered', async () => {
  const text = await server.raw('garbage\r\n\r\n');
  assert.match(text, /Server: Image Factory v1\.2\.3\r\n/);
  assert.match(text, /X-Request-Id: [0-9a-f-]{36}\r\n/);
  assert.match(text, /\r\n\r\nbad request\n$/);
});

test('garbage after an answer is refused too, and never written into one', async () => {
  const after = await server.raw('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\ngarbage\r\n\r\n');
  const statuses = [...after.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]);
  // The parser may see the garbage before or after the answer has left.
  assert.ok(['200,400', '400', '200'].includes(statuses.join()), after);
  const socket = server.connect();
  socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  socket.write('garbage\r\n\r\n');
  const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  assert.match(answer.toString(), /^HTTP\/1\.1 400 /);
  socket.destroy();
});

test('headers that do not come to an end are given up', async () => {
  assert.match(await server.raw('GET / HTTP/1.1\r\nHost: a\r\nX'), /^HTTP\/1\.1 408 /);
});

test('a body that does not come to an end is given up', async () => {
  const text = await server.raw('POST /schematics HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  assert.match(text, /^(HTTP\/1\.1 408 |$)/);
  const line = await server.logged(({ fields }) => fields.status === 499);
  assert.equal(line.fields.path, '/schematics');
});

test('the server is whole after all that', async () => {
  assert.equal((await server.request('GET', '/healthz')).status, 200);
});
