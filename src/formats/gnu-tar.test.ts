import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs, placedBlob } from '../blob/compose.ts';
import { readRange, writeBlob } from '../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { anyDisk, contents, mixedDisk, noise } from './disk-sample.testing.ts';
import { gnuSparseTar, gnuTar } from './gnu-tar.ts';

const mtime = SOURCE_DATE_EPOCH;

/** What GNU tar and Python find in the archive of `disk`. */
async function extract(
  disk: Blob,
): Promise<{ readonly gnu: Buffer; readonly python: Buffer; blocks: number }> {
  const dir = await mkdtemp(join(tmpdir(), 'sparse-'));
  try {
    const path = join(dir, 'tar');
    await writeBlob(gnuSparseTar({ name: 'disk.raw', content: disk }, { mtime }), path);
    execFileSync('tar', ['-x', '--sparse', '-f', path, '-C', dir]);
    const script =
      'import sys, tarfile\n' +
      'a = tarfile.open(sys.argv[1])\n' +
      'm, = a.getmembers()\n' +
      'assert (m.name, m.mode, m.uid, m.gid, m.uname, m.gname) == ("disk.raw", 0o644, 0, 0, "", "")\n' +
      'sys.stdout.buffer.write(a.extractfile(m).read())\n';
    const python = execFileSync('/usr/bin/python3', ['-c', script, path], { maxBuffer: 1 << 28 });
    const gnu = await readFile(join(dir, 'disk.raw'));
    return { gnu, python, blocks: (await stat(join(dir, 'disk.raw'))).blocks };
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('GNU tar and Python extract the disk; its holes are holes', async () => {
  const disk = mixedDisk();
  const wanted = await contents(disk);
  const { gnu, python, blocks } = await extract(disk);
  assert.ok(gnu.equals(wanted));
  assert.ok(python.equals(wanted));
  assert.ok(blocks * 512 < disk.size / 3, `${blocks}`);
});

test('an archive of a file with holes is that of tar --sparse', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparse-'));
  t.after(() => rm(dir, { recursive: true }));
  // Seven parts, so that the map goes on in a second block; at multiples of 4 KiB, as file systems have holes.
  const parts = [0, 1, 2, 3, 4, 5, 6].map((i) => ({
    offset: (i + 1) << 20,
    blob: bytesBlob(noise(8192, i)),
  }));
  for (const size of [9 << 20, (7 << 20) + 8192]) {
    const disk = placedBlob(size, parts);
    const raw = join(dir, 'disk.raw');
    await rm(raw, { force: true });
    await writeBlob(disk, raw);
    const args = [
      '-c',
      '--sparse',
      '--format=gnu',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      '--mode=0644',
    ];
    const theirs = execFileSync('tar', [...args, `--mtime=@${mtime}`, '-C', dir, 'disk.raw'], {
      maxBuffer: 1 << 26,
    });
    const ours = await contents(gnuSparseTar({ name: 'disk.raw', content: disk }, { mtime }));
    assert.ok(ours.equals(theirs), `${size}`);
  }
});

test('numbers beyond 8 GiB', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sparse-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = placedBlob(11_736_711_168, [
    { offset: 0, blob: bytesBlob(noise(1000, 1)) },
    { offset: 10_000_000_000, blob: bytesBlob(noise(1000, 2)) },
  ]);
  await writeBlob(gnuSparseTar({ name: 'disk.raw', content: disk }, { mtime }), join(dir, 'tar'));
  execFileSync('tar', ['-x', '-f', join(dir, 'tar'), '-C', dir]);
  await writeBlob(disk, join(dir, 'raw'));
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', join(dir, 'raw'), join(dir, 'disk.raw')]);
});

test('any extents', async () => {
  await fc.assert(
    fc.asyncProperty(anyDisk, async (disk) => {
      const wanted = await contents(disk);
      const { gnu, python } = await extract(disk);
      assert.ok(gnu.equals(wanted));
      assert.ok(python.equals(wanted));
    }),
    { numRuns: 15 },
  );
});

test('a disk that is all data is an ordinary member; one that is all hole has an empty part', async () => {
  for (const [content, type, size] of [
    [bytesBlob(noise(1000, 1)), '0', 1000],
    [concatBlobs([bytesBlob(noise(1000, 1)), zeroBlob(4096)]), '0', 5096],
    [zeroBlob(1 << 20), 'S', 0],
    [zeroBlob(0), '0', 0],
  ] as const) {
    const archive = gnuSparseTar({ name: 'disk.raw', content }, { mtime });
    const header = Buffer.from(await readRange(archive, 0, 512));
    assert.equal(header.toString('latin1', 156, 157), type);
    assert.equal(Number.parseInt(header.toString('latin1', 124, 135), 8), size);
    assert.equal(archive.size % 10240, 0);
  }
});

test('plain members are those of GNU tar', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tar-'));
  t.after(() => rm(dir, { recursive: true }));
  const files = ['disk.ovf', 'disk.mf', 'disk.vmdk'].map((name, i) => ({
    name,
    content: textBlob(name.repeat(i * 100)),
  }));
  for (const { name, content } of files) await writeBlob(content, join(dir, name));
  const args = ['-c', '--format=gnu', '--owner=0', '--group=0', '--numeric-owner', '--mode=0644'];
  const names = files.map((file) => file.name);
  const theirs = execFileSync('tar', [...args, `--mtime=@${mtime}`, '-C', dir, ...names]);
  assert.ok((await contents(gnuTar(files, { mtime }))).equals(theirs));
});

test('names and times that do not fit', () => {
  const content = zeroBlob(0);
  assert.throws(() => gnuTar([{ name: 'x'.repeat(101), content }], { mtime }), RangeError);
  assert.throws(() => gnuTar([{ name: '', content }], { mtime }), RangeError);
  assert.throws(() => gnuTar([{ name: 'a', content }], { mtime: -1 }), RangeError);
});
