import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesBlob, textBlob, zeroBlob } from '../../blob/bytes.ts';
import { concatBlobs } from '../../blob/compose.ts';
import type { TreeEntry } from '../tree.ts';
import { openSquashfs } from './reader.ts';
import {
  generatedBlob,
  gzipCompressor,
  plainTree,
  sampleTree,
  squashfsBytes,
  trees,
  zlibDecompressor,
  zstdCompressor,
} from './squashfs.testing.ts';
import { writeSquashfs } from './writer.ts';

const epoch = 1559424892;

/** What unsquashfs makes of the bytes, as `plainTree` has it but without attributes. */
async function unsquash(bytes: Uint8Array): Promise<Map<string, unknown>> {
  const dir = await mkdtemp(join(tmpdir(), 'squashfs-'));
  try {
    await writeFile(join(dir, 'image'), bytes);
    const output = execFileSync(
      'unsquashfs',
      ['-strict-errors', '-no-xattrs', '-no-progress', '-d', join(dir, 'root'), join(dir, 'image')],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    assert.match(output.toString(), /created [0-9]+ files?/);
    const result = new Map<string, unknown>();
    const visit = async (path: string): Promise<void> => {
      const full = join(dir, 'root', path);
      const stat = await lstat(full);
      const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
      const body =
        type === 'file' ? await readFile(full, 'base64') : type === 'symlink' ? await readlink(full) : '';
      assert.equal(Math.floor(stat.mtimeMs / 1000), epoch, path);
      result.set(path, { type, mode: stat.mode & 0o7777, body, xattrs: [] });
      if (type === 'directory')
        for (const name of await readdir(full)) await visit(path === '' ? name : `${path}/${name}`);
    };
    await visit('');
    return result;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function withoutXattrs(entries: readonly TreeEntry[]): TreeEntry[] {
  return entries.map(({ xattrs: _, ...entry }) => entry as TreeEntry);
}

function sorted(tree: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
}

for (const compressor of [gzipCompressor, zstdCompressor]) {
  test(`${compressor.name}: unsquashfs extracts what was written`, async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (entries) => {
        const { bytes } = await squashfsBytes(entries, { compressor, blockSize: 4096 });
        assert.equal(bytes.length % 4096, 0);
        assert.deepEqual(sorted(await unsquash(bytes)), sorted(await plainTree(withoutXattrs(entries))));
      }),
      { numRuns: 12 },
    );
  });

  test(`${compressor.name}: our reader gives what was written`, async () => {
    await fc.assert(
      fc.asyncProperty(trees, fc.boolean(), async (entries, exportable) => {
        const { bytes, summary } = await squashfsBytes(entries, { compressor, blockSize: 4096, exportable });
        const image = await openSquashfs(bytesBlob(bytes), zlibDecompressor);
        assert.equal(summary.inodes, entries.length);
        assert.deepEqual(sorted(await plainTree(image.entries())), sorted(await plainTree(entries)));
      }),
      { numRuns: 40 },
    );
  });
}

test('the same tree gives the same bytes, in any order of entries', async () => {
  await fc.assert(
    fc.asyncProperty(trees, async (entries) => {
      const first = await squashfsBytes(entries, { blockSize: 4096 });
      const second = await squashfsBytes(entries.toReversed(), {
        blockSize: 4096,
        compressor: { ...gzipCompressor, concurrency: 1 },
      });
      assert.ok(first.bytes.equals(second.bytes));
    }),
    { numRuns: 20 },
  );
});

test('the bytes of a file system are pinned', async () => {
  const stored = { ...gzipCompressor, compress: async (block: Uint8Array) => block };
  const { bytes, summary } = await squashfsBytes(sampleTree, { compressor: stored });
  assert.deepEqual(summary, { size: 4096, inodes: 4, fragments: 1, duplicates: 0 });
  assert.equal(
    createHash('sha256').update(bytes).digest('hex'),
    '0d890d55c8bfb65bf19d49fd47feceb09c286c189a3ad5a98cf00df748dec459',
  );
});

test('unsquashfs sees the parameters', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'squashfs-'));
  t.after(() => rm(dir, { recursive: true }));
  await writeFile(
    join(dir, 'image'),
    (await squashfsBytes(sampleTree, { compressor: zstdCompressor, exportable: true })).bytes,
  );
  const stat = execFileSync('unsquashfs', ['-s', '-UTC', join(dir, 'image')]).toString();
  for (const line of [
    'Found a valid SQUASHFS 4:0 superblock',
    'Creation or last append time Sat Jun  1 21:34:52 2019',
    'Compression zstd',
    '\tcompression-level 3',
    'Block size 131072',
    'Filesystem is exportable via NFS',
    'Number of inodes 4',
    'Number of ids 1',
  ]) {
    assert.ok(stat.includes(line), `${line}\n${stat}`);
  }
  const list = execFileSync('unsquashfs', ['-lln', '-UTC', join(dir, 'image')]).toString();
  assert.deepEqual(
    list
      .split('\n')
      .filter((line) => line.includes('squashfs-root'))
      .map((line) => line.replace(/\s+/g, ' ')),
    [
      'drwxr-xr-x 0/0 26 2019-06-01 21:34 squashfs-root',
      'drwxrwxrwt 0/0 33 2019-06-01 21:34 squashfs-root/usr',
      '-rwsr-xr-x 0/0 13 2019-06-01 21:34 squashfs-root/usr/a',
      'lrwxrwxrwx 0/0 1 2019-06-01 21:34 squashfs-root/usr/b -> a',
    ],
  );
});

