import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { readRange, writeBlob } from '../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { mixedDisk, noise } from './disk-sample.testing.ts';
import { fixedVhd } from './vhd.ts';

const uuid = noise(16, 9);

test('qemu-img reads it as the disk, of the same size', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'vhd-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = concatBlobs([mixedDisk(), zeroBlob((3 << 20) - (mixedDisk().size % (1 << 20)))]);
  await writeBlob(disk, join(dir, 'raw'));
  await writeBlob(fixedVhd({ disk, time: SOURCE_DATE_EPOCH, uuid }), join(dir, 'vhd'));
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vpc', join(dir, 'raw'), join(dir, 'vhd')]);
  const info = JSON.parse(
    execFileSync('qemu-img', ['info', '-f', 'vpc', '--output=json', join(dir, 'vhd')], { encoding: 'utf8' }),
  );
  assert.equal(info['virtual-size'], disk.size);
});

test('the footer is that of qemu-img but for time, identity and checksum', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'vhd-'));
  t.after(() => rm(dir, { recursive: true }));
  const disk = concatBlobs([bytesBlob(noise(5000, 1)), zeroBlob((5 << 20) - 5000)]);
  await writeBlob(disk, join(dir, 'raw'));
  const target = join(dir, 'theirs');
  const options = 'subformat=fixed,force_size';
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'vpc', '-o', options, join(dir, 'raw'), target]);
  const theirs = execFileSync('tail', ['-c', '512', target]);
  const image = fixedVhd({ disk, time: SOURCE_DATE_EPOCH, uuid });
  const ours = Buffer.from(await readRange(image, disk.size, 512));
  assert.equal(ours.readUInt32BE(24), SOURCE_DATE_EPOCH - Date.UTC(2000, 0, 1) / 1000);
  assert.deepEqual(ours.subarray(68, 84), Buffer.from(uuid));
  for (const footer of [ours, theirs]) {
    const sum = footer.readUInt32BE(64);
    footer.fill(0, 64, 68);
    assert.equal(sum, ~footer.reduce((total, byte) => total + byte, 0) >>> 0);
    footer.fill(0, 24, 28);
    footer.fill(0, 68, 84);
  }
  assert.equal(ours.toString('hex'), theirs.toString('hex'));
});

test('disks that cannot be', () => {
  for (const size of [0, 511, 1000]) {
    assert.throws(() => fixedVhd({ disk: zeroBlob(size), time: SOURCE_DATE_EPOCH, uuid }), {
      code: 'VHD_SIZE_INVALID',
    });
  }
  assert.throws(() => fixedVhd({ disk: zeroBlob(512), time: 0, uuid }), RangeError);
});
