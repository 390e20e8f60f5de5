import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs, placedBlob } from '../blob/compose.ts';
import { writeBlob } from '../blob/consume.ts';
import { anyDisk, contents, mixedDisk, noise } from './disk-sample.testing.ts';
import { qcow2Image } from './qcow2.ts';

const qemuImg = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

async function judge(disk: Blob, clusterSize?: number): Promise<Record<string, unknown>> {
  const dir = await mkdtemp(join(tmpdir(), 'qcow2-'));
  try {
    const raw = join(dir, 'raw');
    const image = join(dir, 'image');
    await writeBlob(disk, raw);
    await writeBlob(qcow2Image(disk, clusterSize === undefined ? {} : { clusterSize }), image);
    const check = JSON.parse(qemuImg('check', '-f', 'qcow2', '--output=json', image));
    assert.equal(check.leaks ?? 0, 0);
    assert.equal(check.corruptions ?? 0, 0);
    assert.equal(check['check-errors'], 0);
    qemuImg('compare', '-f', 'raw', '-F', 'qcow2', raw, image);
    return JSON.parse(qemuImg('info', '--output=json', image));
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('an image is what qemu-img makes of the options cluster_size=8k', async () => {
  const disk = mixedDisk();
  const info = await judge(disk);
  assert.equal(info['virtual-size'], disk.size);
  assert.equal(info['cluster-size'], 8192);
  assert.deepEqual(info['format-specific'], {
    type: 'qcow2',
    data: {
      compat: '1.1',
      'compression-type': 'zlib',
      'lazy-refcounts': false,
      'refcount-bits': 16,
      corrupt: false,
      'extended-l2': false,
    },
  });
});

test('clusters of every size', async () => {
  const disk = concatBlobs([
    bytesBlob(noise(3_000_000, 1)),
    zeroBlob(5_000_000),
    bytesBlob(noise(1000, 2)),
    zeroBlob(2 ** 21 * 5 - 8_001_000 + 512),
  ]);
  for (const size of [512, 4096, 65536, 2 ** 21]) {
    assert.equal((await judge(disk, size))['cluster-size'], size);
  }
});

test('a large disk with little on it stays small, and is found behind 4 GiB', async () => {
  const disk = placedBlob(11_736_711_168, [
    { offset: 0, blob: bytesBlob(noise(700, 1)) },
    { offset: 9_000_000_000, blob: bytesBlob(noise(20_000, 2), { nature: 'packed' }) },
    { offset: 11_736_711_168 - 512, blob: bytesBlob(noise(512, 3)) },
  ]);
  const image = qcow2Image(disk);
  assert.ok(image.size < 200_000, `${image.size}`);
  await judge(disk);
});

test('data is referred to, not read', () => {
  const disk = bytesBlob(noise(100_352, 1), { nature: 'packed', key: 'k' });
  const extents = [...qcow2Image(disk).extents()];
  assert.ok(extents.some((extent) => extent.kind === 'data' && extent.source === disk));
});

test('any extents', async () => {
  await fc.assert(
    fc.asyncProperty(anyDisk, fc.constantFrom(512, 8192, 65536), async (disk, size) => {
      fc.pre(disk.size > 0);
      await judge(disk, size);
    }),
    { numRuns: 15 },
  );
});

test('any extents, read by the tables', async () => {
  await fc.assert(
    fc.asyncProperty(anyDisk, fc.constantFrom(512, 8192), async (disk, size) => {
      const bytes = await contents(qcow2Image(disk, { clusterSize: size }));
      assert.deepEqual(readQcow2(bytes), await contents(disk));
    }),
    { numRuns: 50 },
  );
});

test('disks and clusters that cannot be', () => {
  for (const clusterSize of [0, 256, 1000, 4 << 20, 8192.5]) {
    assert.throws(() => qcow2Image(zeroBlob(1024), { clusterSize }), { code: 'QCOW2_CLUSTER_SIZE_INVALID' });
  }
  assert.throws(() => qcow2Image(zeroBlob(1000)), { code: 'QCOW2_SIZE_INVALID' });
  assert.throws(() => qcow2Image(zeroBlob(2 ** 40), { clusterSize: 512 }), { code: 'QCOW2_SIZE_INVALID' });
});

function readQcow2(image: Buffer): Buffer {
  const cluster = 2 ** image.readUInt32BE(20);
  const size = Number(image.readBigUInt64BE(24));
  const l1 = Number(image.readBigUInt64BE(40));
  const offsetAt = (at: number): number => Number(image.readBigUInt64BE(at) & 0x00fffffffffffe00n);
  const disk = Buffer.alloc(size);
  for (let at = 0; at < size; at += cluster) {
    const index = at / cluster;
    const l2 = offsetAt(l1 + 8 * Math.floor(index / (cluster / 8)));
    if (l2 === 0) continue;
    const data = offsetAt(l2 + 8 * (index % (cluster / 8)));
    if (data !== 0) image.copy(disk, at, data, data + Math.min(cluster, size - at));
  }
  return disk;
}