test('equal contents are kept once, and zero blocks not at all', async () => {
  const body = generatedBlob(300_000, false);
  const file = (path: string, content = textBlob('')): TreeEntry => ({
    type: 'file',
    path,
    mode: 0o644,
    content,
  });
  const one = await squashfsBytes([file('a', body)]);
  const three = await squashfsBytes([
    file('a', body),
    file('b', body),
    file('c', generatedBlob(300_000, false)),
  ]);
  assert.equal(three.summary.duplicates, 2);
  assert.ok(three.bytes.length - one.bytes.length <= 4096);
  const sparse = concatBlobs([zeroBlob(1 << 20), textBlob('end')]);
  const { bytes } = await squashfsBytes([{ type: 'file', path: 'sparse', mode: 0o644, content: sparse }]);
  assert.equal(bytes.length, 4096);
  assert.equal((await unsquash(bytes)).size, 2);
});

test('a long directory and names of every length', async () => {
  const entries: TreeEntry[] = [{ type: 'directory', path: 'd', mode: 0o755 }];
  for (let i = 0; i < 1000; i++) {
    const path = `d/${String(i).padStart(5, '0')}${'n'.repeat(i % 251)}`;
    entries.push({ type: 'file', path, mode: 0o644, content: textBlob(String(i)) });
  }
  const { bytes } = await squashfsBytes(entries);
  const image = await openSquashfs(bytesBlob(bytes), zlibDecompressor);
  const wanted = sorted(await plainTree([{ type: 'directory', path: '', mode: 0o755 }, ...entries]));
  assert.deepEqual(sorted(await plainTree(image.entries())), wanted);
  assert.deepEqual(sorted(await unsquash(bytes)), wanted);
});

test('large files pass through with few blocks held', async () => {
  const blockSize = 16 * 1024;
  let inFlight = 0;
  let most = 0;
  let compressed = 0;
  const compressor = {
    ...gzipCompressor,
    concurrency: 4,
    async compress(block: Uint8Array): Promise<Uint8Array> {
      most = Math.max(most, ++inFlight);
      const result = await gzipCompressor.compress(block);
      inFlight--;
      compressed += block.length;
      return result;
    },
  };
  const content = generatedBlob(24 << 20, true);
  let ahead = 0;
  const sinkWatch = async (): Promise<void> => {
    ahead = Math.max(ahead, content.taken - compressed);
  };
  const summary = await writeSquashfs(
    [{ type: 'file', path: 'large', mode: 0o644, content }],
    { compressor, mtime: epoch, blockSize },
    sinkWatch,
  );
  assert.equal(content.taken, content.size);
  assert.ok(summary.size < content.size / 10);
  assert.ok(most > 1 && most <= 4, `${most} blocks at once`);
  // One chunk of the source and the blocks in flight.
  assert.ok(ahead <= 64 * 1024 + 5 * blockSize, `${ahead} bytes ahead`);
});

test('failures of source, compressor and sink end the write; an aborted signal too', async () => {
  const file: TreeEntry = { type: 'file', path: 'a', mode: 0o644, content: generatedBlob(1 << 20, true) };
  const boom = new TypeError('boom');
  const failing = { ...gzipCompressor, compress: () => Promise.reject(boom) };
  await assert.rejects(squashfsBytes([file], { compressor: failing }), boom);
  const content = {
    ...generatedBlob(1 << 20, true),
    async *read() {
      yield new Uint8Array(9);
      throw boom;
    },
  };
  await assert.rejects(squashfsBytes([{ ...file, content }]), boom);
  await assert.rejects(squashfsBytes([file], { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('trees that are none are refused', async () => {
  const directory = (path: string): TreeEntry => ({ type: 'directory', path, mode: 0o755 });
  const file = (path: string): TreeEntry => ({ type: 'file', path, mode: 0o644, content: textBlob('') });
  const cases: readonly [readonly TreeEntry[], RegExp][] = [
    [[file('a/b')], /its directory is missing/],
    [[file('a'), file('a/b')], /its directory is missing/],
    [[file('a'), directory('a')], /twice/],
    [[file('')], /root has to be a directory/],
    [[directory('..')], /not clean/],
    [[directory('/a')], /not clean/],
    [[directory('a'), directory('a/')], /not clean/],
    [[file('a\0')], /NUL/],
    [[file('x'.repeat(256))], /longer than 255/],
    [[{ ...file('a'), mode: 0o100644 }], /mode/],
    [[{ type: 'symlink', path: 'l', mode: 0o777, target: '' }], /target/],
    [[{ type: 'fifo', path: 'f', mode: 0o644 }], /a fifo cannot/],
  ];
  for (const [entries, message] of cases) {
    await assert.rejects(squashfsBytes(entries), { code: 'SQUASHFS_TREE_INVALID', message });
  }
  for (const name of ['system.posix_acl_access', 'user.', `user.${'x'.repeat(251)}`]) {
    const xattrs = new Map([[name, new Uint8Array(1)]]);
    await assert.rejects(
      squashfsBytes([{ ...file('a'), xattrs }]),
      { code: 'SQUASHFS_XATTR_UNSUPPORTED' },
      name,
    );
  }
  await assert.rejects(squashfsBytes([], { blockSize: 5000 }), { code: 'SQUASHFS_BLOCK_SIZE_INVALID' });
});
