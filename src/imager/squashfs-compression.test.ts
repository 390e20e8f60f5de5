import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesBlob } from '../blob/bytes.ts';
import { openSquashfs } from '../formats/squashfs/reader.ts';
import { generatedBlob, noise, plainTree, squashfsBytes } from '../formats/squashfs/squashfs.testing.ts';
import type { BlockCompressor, SquashfsCompression } from '../formats/squashfs/types.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { parseXzStream } from '../formats/xz-container.ts';
import {
  gzipBlockCompressor,
  squashfsDecompressor,
  xzBlockCompressor,
  zstdBlockCompressor,
} from './squashfs-compression.ts';

const tree: readonly TreeEntry[] = [
  { type: 'directory', path: '', mode: 0o755 },
  { type: 'file', path: 'packable', mode: 0o644, content: generatedBlob(700_001, true) },
  { type: 'file', path: 'random', mode: 0o644, content: generatedBlob(400_000, false) },
  ...Array.from(
    { length: 300 },
    (_, i): TreeEntry => ({
      type: 'file',
      path: `small-${i}`,
      mode: 0o600,
      content: generatedBlob(i * 7, true),
    }),
  ),
];

const compressors: readonly BlockCompressor[] = [
  gzipBlockCompressor(),
  zstdBlockCompressor(9),
  zstdBlockCompressor(15),
  xzBlockCompressor(),
];

async function scratch(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'squashfs-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

for (const [i, compressor] of compressors.entries()) {
  test(`${compressor.name} (${i}): unsquashfs and our reader read what is written, twice the same bytes`, async (t) => {
    const dir = await scratch(t);
    const { bytes } = await squashfsBytes(tree, { compressor });
    assert.ok(bytes.equals((await squashfsBytes(tree, { compressor })).bytes));
    await writeFile(join(dir, 'image'), bytes);
    execFileSync('unsquashfs', [
      '-strict-errors',
      '-no-progress',
      '-d',
      join(dir, 'root'),
      join(dir, 'image'),
    ]);
    const wanted = await plainTree(tree);
    for (const [path, entry] of wanted) {
      if (path === '') continue;
      assert.equal(await readFile(join(dir, 'root', path), 'base64'), (entry as { body: string }).body, path);
    }
    const image = await openSquashfs(bytesBlob(bytes), squashfsDecompressor());
    assert.deepEqual([...(await plainTree(image.entries()))].sort(), [...wanted].sort());
  });
}

test('what mksquashfs makes with xz, and with its filters, is read', async (t) => {
  const dir = await scratch(t);
  await mkdir(join(dir, 'root'));
  const body = Buffer.alloc(500_000, 'body of a file ');
  await writeFile(join(dir, 'root/file'), body);
  for (const args of [[], ['-Xdict-size', '100%'], ['-Xbcj', 'x86,arm', '-b', '64K']]) {
    execFileSync('mksquashfs', [
      join(dir, 'root'),
      join(dir, 'image'),
      '-comp',
      'xz',
      '-noappend',
      '-quiet',
      '-no-progress',
      ...args,
    ]);
    const image = await openSquashfs(bytesBlob(await readFile(join(dir, 'image'))), squashfsDecompressor());
    const read = (await plainTree(image.entries())).get('file') as { body: string };
    assert.ok(Buffer.from(read.body, 'base64').equals(body), args.join(' '));
  }
});

test('zstd options name a level that is not the default; random blocks are not tried twice', async () => {
  assert.deepEqual(zstdBlockCompressor(18).options, Uint8Array.of(18, 0, 0, 0));
  assert.equal(zstdBlockCompressor(15).options, undefined);
  const block = new Uint8Array(4096).map((_, i) => noise(i));
  assert.equal(await zstdBlockCompressor(18).compress(block), block);
  assert.equal((await zstdBlockCompressor(18).compress(new Uint8Array(4096))).length < 50, true);
});

test('xz streams are single blocks with CRC32, the same alone and among others', async () => {
  const compressor = xzBlockCompressor();
  const blocks = Array.from({ length: 150 }, (_, i) => Buffer.alloc(i * 100 + 1, `block ${i} `));
  const together = await Promise.all(blocks.map((block) => compressor.compress(block)));
  for (const [i, stream] of together.entries()) {
    const parsed = parseXzStream(stream);
    assert.equal(parsed.check, 1);
    assert.deepEqual(
      parsed.blocks.map((block) => block.uncompressedSize),
      [blocks[i]?.length],
    );
  }
  for (const i of [0, 77, 149]) {
    assert.ok(Buffer.from(await compressor.compress(blocks[i]!)).equals(together[i]!), `${i}`);
    const plain = execFileSync('xz', ['-dc'], { input: together[i]! });
    assert.ok(plain.equals(blocks[i]!));
  }
  const decompress = squashfsDecompressor();
  const back = await Promise.all(together.map((stream) => decompress('xz', stream, 1 << 20)));
  for (const [i, bytes] of back.entries()) assert.ok(Buffer.from(bytes).equals(blocks[i]!));
});

test('blocks that are damaged or too large are refused', async () => {
  const decompress = squashfsDecompressor();
  const plain = Buffer.alloc(9000, 'some text of a block');
  for (const name of ['gzip', 'zstd', 'xz'] satisfies SquashfsCompression[]) {
    const compressor = { gzip: gzipBlockCompressor(), zstd: zstdBlockCompressor(3), xz: xzBlockCompressor() }[
      name
    ];
    const packed = Buffer.from(await compressor.compress(plain));
    assert.ok(Buffer.from(await decompress(name, packed, 9000)).equals(plain));
    await assert.rejects(
      decompress(name, packed, 8999),
      { kind: 'invalid', code: 'SQUASHFS_BLOCK_INVALID' },
      name,
    );
    const damaged = Buffer.from(packed).fill(0xee, 0, 14);
    for (const bad of [damaged, packed.subarray(0, packed.length >> 1), new Uint8Array(0)]) {
      await assert.rejects(
        decompress(name, bad, 9000),
        { kind: 'invalid', code: 'SQUASHFS_BLOCK_INVALID' },
        name,
      );
    }
  }
});
