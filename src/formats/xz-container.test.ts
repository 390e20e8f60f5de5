import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatXzStream, parseXzStream } from './xz-container.ts';

function xz(input: Uint8Array, ...args: readonly string[]): Buffer {
  return execFileSync('xz', ['-c', '-0', ...args], { input });
}

function unxz(input: Uint8Array): Buffer {
  return execFileSync('xz', ['-dc'], { input });
}

const text = Buffer.alloc(50_000, 'text that is compressed and cut ');

for (const check of ['none', 'crc32', 'crc64', 'sha256']) {
  test(`blocks of a stream with check ${check} are cut apart and put together`, () => {
    const stream = xz(text, `--check=${check}`, '--block-list=20000,1,29999');
    const { check: number, blocks } = parseXzStream(stream);
    assert.deepEqual(
      blocks.map((block) => block.uncompressedSize),
      [20000, 1, 29999],
    );
    assert.ok(stream.equals(formatXzStream({ check: number, blocks })));
    const singles = blocks.map((block) => unxz(formatXzStream({ check: number, blocks: [block] })));
    assert.ok(Buffer.concat(singles).equals(text));
    const reversed = unxz(formatXzStream({ check: number, blocks: blocks.toReversed() }));
    assert.equal(reversed.length, text.length);
  });
}

test('a stream without blocks, and one with large sizes in its index', () => {
  const empty = xz(new Uint8Array(0), '--check=crc32');
  assert.ok(empty.equals(formatXzStream({ check: 1, blocks: [] })));
  assert.deepEqual(parseXzStream(empty).blocks, []);
  const block = {
    bytes: new Uint8Array(1 << 20),
    unpaddedSize: (1 << 20) - 3,
    uncompressedSize: 2 ** 40 + 1,
  };
  const [parsed] = parseXzStream(formatXzStream({ check: 1, blocks: [block] })).blocks;
  assert.equal(parsed?.uncompressedSize, 2 ** 40 + 1);
});

test('damaged streams are refused', () => {
  const stream = xz(text, '--check=crc32', '--block-list=20000,30000');
  const content = new Set<number>();
  const { blocks } = parseXzStream(stream);
  const size = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
  for (let i = 12; i < 12 + size; i++) content.add(i);
  for (let at = 0; at < stream.length; at++) {
    if (content.has(at)) continue;
    const copy = Buffer.from(stream);
    copy[at] = (copy[at] ?? 0) ^ 0x55;
    assert.throws(() => parseXzStream(copy), { kind: 'invalid', code: 'XZ_INVALID' }, `byte ${at}`);
  }
  for (const bad of [
    stream.subarray(0, -4),
    stream.subarray(4),
    Buffer.concat([stream, stream]),
    new Uint8Array(0),
  ]) {
    assert.throws(() => parseXzStream(bad), { code: 'XZ_INVALID' });
  }
});

test('no bytes at all make it fail in another way', () => {
  const start = xz(new Uint8Array(0)).subarray(0, 12);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      assert.throws(() => parseXzStream(Buffer.concat([start, bytes])), { code: 'XZ_INVALID' });
    }),
  );
});
