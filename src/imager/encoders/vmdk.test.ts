import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import fc from 'fast-check';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../../blob/bytes.ts';
import { concatBlobs, placedBlob } from '../../blob/compose.ts';
import { readRange, writeBlob } from '../../blob/consume.ts';
import { anyDisk, contents, mixedDisk, noise } from '../../formats/disk-sample.testing.ts';
import { vmdkImage } from '../../formats/vmdk.ts';
import { diskCompressors } from './compressors.ts';

const contentId = Buffer.from('000102030405060708090a0bfffffffe', 'hex');

async function encode(disk: Blob): Promise<Buffer> {
  const { grain } = diskCompressors();
  return await contents(await vmdkImage(disk, { compress: grain, name: 'disk.vmdk', contentId }));
}

test('qemu-img reads it as the disk; gzip -6 makes it hardly smaller', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'vmdk-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = mixedDisk();
  const image = await encode(disk);
  await writeBlob(disk, join(dir, 'raw'));
  await writeFile(join(dir, 'vmdk'), image);
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(dir, 'raw'), join(dir, 'vmdk')]);
  execFileSync('qemu-img', ['check', '-f', 'vmdk', join(dir, 'vmdk')]);
  const info = JSON.parse(
    execFileSync('qemu-img', ['info', '--output=json', join(dir, 'vmdk')], { encoding: 'utf8' }),
  );
  assert.equal(info['virtual-size'], disk.size);
  assert.equal(info['format-specific'].data['create-type'], 'streamOptimized');
  assert.equal(info['format-specific'].data.cid, 0xfffffff0);
  const usual = execFileSync('gzip', ['-6', '-c', join(dir, 'raw')], { maxBuffer: 1 << 28 }).length;
  assert.ok(image.length < usual * 1.1, `${image.length} bytes, ${usual} by gzip`);
  const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  assert.equal(digest(await encode(disk)), digest(image), 'the same bytes every time');
});

test('what is behind 4 GiB', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'vmdk-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = placedBlob(9_638_510_592, [
    { offset: 512, blob: bytesBlob(noise(700, 1)) },
    { offset: 9_000_000_000, blob: bytesBlob(noise(200_000, 2), { nature: 'packed' }) },
  ]);
  await writeBlob(disk, join(dir, 'raw'));
  await writeFile(join(dir, 'vmdk'), await encode(disk));
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(dir, 'raw'), join(dir, 'vmdk')]);
});

test('the header is as the specification has it', async () => {
  const image = await encode(concatBlobs([bytesBlob(noise(512, 1)), zeroBlob((64 << 20) - 512)]));
  const sector = (at: number): Buffer => image.subarray(at * 512, at * 512 + 512);
  const fields = [
    ['KDMV', image.toString('latin1', 0, 4)],
    [3, image.readUInt32LE(4)],
    [0x00030001, image.readUInt32LE(8)],
    [131072n, image.readBigUInt64LE(12)],
    [128n, image.readBigUInt64LE(20)],
    [1n, image.readBigUInt64LE(28)],
    [20n, image.readBigUInt64LE(36)],
    [512, image.readUInt32LE(44)],
    [0n, image.readBigUInt64LE(48)],
    [21n, image.readBigUInt64LE(56)],
    // 1024 grains: two tables of 4 sectors after one of the directory.
    [30n, image.readBigUInt64LE(64)],
    ['\0\n \r\n', image.toString('latin1', 72, 77)],
    [1, image.readUInt16LE(77)],
    [22, sector(21).readUInt32LE(0)],
    [26, sector(21).readUInt32LE(4)],
    [30, sector(22).readUInt32LE(0)],
    [0n, sector(30).readBigUInt64LE(0)],
  ];
  for (const [wanted, found] of fields) assert.equal(found, wanted);
  assert.deepEqual(image.subarray(-512), Buffer.alloc(512));
  const descriptor = image.toString('utf8', 512, 21 * 512).replace(/\0+$/, '');
  assert.match(descriptor, /^RW 131072 SPARSE "disk.vmdk"$/m);
  assert.match(descriptor, /^CID=fffffff0$/m);
  assert.match(descriptor, /^ddb.geometry.cylinders = "9"$/m);
});

test('any extents, read by markers and by tables', async () => {
  await fc.assert(
    fc.asyncProperty(anyDisk, fc.array(fc.tuple(fc.nat(), fc.nat())), async (disk, ranges) => {
      fc.pre(disk.size > 0);
      const wanted = await contents(disk);
      const options = { compress: diskCompressors().grain, name: 'disk.vmdk', contentId };
      const file = await vmdkImage(disk, options);
      const parts = await Promise.all(
        ranges.map(async ([a, b]) => {
          const offset = a % (file.size + 1);
          const length = b % (file.size - offset + 1);
          return { offset, length, part: Buffer.from(await readRange(file, offset, length)) };
        }),
      );
      const image = Buffer.concat(await Array.fromAsync(file.read(0, file.size)));
      assert.equal(image.length, file.size);
      for (const { offset, length, part } of parts) {
        assert.ok(part.equals(image.subarray(offset, offset + length)), `${offset}+${length}`);
      }
      for (const found of [readTables(image), readMarkers(image)]) {
        assert.deepEqual(found.subarray(0, disk.size), wanted);
      }
    }),
    { numRuns: 50 },
  );
});

test('disks that cannot be', async () => {
  for (const size of [0, 1000, 2 ** 41 + 512]) {
    await assert.rejects(encode(zeroBlob(size)), { code: 'VMDK_SIZE_INVALID' });
  }
});

function readTables(image: Buffer): Buffer {
  const grains = Math.ceil(Number(image.readBigUInt64LE(12)) / 128);
  const disk = Buffer.alloc(grains * 65536);
  for (let i = 0; i < grains; i++) {
    const table = image.readUInt32LE(21 * 512 + 4 * Math.floor(i / 512)) * 512;
    const at = image.readUInt32LE(table + 4 * (i % 512)) * 512;
    if (at === 0) continue;
    const size = image.readUInt32LE(at + 8);
    inflateSync(image.subarray(at + 12, at + 12 + size)).copy(disk, i * 65536);
  }
  return disk;
}

function readMarkers(image: Buffer): Buffer {
  const disk = Buffer.alloc(Math.ceil(Number(image.readBigUInt64LE(12)) / 128) * 65536);
  let at = Number(image.readBigUInt64LE(64)) * 512;
  for (;;) {
    const size = image.readUInt32LE(at + 8);
    if (size === 0) break;
    const grain = inflateSync(image.subarray(at + 12, at + 12 + size));
    assert.notDeepEqual(grain, Buffer.alloc(65536), 'zero grains are left out');
    grain.copy(disk, Number(image.readBigUInt64LE(at)) * 512);
    at += Math.ceil((12 + size) / 512) * 512;
  }
  assert.equal(at + 512, image.length);
  return disk;
}
