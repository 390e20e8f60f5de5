import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob } from '../../blob/bytes.ts';
import { sliceBlob } from '../../blob/compose.ts';
import { readAll, readRange, sha256, writeBlob } from '../../blob/consume.ts';
import { readAdv } from '../../formats/adv.ts';
import { readFat } from '../../formats/fat-reader.ts';
import { readGpt } from '../../formats/gpt-reader.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import { readXfs } from '../../formats/xfs/reader.ts';
import { cmdline, dualBootDisk, files, grubDisk, systemdBootDisk } from './disk.testing.ts';
import { composeDisk } from './disk.ts';
import type { DiskSpec } from './spec.ts';

const run = promisify(execFile);
const MIB = 1 << 20;

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'disk-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function partition(disk: Blob, sectorSize: 512 | 4096, name: string): Promise<Blob> {
  const { partitions } = await readGpt(disk, sectorSize);
  const found = partitions.find((candidate) => candidate.name === name);
  assert.ok(found, name);
  const size = (found.lastLba - found.firstLba + 1) * sectorSize;
  return sliceBlob(disk, found.firstLba * sectorSize, size);
}

function fileOf(entries: readonly TreeEntry[], path: string): Blob {
  const entry = entries.find((candidate) => candidate.path === path);
  assert.ok(entry?.type === 'file', path);
  return entry.content;
}

async function textOf(entries: readonly TreeEntry[], path: string): Promise<string> {
  return Buffer.from(await readAll(fileOf(entries, path))).toString();
}

function filePaths(entries: readonly TreeEntry[]): readonly string[] {
  return entries.flatMap((entry) => (entry.type === 'file' ? [entry.path] : [])).sort();
}

async function meta(
  disk: Blob,
  sectorSize: 512 | 4096 = 512,
): Promise<readonly (readonly [number, string])[]> {
  const bytes = await readAll(await partition(disk, sectorSize, 'META'));
  return readAdv(bytes).map(({ tag, value }) => [tag, String(value)]);
}

const LAYOUTS: readonly (readonly [string, DiskSpec])[] = [
  ['grub before 1.8', grubDisk({ version: '1.7.6' })],
  ['grub, sectors of 4096', grubDisk({ version: '1.9.5', sectorSize: 4096 })],
  ['grub arm64', grubDisk({ version: '1.12.0', arch: 'arm64' })],
  ['sd-boot', systemdBootDisk({ version: '1.13.0', arch: 'arm64' })],
  ['sd-boot of 1.8, sectors of 4096', systemdBootDisk({ version: '1.8.0', sectorSize: 4096 })],
  ['dual-boot', dualBootDisk({ version: '1.14.0' })],
  ['dual-boot, sectors of 4096', dualBootDisk({ version: '1.11.0', sectorSize: 4096 })],
];

for (const [name, spec] of LAYOUTS) {
  test(`standard tools find nothing wrong: ${name}`, async (t) => {
    const dir = await directory(t);
    const image = await composeDisk(spec);
    assert.equal(image.size, spec.size);
    const disk = join(dir, 'disk.raw');
    await writeBlob(image, disk);
    if (spec.sectorSize === 512) {
      const { stdout } = await run('sgdisk', ['-v', disk]);
      assert.match(stdout, /No problems found/);
    }
    const listed = await run('fdisk', ['-b', String(spec.sectorSize), '-l', '-o', 'Name', disk]);
    const { partitions } = await readGpt(image, spec.sectorSize);
    assert.deepEqual(
      listed.stdout.split('\n').filter((line) => /^[A-Z]+$/.test(line)),
      partitions.map((found) => found.name),
    );
    assert.match(listed.stdout, /Disklabel type: gpt\nDisk identifier: D92D45B3-CDE9-8760-BE9F-A2A71FAC8D11/);
    assert.equal(listed.stderr, '');

    const esp = join(dir, 'esp.img');
    await writeBlob(await partition(image, spec.sectorSize, 'EFI'), esp);
    await run('fsck.vfat', ['-n', esp]);
    const { stdout: paths } = await run('mdir', ['-/', '-a', '-b', '-i', esp, '::']);
    const loader = spec.arch === 'amd64' ? 'BOOTX64.efi' : 'BOOTAA64.efi';
    assert.ok(paths.split('\n').includes(`::/EFI/boot/${loader}`), paths);

    if (spec.bootloader === 'sd-boot') return;
    const boot = join(dir, 'boot.img');
    const kernel = join(dir, 'vmlinuz');
    await writeBlob(await partition(image, spec.sectorSize, 'BOOT'), boot);
    await writeBlob(spec.kernel, kernel);
    await run('xfs_repair', ['-n', boot]);
    await run('grub-fstest', [boot, 'cmp', '(loop0)/A/vmlinuz', kernel]);
  });
}

