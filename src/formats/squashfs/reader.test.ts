import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesBlob, textBlob } from '../../blob/bytes.ts';
import { readAll, readRange } from '../../blob/consume.ts';
import { isAbort } from '../../errors.ts';
import { tarArchive } from '../tar.ts';
import type { FileEntry, TreeEntry } from '../tree.ts';
import { openSquashfs, type SquashfsReadLimits } from './reader.ts';
import { generatedBlob, plainTree, sampleTree, squashfsBytes, zlibDecompressor } from './squashfs.testing.ts';

const label = Buffer.from('system_u:object_r:usr_t:s0\0');
const tree: readonly TreeEntry[] = [
  { type: 'directory', path: 'd', mode: 0o1777, xattrs: new Map([['security.selinux', label]]) },
  { type: 'file', path: 'd/empty', mode: 0o600, content: textBlob('') },
  { type: 'file', path: 'd/large', mode: 0o4755, content: generatedBlob(300_001, true) },
  { type: 'file', path: 'd/random', mode: 0o444, content: generatedBlob(200_000, false) },
  { type: 'file', path: 'd/same', mode: 0o444, content: generatedBlob(200_000, false) },
  { type: 'file', path: 'd/zeros', mode: 0o644, content: bytesBlob(new Uint8Array(400_000)) },
  {
    type: 'file',
    path: 'marked',
    mode: 0o644,
    content: textBlob('marked'),
    xattrs: new Map<string, Uint8Array>([
      ['security.selinux', label],
      ['trusted.overlay.opaque', Buffer.from('y')],
      ['user.note', Buffer.alloc(300, 'n')],
    ]),
  },
  {
    type: 'symlink',
    path: 'link',
    mode: 0o777,
    target: 'd/large',
    xattrs: new Map([['security.selinux', label]]),
  },
  ...Array.from(
    { length: 700 },
    (_, i): TreeEntry => ({
      type: 'file',
      path: `n${i}-${'x'.repeat(i % 200)}`,
      mode: 0o644,
      content: textBlob(`${i}`),
    }),
  ),
];

/** What mksquashfs makes of our tar archive of `tree`. */
async function mksquashfs(
  t: TestContext,
  entries: readonly TreeEntry[],
  ...args: readonly string[]
): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'squashfs-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, 'tar'), await readAll(tarArchive(entries, { mtime: 7 }), 16 << 20));
  execFileSync(
    'mksquashfs',
    ['-', join(dir, 'image'), '-tar', '-noappend', '-no-progress', '-quiet', ...args],
    {
      input: await readFile(join(dir, 'tar')),
      stdio: ['pipe', 'ignore', 'pipe'],
    },
  );
  return readFile(join(dir, 'image'));
}

