import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sliceBlob } from '../../blob/compose.ts';
import { readRange, sha256, writeBlob } from '../../blob/consume.ts';
import { contents, mixedDisk } from '../../formats/disk-sample.testing.ts';
import { diskCompressors } from './compressors.ts';
import { containDisk, encodeOuter } from './formats.ts';

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'formats-'));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

const disk = () => sliceBlob(mixedDisk(), 0, 41 << 20);

test('tar.gz: GNU tar and Python find disk.raw in it, as small as by tar and gzip', async (t) => {
  const dir = await directory(t);
  const wanted = await contents(disk());
  const encoded = await contents(await encodeOuter(disk(), 'tar.gz', diskCompressors()));
  await writeFile(join(dir, 'tar.gz'), encoded);
  execFileSync('gzip', ['--test', join(dir, 'tar.gz')]);
  assert.equal(
    execFileSync('tar', ['--numeric-owner', '--utc', '-tvzf', join(dir, 'tar.gz')], { encoding: 'utf8' }),
    `-rw-r--r-- 0/0        ${wanted.length} 2019-06-01 21:34 disk.raw\n`,
  );
  execFileSync('tar', ['-xzf', join(dir, 'tar.gz'), '--sparse', '-C', dir]);
  assert.ok((await readFile(join(dir, 'disk.raw'))).equals(wanted));
  const script = 'import sys, tarfile; a = tarfile.open(sys.argv[1]); f = a.extractfile("disk.raw")';
  const python = execFileSync(
    '/usr/bin/python3',
    ['-c', `${script}; sys.stdout.buffer.write(f.read())`, join(dir, 'tar.gz')],
    { maxBuffer: 1 << 28 },
  );
  assert.ok(python.equals(wanted));
  const usual = execFileSync('sh', ['-c', 'tar -C "$0" -c --sparse disk.raw | gzip -6', dir], {
    maxBuffer: 1 << 28,
  });
  assert.ok(encoded.length <= usual.length * 1.1, `${encoded.length}, ${usual.length} by tar and gzip`);
});

test('every container in every outer format comes out as it went in', async () => {
  const unpack = {
    none: 'cat',
    gz: 'gzip -dc',
    xz: 'xz -dc',
    zst: 'zstd -dcq',
    'tar.gz': 'tar -xzO disk.raw',
  } as const;
  const small = sliceBlob(mixedDisk(), 0, 12 << 20);
  const compressors = diskCompressors();
  const options = { identity: 'test', compressors };
  for (const container of ['raw', 'qcow2', 'vhd', 'ova'] as const) {
    const file = await containDisk(small, container, options);
    const wanted = await contents(file);
    for (const [format, command] of Object.entries(unpack)) {
      const encoded = await contents(await encodeOuter(file, format as keyof typeof unpack, compressors));
      const found = execFileSync('sh', ['-c', command], { input: encoded, maxBuffer: 1 << 28 });
      assert.ok(found.equals(wanted), `${container}.${format}`);
    }
  }
});

test('containers refer to the disk and can be read at any offset', async () => {
  const options = { identity: 'test', compressors: diskCompressors() };
  for (const container of ['raw', 'qcow2', 'vhd', 'ova'] as const) {
    const file = await containDisk(disk(), container, options);
    const whole = await contents(file);
    for (const offset of [0, 511, 70_000, file.size - 600]) {
      const part = Buffer.from(await readRange(file, offset, 600));
      assert.ok(part.equals(whole.subarray(offset, offset + 600)), `${container} at ${offset}`);
    }
  }
});

test('a VHD is of its disk: another identity is another file, the same one the same', async () => {
  const make = async (identity: string): Promise<string> => {
    const options = { identity, compressors: diskCompressors() };
    return await sha256(await containDisk(disk(), 'vhd', options));
  };
  assert.equal(await make('a'), await make('a'));
  assert.notEqual(await make('a'), await make('b'));
});

test('what is written and compared by qemu-img', async (t) => {
  const dir = await directory(t);
  const options = { identity: 'test', compressors: diskCompressors() };
  await writeBlob(disk(), join(dir, 'raw'));
  for (const [container, format] of [
    ['qcow2', 'qcow2'],
    ['vhd', 'vpc'],
  ] as const) {
    const path = join(dir, container);
    await writeBlob(await containDisk(disk(), container, options), path);
    execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', format, join(dir, 'raw'), path]);
  }
});