test('the tree of GRUB images', async () => {
  const disk = await composeDisk(grubDisk({ version: '1.9.5' }));
  const esp = await readFat(await partition(disk, 512, 'EFI'));
  assert.deepEqual([esp.label, esp.volumeId, esp.geometry.type], ['EFI', 0x1234abcd, 32]);
  assert.deepEqual(filePaths(esp.entries), ['EFI/boot/BOOTX64.efi']);
  const boot = await readXfs(await partition(disk, 512, 'BOOT'));
  assert.equal(boot.uuid, '24c73076-4092-85dd-9d98-686a2dbf6d81');
  assert.deepEqual(
    boot.entries.map(({ path, mode }) => `${path} ${mode.toString(8)}`),
    ['A 755', 'A/initramfs.xz 644', 'A/vmlinuz 644', 'grub 700', 'grub/grub.cfg 600'],
  );
  assert.equal(await sha256(fileOf(boot.entries, 'A/initramfs.xz')), await sha256(files.initramfs));
  const config = await textOf(boot.entries, 'grub/grub.cfg');
  assert.ok(config.includes(`linux /A/vmlinuz ${cmdline.replaceAll(/[&{}$]/g, '\\$&')}\n`), config);
  assert.ok(config.includes('Reset Talos installation'), config);
});

test('no reset entry before 1.4', async () => {
  const disk = await composeDisk(grubDisk({ version: '1.3.7' }));
  const boot = await readXfs(await partition(disk, 512, 'BOOT'));
  assert.ok(!(await textOf(boot.entries, 'grub/grub.cfg')).includes('Reset'));
});

test('boot code is told where its core lies', async () => {
  const disk = await composeDisk(dualBootDisk({ version: '1.14.0' }));
  const sector = Buffer.from(await readRange(disk, 0, 512));
  assert.equal(sector.readBigUInt64LE(0x5c), 0x41b000n);
  assert.deepEqual([...sector.subarray(0x66, 0x68), sector[0]], [0x90, 0x90, 0x77]);
  const core = Buffer.from(await readAll(await partition(disk, 512, 'BIOS')));
  assert.equal(core.readBigUInt64LE(0x1f4), 0x41b001n);
  assert.ok(core.subarray(files.bios.core.size).every((byte) => byte === 0));
});

test('without BIOS there is no boot code, but its partition is', async () => {
  const disk = await composeDisk(grubDisk({ version: '1.12.0', arch: 'arm64' }));
  assert.ok((await readRange(disk, 0, 446)).every((byte) => byte === 0));
  const bios = await partition(disk, 512, 'BIOS');
  assert.deepEqual(
    [...bios.extents()].map(({ kind }) => kind),
    ['zero'],
  );
});

test('the tree of systemd-boot images', async () => {
  const disk = await composeDisk(systemdBootDisk({ version: '1.14.0-beta.0', arch: 'arm64' }));
  const { entries } = await readFat(await partition(disk, 512, 'EFI'));
  const expected = ['EFI/Linux/Talos-v1.14.0-beta.0.efi', 'EFI/boot/BOOTAA64.efi', 'loader/loader.conf'];
  assert.deepEqual(filePaths(entries), expected);
  assert.equal(await textOf(entries, 'loader/loader.conf'), '# systemd-boot configuration\n\ntimeout 10\n');
  assert.equal(await sha256(fileOf(entries, expected[0] ?? '')), await sha256(files.uki));
});

