import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { Blob } from '../blob/blob.ts';
import { FakeAsset, SCHEMATIC } from './testing/fakes.ts';
import { TestServer } from './testing/start.ts';

const IMAGE = `/image/${SCHEMATIC}/v1.11.0/metal-amd64.raw`;
const CHUNK = 64 * 1024;
const GET = `GET ${IMAGE} HTTP/1.1\r\nHost: a\r\n\r\n`;

/** A large blob made up as it is read, which counts what was asked of it. */
class CountingBlob implements Blob {
  readonly size: number;
  readonly failAt: number;
  yielded = 0;
  ended = Promise.withResolvers<void>();

  constructor(size: number, failAt = Number.POSITIVE_INFINITY) {
    this.size = size;
    this.failAt = failAt;
  }

  async *read(_offset: number, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    try {
      for (let left = length; left > 0; left -= CHUNK) {
        signal?.throwIfAborted();
        if (this.yielded >= this.failAt) throw new Error('disk broke');
        const chunk = new Uint8Array(Math.min(CHUNK, left)).fill(0x78);
        this.yielded += chunk.length;
        yield chunk;
      }
    } finally {
      this.ended.resolve();
    }
  }

  extents(): [] {
    return [];
  }
}

async function start(blob: Blob): Promise<{ server: TestServer; asset: FakeAsset }> {
  const asset = new FakeAsset(blob);
  asset.known = 'ab';
  return { server: await TestServer.start({ open: async () => asset }), asset };
}

const read = (socket: Socket): Promise<Buffer> => new Promise((resolve) => socket.once('data', resolve));

/** Until a value has not changed for a while. */
async function settled(value: () => number): Promise<number> {
  for (let last = -1, same = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = value() === last ? same + 1 : 0;
    last = value();
    if (same === 10) return last;
  }
}

test('a client that does not read holds back the blob', async () => {
  const blob = new CountingBlob(1024 * 1024 * 1024);
  const { server, asset } = await start(blob);
  await using _ = server;
  const socket = server.connect();
  socket.on('error', () => {});
  socket.write(GET);
  await read(socket);
  socket.pause();
  const held = await settled(() => blob.yielded);
  // What lies in two socket buffers, whose limits the kernel sets; far from the gigabyte of the blob.
  assert.ok(held < 64 * 1024 * 1024, `${held} bytes were read ahead`);
  socket.resume();
  await read(socket);
  socket.destroy();
  await blob.ended.promise;
  const line = await server.logged(() => true);
  assert.equal(line.fields.status, 499);
  assert.equal(line.level, 'info');
  assert.equal(line.fields.error, undefined);
  assert.equal(asset.disposed, 1);
});

test('a blob that fails midway breaks the connection instead of ending the answer', async () => {
  const blob = new CountingBlob(10 * CHUNK, 3 * CHUNK);
  const { server, asset } = await start(blob);
  await using _ = server;
  const text = await server.raw(GET);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(text, /Content-Length: 655360\r\n/);
  assert.ok(text.length < 10 * CHUNK);
  const line = await server.logged(() => true);
  assert.deepEqual([line.level, line.fields.status, line.fields.error], ['error', 200, 'disk broke']);
  assert.equal(asset.disposed, 1);
});

test('a blob with fewer bytes than it said breaks the connection', async () => {
  const short: Blob = {
    size: 2 * CHUNK,
    async *read() {
      yield new Uint8Array(CHUNK);
    },
    extents: () => [],
  };
  const { server } = await start(short);
  await using _ = server;
  await server.raw(GET);
  const line = await server.logged(() => true);
  assert.match(String(line.fields.error), /fewer than the 131072 bytes/);
});

test('a client that leaves during a build ends the waiting only', async () => {
  const aborted = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  await using server = await TestServer.start({
    open: ({ signal }) =>
      new Promise((_, reject) => {
        opened.resolve();
        signal.addEventListener('abort', () => {
          reject(signal.reason);
          aborted.resolve();
        });
      }),
  });
  const socket = server.connect();
  socket.on('error', () => {});
  socket.write(GET);
  await opened.promise;
  socket.destroy();
  await aborted.promise;
  const line = await server.logged(() => true);
  assert.deepEqual([line.fields.status, line.level, line.fields.error], [499, 'info', undefined]);
  assert.match(await server.registry.metrics(), /code="499"/);
});

test('an asset that is there after its client has left is released', async () => {
  const asset = new FakeAsset(new CountingBlob(CHUNK));
  asset.known = 'ab';
  const opened = Promise.withResolvers<void>();
  await using server = await TestServer.start({
    async open({ signal }) {
      opened.resolve();
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return asset;
    },
  });
  const socket = server.connect();
  socket.on('error', () => {});
  socket.write(GET);
  await opened.promise;
  socket.destroy();
  await server.logged(({ fields }) => fields.status === 499);
  assert.equal(asset.disposed, 1);
});

test('pipelined and kept-alive requests are answered in order', async () => {
  const { server } = await start(new CountingBlob(3 * CHUNK + 1));
  await using _ = server;
  const text = await server.raw(
    `${GET}GET /versions HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  );
  const heads = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]);
  assert.deepEqual(heads, ['200', '200', '404']);
});

test('a download that broke off is completed by a range', async () => {
  const { server } = await start(new CountingBlob(1000));
  await using _ = server;
  const first = await server.request('GET', IMAGE, { range: 'bytes=0-399' });
  const rest = await server.request('GET', IMAGE, {
    range: 'bytes=400-',
    'if-range': first.headers.etag ?? '',
  });
  assert.deepEqual([first.status, rest.status], [206, 206]);
  assert.equal(rest.headers['content-range'], 'bytes 400-999/1000');
  assert.equal(first.text.length + rest.text.length, 1000);
});