/** What mksquashfs makes of an empty directory and pseudo files. */
async function mksquashfsPseudo(t: TestContext, ...pseudo: readonly string[]): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'squashfs-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const options = pseudo.flatMap((definition) => ['-p', definition]);
  await mkdir(join(dir, 'empty'));
  execFileSync('mksquashfs', [join(dir, 'empty'), join(dir, 'image'), '-no-progress', '-quiet', ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return readFile(join(dir, 'image'));
}

const variants: readonly (readonly string[])[] = [
  ['-comp', 'gzip'],
  ['-comp', 'zstd', '-Xcompression-level', '4'],
  ['-comp', 'gzip', '-b', '4096', '-exports'],
  ['-comp', 'gzip', '-b', '1M', '-noI', '-noD', '-noF', '-noX', '-noId'],
  ['-comp', 'zstd', '-no-fragments', '-all-root'],
  ['-comp', 'gzip', '-always-use-fragments', '-b', '65536'],
];
for (const args of variants) {
  test(`what mksquashfs ${args.join(' ')} makes is read`, async (t) => {
    const image = await openSquashfs(bytesBlob(await mksquashfs(t, tree, ...args)), zlibDecompressor);
    const read = await plainTree(image.entries());
    const wanted = await plainTree(tree);
    assert.ok(read.delete(''));
    const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    assert.deepEqual(sorted(read), sorted(wanted));
  });
}

test('devices, fifos and sockets are given as what they are', async (t) => {
  const bytes = await mksquashfsPseudo(
    t,
    'c c 620 0 0 1030 66051',
    'b b 600 0 0 8 1',
    'f i 644 0 0 f',
    's i 755 0 0 s',
  );
  const image = await openSquashfs(bytesBlob(bytes), zlibDecompressor);
  const read: TreeEntry[] = [];
  for await (const entry of image.entries()) read.push(entry);
  assert.deepEqual(read.slice(1), [
    { path: 'b', type: 'block-device', mode: 0o600, major: 8, minor: 1 },
    { path: 'c', type: 'character-device', mode: 0o620, major: 1030, minor: 66051 },
    { path: 'f', type: 'fifo', mode: 0o644 },
    { path: 's', type: 'socket', mode: 0o755 },
  ]);
});

test('a part of the tree', async () => {
  const entries: TreeEntry[] = [];
  for (const path of ['a', 'a/b', 'a/b/c', 'a/bb', 'a/b/c/d', 'x'])
    entries.push({ type: 'directory', path, mode: 0o755 });
  const image = await openSquashfs(bytesBlob((await squashfsBytes(entries)).bytes), zlibDecompressor);
  const paths = async (under?: string): Promise<string[]> => {
    const result: string[] = [];
    for await (const entry of image.entries(under === undefined ? {} : { under })) result.push(entry.path);
    return result;
  };
  assert.deepEqual(await paths('a/b'), ['a/b', 'a/b/c', 'a/b/c/d']);
  assert.deepEqual(await paths('a/none'), []);
  assert.deepEqual(await paths('x/y'), []);
  assert.deepEqual(await paths(), ['', 'a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/bb', 'x']);
});

test('any range of a file can be read', async () => {
  const content = generatedBlob(100_000, true);
  const file: TreeEntry = { type: 'file', path: 'f', mode: 0o644, content };
  const { bytes } = await squashfsBytes([file], { blockSize: 8192 });
  const image = await openSquashfs(bytesBlob(bytes), zlibDecompressor);
  let read: FileEntry | undefined;
  for await (const entry of image.entries()) if (entry.type === 'file') read = entry;
  assert.ok(read !== undefined);
  for (const [offset, length] of [
    [0, 0],
    [0, 1],
    [8191, 2],
    [8192, 8192],
    [99_999, 1],
    [98_000, 2000],
    [5, 90_000],
    [100_000, 0],
  ] as const) {
    const got = await readRange(read.content, offset, length);
    assert.deepEqual(
      Buffer.from(got),
      Buffer.from(await readRange(content, offset, length)),
      `${offset}+${length}`,
    );
  }
  await assert.rejects(readRange(read.content, 99_999, 2), RangeError);
  await assert.rejects(readRange(read.content, 0, 9, AbortSignal.abort()), (error) => isAbort(error));
});

async function readEverything(bytes: Uint8Array, limits: SquashfsReadLimits = {}): Promise<void> {
  const image = await openSquashfs(bytesBlob(bytes), zlibDecompressor, { limits });
  for await (const entry of image.entries()) {
    if (entry.type === 'file') for await (const _ of entry.content.read(0, entry.content.size));
  }
}

const stored = { name: 'gzip', concurrency: 1, compress: async (block: Uint8Array) => block } as const;

test('hostile superblocks are refused', async () => {
  const { bytes } = await squashfsBytes(sampleTree, { compressor: stored });
  const edit = (change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /no superblock/],
    ['magic', edit((b) => b.fill(0, 0, 4)), /no superblock/],
    ['version', edit((b) => b.writeUInt16LE(3, 28)), /version 3.0/],
    ['compression', edit((b) => b.writeUInt16LE(3, 20)), /compression 3/],
    ['block size', edit((b) => b.writeUInt32LE(1 << 30, 12)), /block size/],
    ['block log', edit((b) => b.writeUInt16LE(12, 22)), /block size/],
    ['cut off', bytes.subarray(0, 200), /of which 200 are there/],
    ['tables', edit((b) => b.writeBigUInt64LE(1n, 64)), /not in order/],
    ['root', edit((b) => b.writeBigUInt64LE(0xffff0000n, 32)), /out of its table/],
    ['root in a file', edit((b) => b.writeBigUInt64LE(0n, 32)), /not a directory/],
    ['fragment table', edit((b) => b.writeBigUInt64LE(2n ** 62n, 80)), /leads out/],
    ['fragment count', edit((b) => b.writeUInt32LE(0, 16)), /fragment 0 of 0/],
  ];
  for (const [what, image, message] of cases) {
    await assert.rejects(readEverything(image), { code: 'SQUASHFS_INVALID', message }, what);
  }
});

test('limits of entries and content', async () => {
  const { bytes } = await squashfsBytes(sampleTree);
  await readEverything(bytes, { entries: 3, content: 13 });
  await assert.rejects(readEverything(bytes, { entries: 2 }), {
    code: 'SQUASHFS_INVALID',
    message: /more entries/,
  });
  await assert.rejects(readEverything(bytes, { content: 12 }), {
    code: 'SQUASHFS_INVALID',
    message: /the limit is 12/,
  });
});

test('a directory that contains itself is refused', async () => {
  const entries: TreeEntry[] = ['a', 'a/b'].map((path) => ({ type: 'directory', path, mode: 0o755 }));
  const { bytes } = await squashfsBytes(entries, { compressor: stored });
  // The listings are those of `a` and of the root; both entries' inode offsets follow a header of 12 bytes.
  const table = Number(bytes.readBigUInt64LE(72)) + 2;
  bytes.writeUInt16LE(bytes.readUInt16LE(table + 12 + 8 + 1 + 12), table + 12);
  await assert.rejects(readEverything(bytes), { code: 'SQUASHFS_INVALID', message: /there twice/ });
});

test('any byte changed gives an error or another tree, never a hang or a foreign error', async () => {
  const files = tree.slice(0, 15).filter((entry) => entry.type !== 'file' || entry.content.size < 1000);
  const { bytes } = await squashfsBytes(files, { blockSize: 65536, compressor: stored });
  const data = Number(bytes.readBigUInt64LE(64));
  let refused = 0;
  for (let at = 0; at < bytes.length && at < 96; at++) refused += await damaged(bytes, at);
  for (let at = data; at < Number(bytes.readBigUInt64LE(40)); at++) refused += await damaged(bytes, at);
  assert.ok(refused > 100, `${refused}`);
});

async function damaged(bytes: Buffer, at: number): Promise<number> {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  try {
    await readEverything(copy, { entries: 1000, content: 1 << 24 });
    return 0;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    assert.match(code, /^(SQUASHFS_INVALID|Z_.*|ERR_BUFFER_TOO_LARGE)$/, `byte ${at}: ${error}`);
    return 1;
  }
}