test('keys to enrol, unless enrolment is off', async () => {
  const key = (name: string): Blob => bytesBlob(Buffer.from(name));
  const esp = async (enroll: 'if-safe' | 'off') => {
    const secureBoot = {
      enroll,
      platformKey: key('PK'),
      keyExchangeKey: key('KEK'),
      signatureDatabase: key('db'),
    };
    const disk = await composeDisk({ ...systemdBootDisk({ version: '1.13.0' }), secureBoot });
    return (await readFat(await partition(disk, 512, 'EFI'))).entries;
  };
  const safe = await esp('if-safe');
  assert.equal(
    await textOf(safe, 'loader/loader.conf'),
    '# systemd-boot configuration\n\ntimeout 10\n\nsecure-boot-enroll if-safe\n',
  );
  assert.equal(await textOf(safe, 'loader/keys/auto/KEK.auth'), 'KEK');
  const off = await esp('off');
  assert.equal(await textOf(off, 'loader/loader.conf'), '# systemd-boot configuration\n\ntimeout 10\n');
  assert.ok(!filePaths(off).some((path) => path.startsWith('loader/keys')));
});

test('META holds the values, and on dual-boot images since 1.10 the mark', async () => {
  const values = [
    { key: 10, value: 'a' },
    { key: 12, value: 'ü' },
    { key: 10, value: 'b' },
  ];
  const with_ = async (spec: DiskSpec) => meta(await composeDisk({ ...spec, meta: values }));
  assert.deepEqual(await with_(dualBootDisk({ version: '1.10.0' })), [
    [10, 'b'],
    [12, 'ü'],
    [17, 'dual-boot'],
  ]);
  for (const spec of [dualBootDisk({ version: '1.9.0' }), systemdBootDisk({ version: '1.12.0' })])
    assert.deepEqual(await with_(spec), [
      [10, 'b'],
      [12, 'ü'],
    ]);
  assert.deepEqual(await meta(await composeDisk(grubDisk({ version: '1.12.0' }))), []);
});

test('boot files are referred to, not copied', async () => {
  const disk = await composeDisk(dualBootDisk({ version: '1.14.0' }));
  let inMemory = 0;
  const seen = new Set<string>();
  for (const extent of disk.extents()) {
    if (extent.kind === 'zero') continue;
    if (extent.source.key === undefined) inMemory += extent.length;
    else seen.add(extent.source.key);
  }
  assert.deepEqual([...seen].sort(), ['initramfs', 'kernel', 'uki']);
  assert.ok(inMemory < 2 * MIB, String(inMemory));
});

test('the same spec gives the same bytes', async () => {
  const make = async () => sha256(sliceBlob(await composeDisk(grubDisk({ version: '1.9.5' })), 0, 200 * MIB));
  assert.equal(await make(), await make());
});

const REFUSED: readonly (readonly [string, DiskSpec, string])[] = [
  ['dual-boot on arm64', { ...dualBootDisk({ version: '1.12.0' }), arch: 'arm64' }, 'BOOTLOADER_UNSUPPORTED'],
  ['sd-boot before 1.5', systemdBootDisk({ version: '1.4.8' }), 'BOOTLOADER_UNSUPPORTED'],
  ['dual-boot before 1.5', dualBootDisk({ version: '1.4.8' }), 'BOOTLOADER_UNSUPPORTED'],
  ['a small disk', { ...dualBootDisk({ version: '1.12.0' }), size: 3000 * MIB }, 'DISK_TOO_SMALL'],
  [
    'META that is too large',
    { ...systemdBootDisk({ version: '1.12.0' }), meta: [{ key: 10, value: 'x'.repeat(262_097) }] },
    'META_TOO_LARGE',
  ],
  [
    'META key 0',
    { ...systemdBootDisk({ version: '1.12.0' }), meta: [{ key: 0, value: '' }] },
    'META_INVALID',
  ],
];

for (const [name, spec, code] of REFUSED)
  test(`refused: ${name}`, () => assert.rejects(composeDisk(spec), { kind: 'invalid', code }));

test('files that do not fit are refused with their sizes', async () => {
  const huge: Blob = { ...bytesBlob(new Uint8Array(0)), size: 1200 * MIB };
  await assert.rejects(composeDisk({ ...systemdBootDisk({ version: '1.8.0' }), uki: huge }), {
    kind: 'invalid',
    code: 'FAT_NO_ROOM',
    message: /1258291200 bytes does not fit into the file system EFI of 1154482176 bytes/,
  });
  await assert.rejects(composeDisk({ ...grubDisk({ version: '1.8.0' }), initramfs: huge }), {
    kind: 'invalid',
    code: 'XFS_NO_ROOM',
    message: /1258291200 bytes does not fit into the file system of 1048576000 bytes/,
  });
});
