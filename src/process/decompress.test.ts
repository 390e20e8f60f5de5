import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { type DecompressOptions, decompress } from './decompress.ts';

const plain = Buffer.alloc(300_000, 'some text that compresses, ');

const encoders: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: (bytes) => gzipSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
  xz: (bytes) => execFileSync('xz', ['-0', '-c'], { input: bytes }),
  none: (bytes) => bytes,
};

async function* chunked(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = { limit: 1 << 20 },
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompress(source, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const [name, encode] of Object.entries(encoders)) {
  test(`${name}: known by its first bytes, one stream or several, in chunks of any size`, async () => {
    const one = encode(plain);
    assert.ok((await collect(chunked(one, 1 << 16))).equals(plain));
    assert.ok((await collect(chunked(one, 7))).equals(plain));
    const two = Buffer.concat([one, encode(plain)]);
    assert.ok((await collect(chunked(two, 1000))).equals(Buffer.concat([plain, plain])));
  });

  test(`${name}: more than the limit is an error`, async () => {
    const bytes = encode(plain);
    assert.equal((await collect(chunked(bytes, 4096), { limit: plain.length })).length, plain.length);
    await assert.rejects(collect(chunked(bytes, 4096), { limit: plain.length - 1 }), {
      kind: 'invalid',
      code: 'DECOMPRESSION_LIMIT',
    });
  });

  test(`${name}: an error of the source is passed on as it is`, async () => {
    const failing = async function* (): AsyncIterable<Uint8Array> {
      yield* chunked(encode(plain).subarray(0, 60), 20);
      throw new TypeError('digest does not match');
    };
    await assert.rejects(collect(failing()), { name: 'TypeError', message: 'digest does not match' });
  });

  test(`${name}: an aborted signal ends it`, async () => {
    const controller = new AbortController();
    const endless = async function* (): AsyncIterable<Uint8Array> {
      for (;;) {
        yield encode(plain);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const run = async (): Promise<void> => {
      for await (const _ of decompress(endless(), { limit: 1e12, signal: controller.signal }))
        controller.abort();
    };
    await assert.rejects(run(), { name: 'AbortError' });
  });

  test(`${name}: a reader that stops early ends the source`, async () => {
    let ended = false;
    const source = async function* (): AsyncIterable<Uint8Array> {
      try {
        for (;;) {
          yield encode(plain);
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        ended = true;
      }
    };
    for await (const _ of decompress(source(), { limit: 1e12 })) break;
    for (let i = 0; i < 100 && !ended; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(ended);
  });
}

for (const name of ['gzip', 'zstd', 'xz']) {
  test(`${name}: damaged or cut off streams are refused`, async () => {
    const bytes = Buffer.from(encoders[name]!(plain));
    const damaged = Buffer.from(bytes);
    damaged.fill(0xa5, 20, 40);
    for (const bad of [damaged, bytes.subarray(0, bytes.length - 3), bytes.subarray(0, 20)]) {
      await assert.rejects(collect(chunked(bad, 16)), { kind: 'invalid', code: 'DECOMPRESSION_FAILED' });
    }
  });
}

test('the source is read to its end, whatever follows the compressed stream', async () => {
  for (const name of ['gzip', 'none']) {
    const bytes = Buffer.concat([encoders[name]!(plain), Buffer.alloc(100_000)]);
    let taken = 0;
    const counted = async function* (): AsyncIterable<Uint8Array> {
      for await (const chunk of chunked(bytes, 1000)) {
        taken += chunk.length;
        yield chunk;
      }
    };
    await collect(counted());
    assert.equal(taken, bytes.length, name);
  }
});

test('zstd: frames of all header shapes, skippable and empty ones among them', async () => {
  const skippable = Buffer.from('5e2a4d1803000000616263', 'hex');
  const frames: Uint8Array[] = [skippable];
  let size = 0;
  for (const length of [0, 1, 255, 256, 65_536 + 256, 300_000, 1_000_000]) {
    for (const flags of [
      {},
      { [constants.ZSTD_c_checksumFlag]: 1 },
      { [constants.ZSTD_c_contentSizeFlag]: 0 },
    ]) {
      const body = length === 300_000 ? Buffer.alloc(length) : randomBytes(length);
      frames.push(zstdCompressSync(body, { params: flags }), skippable);
      size += length;
    }
  }
  assert.equal((await collect(chunked(Buffer.concat(frames), 5000), { limit: size })).length, size);
  const junk = Buffer.concat([encoders.zstd!(plain), Buffer.from('junk')]);
  await assert.rejects(collect(chunked(junk, 100)), { code: 'DECOMPRESSION_FAILED', message: /no frame/ });
});

test('an empty stream is empty', async () => {
  assert.equal((await collect(chunked(Buffer.alloc(0), 1))).length, 0);
});
