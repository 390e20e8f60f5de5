import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../../blob/bytes.ts';
import { type Placed, sliceBlob } from '../../blob/compose.ts';
import { readAll, readRange } from '../../blob/consume.ts';
import { readFat } from '../../formats/fat-reader.ts';
import { readGpt } from '../../formats/gpt-reader.ts';
import type { FileEntry, TreeEntry } from '../../formats/tree.ts';
import { readXfs } from '../../formats/xfs/reader.ts';
import { grubDisk, systemdBootDisk } from './disk.testing.ts';
import { composeDisk } from './disk.ts';
import { mergeTrees } from './esp.ts';
import type { DiskOverlay, DiskSpec } from './spec.ts';

const MIB = 1 << 20;
const none: DiskOverlay = { offsetLbas: 0, rawWrites: [], espFiles: [], bootFiles: [] };

function file(path: string, text: string): FileEntry {
  return { type: 'file', path, mode: 0o644, content: textBlob(text) };
}

function board(overlay: Partial<DiskOverlay>, sectorSize: 512 | 4096 = 512): DiskSpec {
  return { ...grubDisk({ version: '1.12.0', arch: 'arm64', sectorSize }), overlay: { ...none, ...overlay } };
}

function write(offset: number, bytes: Uint8Array): Placed {
  return { offset, blob: bytesBlob(bytes) };
}

async function partition(disk: Blob, name: string): Promise<Blob> {
  const { partitions } = await readGpt(disk, 512);
  const { firstLba = 0, lastLba = 0 } = partitions.find((found) => found.name === name) ?? {};
  return sliceBlob(disk, firstLba * 512, (lastLba - firstLba + 1) * 512);
}

const loader = Buffer.alloc(9 * MIB, 'u-boot ');

test('raw bytes lie at their offset, before the entries of the table', async () => {
  const disk = await composeDisk(board({ offsetLbas: 20480, rawWrites: [write(32768, loader)] }));
  assert.deepEqual(Buffer.from(await readRange(disk, 32768, loader.length)), loader);
  const table = await readGpt(disk, 512);
  assert.deepEqual([table.entriesLba, table.partitions[0]?.firstLba], [20482, 22528]);
});

test('boot code of the board stays in the first sector, the table takes the rest of it', async () => {
  const sector = Buffer.alloc(512, 0xaa);
  const disk = await composeDisk(board({ rawWrites: [write(0, sector)] }));
  const first = Buffer.from(await readRange(disk, 0, 512));
  assert.deepEqual(first.subarray(0, 446), sector.subarray(0, 446));
  assert.equal(first.toString('hex', 446, 454), '00000200eeffffff');
  assert.equal(first.toString('hex', 510), '55aa');
});

test('with sectors of 4096 bytes what follows the first 512 bytes stays too', async () => {
  const disk = await composeDisk(board({ rawWrites: [write(0, Buffer.alloc(4096, 0xaa))] }, 4096));
  assert.ok((await readRange(disk, 512, 3584)).every((byte) => byte === 0xaa));
  await readGpt(disk, 4096);
});

test('zeros over tables and partitions are no harm', async () => {
  const image: Placed = { offset: 0, blob: zeroBlob(8 * MIB) };
  const disk = await composeDisk(board({ rawWrites: [image] }));
  assert.equal((await readGpt(disk, 512)).partitions[0]?.firstLba, 2048);
});

const OVERLAPS: readonly (readonly [string, Placed])[] = [
  ['the header', write(600, Buffer.from('x'))],
  ['the entries', write(8192, Buffer.alloc(100, 1))],
  ['a partition', write(32768, loader)],
  ['the secondary table', write(2246 * MIB - 512, Buffer.from('x'))],
];

for (const [name, rawWrite] of OVERLAPS)
  test(`bytes over ${name} are refused`, () =>
    assert.rejects(composeDisk(board({ rawWrites: [rawWrite] })), {
      kind: 'invalid',
      code: 'OVERLAY_OVERLAPS',
    }));

test('bytes beyond the disk are refused', () =>
  assert.rejects(composeDisk(board({ rawWrites: [write(2246 * MIB - 1, Buffer.from('xy'))] })), {
    kind: 'invalid',
    code: 'OVERLAY_WRITES_INVALID',
  }));

test('files of the board join ours in the ESP and in BOOT', async () => {
  const overlay = {
    ...none,
    espFiles: [
      file('config.txt', 'arm_64bit=1\n'),
      file('EFI/BOOT/bootaa64.EFI', 'theirs'),
      file('efi/BOOT/startup.nsh', 'x'),
      file('dtb/rockchip/rk3399-rock-4c-plus.dtb', 'tree'),
    ],
    bootFiles: [file('boot.scr', 'script'), file('grub/grub.cfg', 'theirs')],
  };
  const disk = await composeDisk(board(overlay));
  const esp = (await readFat(await partition(disk, 'EFI'))).entries;
  const names = esp.flatMap((entry) => (entry.type === 'file' ? [entry.path] : [])).sort();
  assert.deepEqual(names, [
    'EFI/boot/BOOTAA64.efi',
    'EFI/boot/startup.nsh',
    'config.txt',
    'dtb/rockchip/rk3399-rock-4c-plus.dtb',
  ]);
  const loaderFile = esp.find((entry) => entry.path === 'EFI/boot/BOOTAA64.efi');
  assert.ok(loaderFile?.type === 'file' && loaderFile.content.size === 700_000);
  const boot = (await readXfs(await partition(disk, 'BOOT'))).entries;
  const config = boot.find((entry) => entry.path === 'grub/grub.cfg');
  assert.ok(config?.type === 'file');
  assert.match(Buffer.from(await readAll(config.content)).toString(), /^set default="A - Talos v1\.12\.0"/);
  assert.ok(boot.some((entry) => entry.path === 'boot.scr'));
});

test('boards work with systemd-boot too', async () => {
  const overlay = {
    ...none,
    offsetLbas: 20480,
    rawWrites: [write(32768, loader)],
    espFiles: [file('a', 'b')],
  };
  const disk = await composeDisk({ ...systemdBootDisk({ version: '1.12.0', arch: 'arm64' }), overlay });
  assert.deepEqual(Buffer.from(await readRange(disk, 32768, 100)), loader.subarray(0, 100));
  const esp = (await readFat(await partition(disk, 'EFI'))).entries;
  assert.ok(
    esp.some((entry) => entry.path === 'a') && esp.some((entry) => entry.path === 'loader/loader.conf'),
  );
});

test('merging: the first spelling and our files count', () => {
  const own: TreeEntry[] = [file('EFI/boot/X', 'own')];
  const merged = mergeTrees(own, [
    { type: 'directory', path: '', mode: 0o755 },
    { type: 'directory', path: 'efi', mode: 0o755 },
    file('efi/BOOT/x', 'theirs'),
    file('efi/New/y', 'y'),
    file('EFI/NEW/Y', 'again'),
  ]);
  assert.deepEqual(
    merged.map(({ path }) => path),
    ['EFI/boot/X', 'EFI', 'EFI/New/y'],
  );
  assert.equal(merged[0], own[0]);
});
