import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { planDelivery, writeBytes } from './deliver.ts';
import type { Representation } from './result.ts';

const of = (fields: Readonly<Record<string, string>>) => (name: string) => fields[name];

function representation(blob: Blob, more: Partial<Representation> = {}): Representation {
  return {
    kind: 'representation',
    blob,
    contentType: 'a/b',
    cacheControl: 'c',
    etag: 'k',
    immutable: true,
    ...more,
  };
}

const hello = representation(textBlob('0123456789'), {
  headers: { 'Content-Disposition': 'd', Vary: 'Accept' },
});

const matrix: readonly [
  string,
  Readonly<Record<string, string>>,
  number,
  string | undefined,
  number,
  number,
][] = [
  ['GET', {}, 200, undefined, 0, 10],
  ['GET', { range: 'bytes=2-4' }, 206, 'bytes 2-4/10', 2, 3],
  ['GET', { range: 'bytes=-3' }, 206, 'bytes 7-9/10', 7, 3],
  ['GET', { range: 'bytes=8-' }, 206, 'bytes 8-9/10', 8, 2],
  ['GET', { range: 'bytes=0-1,4-5' }, 200, undefined, 0, 10],
  ['GET', { range: 'bytes=10-' }, 416, 'bytes */10', 0, 0],
  ['GET', { range: 'bytes=2-4', 'if-range': '"k"' }, 206, 'bytes 2-4/10', 2, 3],
  ['GET', { range: 'bytes=2-4', 'if-range': '"old"' }, 200, undefined, 0, 10],
  ['GET', { range: 'bytes=99-', 'if-range': '"old"' }, 200, undefined, 0, 10],
  ['GET', { range: 'bytes=2-4', 'if-none-match': '"k"' }, 304, undefined, 0, 0],
  ['GET', { range: 'bytes=2-4', 'if-match': '"x"' }, 412, undefined, 0, 0],
  ['HEAD', { range: 'bytes=2-4' }, 200, undefined, 0, 10],
  ['HEAD', { range: 'bytes=99-' }, 200, undefined, 0, 10],
  ['HEAD', { 'if-none-match': '"k"' }, 304, undefined, 0, 0],
];

for (const [method, fields, status, contentRange, offset, length] of matrix) {
  test(`${method} ${JSON.stringify(fields)} is ${status}`, async () => {
    const plan = await planDelivery(hello, method, of(fields));
    assert.deepEqual(
      [plan.status, plan.headers['Content-Range'], plan.offset, plan.length],
      [status, contentRange, offset, length],
    );
    if (status < 300) assert.equal(plan.headers['Content-Length'], String(length));
  });
}

test('200 and 206 carry everything, 304 what RFC 9110 §15.4.5 names', async () => {
  const shared = {
    'Cache-Control': 'c',
    ETag: '"k"',
    'Last-Modified': 'Sat, 01 Jun 2019 21:34:52 GMT',
    Vary: 'Accept',
  };
  const whole = await planDelivery(hello, 'GET', of({}));
  assert.deepEqual(whole.headers, {
    ...shared,
    'Content-Disposition': 'd',
    'Accept-Ranges': 'bytes',
    'Content-Type': 'a/b',
    'Content-Length': '10',
  });
  const revalidated = await planDelivery(hello, 'GET', of({ 'if-none-match': '"k"' }));
  assert.deepEqual(revalidated.headers, shared);
});

test('no modification date where bytes may change', async () => {
  const plan = await planDelivery({ ...hello, immutable: false }, 'GET', of({}));
  assert.equal(plan.headers['Last-Modified'], undefined);
});

test('Repr-Digest: known, small, wanted, or absent', async () => {
  const MiB = 1024 * 1024;
  const cases: readonly [number, string | undefined, string | undefined, string | undefined, string[]][] = [
    [64 * MiB, undefined, undefined, 'sha-256=:qqo=:', ['sha256']],
    [64 * MiB + 1, undefined, undefined, undefined, []],
    [64 * MiB + 1, 'bbbb', undefined, 'sha-256=:u7s=:', []],
    [64 * MiB + 1, undefined, 'sha-256=1', 'sha-256=:qqo=:', ['sha256']],
    [64 * MiB + 1, 'bbbb', 'sha-512=9', 'sha-512=:qqo=:', ['sha512']],
    [64 * MiB + 1, undefined, 'md5=9', undefined, []],
  ];
  for (const [size, known, wanted, expected, computed] of cases) {
    const asked: string[] = [];
    const digest = {
      known,
      compute: async (algorithm: string) => {
        asked.push(algorithm);
        return 'aaaa';
      },
    };
    const fields = wanted === undefined ? {} : { 'want-repr-digest': wanted };
    for (const method of ['GET', 'HEAD']) {
      asked.length = 0;
      const plan = await planDelivery(representation(zeroBlob(size), { digest }), method, of(fields));
      assert.equal(plan.headers['Repr-Digest'], expected);
      assert.deepEqual(asked, computed);
    }
  }
});

test('a partial answer carries the digest of the whole', async () => {
  const digest = { known: 'bbbb', compute: async () => 'aaaa' };
  const plan = await planDelivery({ ...hello, digest }, 'GET', of({ range: 'bytes=1-1' }));
  assert.equal(plan.status, 206);
  assert.equal(plan.headers['Repr-Digest'], 'sha-256=:u7s=:');
});

test('nothing is hashed for an answer without the bytes', async () => {
  const digest = {
    known: undefined,
    compute: async (): Promise<string> => assert.fail('hashed'),
  };
  for (const fields of [{ 'if-none-match': '*' }, { 'if-match': '"x"' }, { range: 'bytes=99-' }]) {
    await planDelivery({ ...hello, digest }, 'GET', of(fields));
  }
});

test('bytes are written one chunk at a time, and their number is checked', async () => {
  const written: number[] = [];
  const sink = {
    async write(chunk: Uint8Array) {
      written.push(...chunk);
    },
  };
  const { signal } = new AbortController();
  await writeBytes(sink, { blob: bytesBlob(Uint8Array.of(1, 2, 3, 4)) }, { offset: 1, length: 2 }, signal);
  assert.deepEqual(written, [2, 3]);
  for (const yielded of [1, 3]) {
    const lying: Blob = {
      size: 2,
      async *read() {
        yield new Uint8Array(yielded);
      },
      extents: () => [],
    };
    await assert.rejects(writeBytes(sink, { blob: lying }, { offset: 0, length: 2 }, signal), {
      code: 'HTTP_BODY_LENGTH',
    });
  }
});
