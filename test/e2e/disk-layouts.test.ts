import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, open as openFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Arch } from '../../src/talos/arch.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic } from './client.ts';
import { downloadRaw, output, startDiskFactory } from './disk-files.ts';
import { type LocalFactory, startSandbox } from './local-factory.ts';

// What is on a disk, as other programs see it: every bootloader, both architectures and sector sizes, releases on
// both sides of each gate.

let sandbox: SandboxRegistry;
let factory: LocalFactory;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'disk-layouts-'));
  sandbox = await startSandbox();
  factory = await startDiskFactory(sandbox);
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
  await rm(dir, { recursive: true, force: true });
});

interface Layout {
  readonly version: string;
  readonly arch: Arch;
  readonly bootloader?: 'grub' | 'sd-boot' | 'dual-boot';
  readonly sectorSize?: 4096;
  /** MiB of the disk and of its partitions (`spec/outputs-disk.md` §1). */
  readonly size: number;
  readonly partitions: readonly (readonly [name: string, size: number])[];
}

const OLD = [
  ['EFI', 100],
  ['BIOS', 1],
  ['BOOT', 1000],
  ['META', 1],
  ['STATE', 100],
  ['EPHEMERAL', 42],
] as const;
const OLD_UKI = [
  ['EFI', 1101],
  ['META', 1],
  ['STATE', 100],
  ['EPHEMERAL', 42],
] as const;
const GRUB = OLD.slice(0, 4);
const UKI = OLD_UKI.slice(0, 2);
const DUAL = [['EFI', 1101], ...OLD.slice(1, 4)] as const;
const LARGE_GRUB = [
  ['EFI', 100],
  ['BIOS', 1],
  ['BOOT', 2000],
  ['META', 1],
] as const;
const LARGE_UKI = [
  ['EFI', 2101],
  ['META', 1],
] as const;
const LARGE_DUAL = [['EFI', 2101], ...LARGE_GRUB.slice(1)] as const;

const LAYOUTS: readonly Layout[] = [
  { version: 'v1.3.7', arch: 'amd64', size: 1246, partitions: OLD },
  { version: 'v1.5.5', arch: 'amd64', bootloader: 'sd-boot', size: 1246, partitions: OLD_UKI },
  { version: 'v1.5.5', arch: 'arm64', size: 1246, partitions: OLD },
  { version: 'v1.7.6', arch: 'amd64', size: 1246, partitions: OLD },
  { version: 'v1.9.5', arch: 'amd64', size: 1246, partitions: GRUB },
  { version: 'v1.9.5', arch: 'arm64', bootloader: 'sd-boot', size: 1246, partitions: UKI },
  { version: 'v1.9.5', arch: 'amd64', bootloader: 'dual-boot', size: 2247, partitions: DUAL },
  { version: 'v1.10.1', arch: 'amd64', size: 2247, partitions: DUAL },
  { version: 'v1.10.1', arch: 'arm64', size: 1246, partitions: UKI },
  { version: 'v1.10.1', arch: 'amd64', bootloader: 'grub', sectorSize: 4096, size: 1246, partitions: GRUB },
  { version: 'v1.11.2', arch: 'amd64', sectorSize: 4096, size: 4247, partitions: LARGE_DUAL },
  { version: 'v1.11.2', arch: 'arm64', bootloader: 'grub', size: 2246, partitions: LARGE_GRUB },
  { version: 'v1.12.0', arch: 'arm64', sectorSize: 4096, size: 2246, partitions: LARGE_UKI },
  { version: 'v1.13.0', arch: 'amd64', size: 4247, partitions: LARGE_DUAL },
  { version: 'v1.14.0-beta.0', arch: 'amd64', bootloader: 'grub', size: 2246, partitions: LARGE_GRUB },
  { version: 'v1.14.0-beta.0', arch: 'arm64', size: 2246, partitions: LARGE_UKI },
];

const META_VALUES = [
  { key: 10, value: 'foo' },
  { key: 11, value: 'bar' },
];
/** SHA-256 of META with these two values (`spec/outputs-disk.md` §5). */
const META_SHA256 = 'fad94e99f2b26e6e209f3c62961736dc50ea5bebc2ac9d0e38e51fd008868324';
/** And of META with the mark of dual-boot images alone. */
const MARK_SHA256 = '06e3d2ed4b42cb23159b6dd3a8ef54020b78207138a62f366fdb1465ab138438';
const EMPTY_SHA256 = '30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58';

interface Partition {
  readonly name: string;
  /** Bytes. */
  readonly start: number;
  readonly size: number;
}

/** The table as util-linux reads it. */
async function partitions(disk: string, sectorSize: number): Promise<readonly Partition[]> {
  const listed = await output('fdisk', '-b', `${sectorSize}`, '-l', '-o', 'Name,Start,Sectors', disk);
  assert.match(listed, /^Disklabel type: gpt\nDisk identifier: D92D45B3-CDE9-8760-BE9F-A2A71FAC8D11$/m);
  const found = listed.matchAll(/^([A-Z]+) +(\d+) +(\d+)$/gm);
  return Array.from(found, ([, name = '', start, sectors]) => ({
    name,
    start: Number(start) * sectorSize,
    size: Number(sectors) * sectorSize,
  }));
}

/** A partition in a sparse file of its own, for programs that know no offset. */
async function cut(disk: string, { name, start, size }: Partition): Promise<string> {
  const file = `${disk}.${name}`;
  const [skip, count] = [start / MIB, size / MIB];
  assert.ok(Number.isInteger(skip) && Number.isInteger(count), name);
  await output(
    'dd',
    `if=${disk}`,
    `of=${file}`,
    'bs=1M',
    `skip=${skip}`,
    `count=${count}`,
    'conv=sparse',
    'status=none',
  );
  // The last block may be a hole, which dd does not write.
  await output('truncate', '--size', String(size), file);
  return file;
}

const MIB = 1 << 20;

async function readAt(path: string, offset: number, length: number): Promise<Buffer> {
  await using file = await openFile(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  assert.equal(bytesRead, length);
  return buffer;
}

async function meta(disk: string, found: readonly Partition[]): Promise<string> {
  const partition = found.find(({ name }) => name === 'META');
  assert.ok(partition !== undefined);
  return createHash('sha256')
    .update(await readAt(disk, partition.start, partition.size))
    .digest('hex');
}

function wantedFiles({ version, arch, bootloader }: Layout, found: readonly Partition[]): readonly string[] {
  const loader = `::/EFI/boot/${arch === 'amd64' ? 'BOOTX64' : 'BOOTAA64'}.efi`;
  const isGrub = bootloader === 'grub' || found[0]!.size === 100 * MIB;
  return isGrub ? [loader] : [`::/EFI/Linux/Talos-${version}.efi`, loader, '::/loader/loader.conf'];
}

async function assertSound(disk: string, layout: Layout): Promise<readonly Partition[]> {
  const { sectorSize = 512 } = layout;
  assert.equal((await stat(disk)).size, layout.size * MIB);
  // sgdisk takes the sectors of a file for ones of 512 bytes.
  if (sectorSize === 512) assert.match(await output('sgdisk', '--verify', disk), /No problems found/);
  const found = await partitions(disk, sectorSize);
  assert.deepEqual(
    found.map(({ name, size }) => [name, size / MIB]),
    layout.partitions,
  );
  for (const partition of found) {
    if (partition.name === 'EFI') {
      const esp = await cut(disk, partition);
      await output('fsck.vfat', '-n', esp);
      const listed = (await output('mdir', '-/', '-b', '-i', `${disk}@@${partition.start}`, '::')).split(
        '\n',
      );
      assert.deepEqual(listed.filter((line) => /\.\w+$/.test(line)).sort(), wantedFiles(layout, found));
      await rm(esp);
    }
    if (partition.name === 'BOOT') {
      const boot = await cut(disk, partition);
      await output('xfs_repair', '-n', '-f', boot);
      const config = await output('grub-fstest', boot, 'cat', '(loop0)/grub/grub.cfg');
      assert.match(config, new RegExp(`^menuentry "A - Talos ${layout.version}" \\{$`, 'm'));
      assert.match(config, /^ {2}linux \/A\/vmlinuz talos\.platform=metal .* layout\.test=1$/m);
      assert.equal(config.includes('Reset Talos installation'), layout.version !== 'v1.3.7');
      await rm(boot);
    }
    if (partition.name === 'STATE' || partition.name === 'EPHEMERAL') {
      const bytes = await readAt(disk, partition.start, partition.size);
      assert.ok(bytes.equals(Buffer.alloc(partition.size)), `${partition.name} is not formatted`);
    }
  }
  const bios = layout.arch === 'amd64' && found.some(({ name }) => name === 'BIOS');
  const bootCode = await readAt(disk, 0, 440);
  assert.equal(
    bootCode.some((byte) => byte !== 0),
    bios,
    'boot code',
  );
  return found;
}

for (const layout of LAYOUTS) {
  const { version, arch, bootloader, sectorSize } = layout;
  test(`${version} ${arch}: ${bootloader ?? 'default'}, sectors of ${sectorSize ?? 512}`, async () => {
    const withMark = bootloader === undefined && arch === 'amd64' && !/^v1\.[0-9]\./.test(version);
    const id = await createSchematic(factory.url, {
      customization: {
        extraKernelArgs: ['layout.test=1'],
        ...(withMark ? {} : { meta: META_VALUES }),
        ...(bootloader === undefined ? {} : { bootloader }),
        ...(sectorSize === undefined ? {} : { diskImage: { sectorSize } }),
      },
    });
    const disk = await downloadRaw(factory.url, `/image/${id}/${version}/metal-${arch}`, dir);
    const found = await assertSound(disk, layout);
    assert.equal(await meta(disk, found), withMark ? MARK_SHA256 : META_SHA256);
    await rm(disk);
  });
}

test('META without values is empty, and a key that comes again replaces the earlier one', async () => {
  for (const [values, wanted] of [
    [[], EMPTY_SHA256],
    [[{ key: 10, value: 'other' }, ...META_VALUES], META_SHA256],
  ] as const) {
    const id = await createSchematic(factory.url, { customization: { meta: values } });
    const disk = await downloadRaw(factory.url, `/image/${id}/v1.9.5/metal-amd64`, dir);
    assert.equal(await meta(disk, await partitions(disk, 512)), wanted);
    await rm(disk);
  }
});

describe('boards', () => {
  test('rock4cplus writes in front of a table that made room', async () => {
    const id = await createSchematic(factory.url, {
      overlay: { name: 'rock4cplus', image: 'siderolabs/sbc-rockchip' },
    });
    const disk = await downloadRaw(factory.url, `/image/${id}/v1.13.0/metal-arm64`, dir);
    assert.match(await output('sgdisk', '--verify', disk), /No problems found/);
    const found = await partitions(disk, 512);
    // Overlay of 20480 sectors, GRUB (`spec/outputs-disk.md` §2.4).
    assert.deepEqual(
      found.map(({ name, start }) => [name, start / 512]),
      [
        ['EFI', 22528],
        ['BIOS', 227328],
        ['BOOT', 229376],
        ['META', 4325376],
      ],
    );
    const loader = await readAt(disk, 32768, 65536);
    assert.ok(loader.equals(Buffer.alloc(65536, 'u-boot for rock ')));
    const listed = await output('mdir', '-/', '-b', '-i', `${disk}@@${found[0]!.start}`, '::');
    assert.match(listed, /^::\/dtb\/rockchip\/rk3399-rock-4c-plus\.dtb$/m);
    await output('xfs_repair', '-n', '-f', await cut(disk, found[2]!));
    await rm(disk);
  });

  for (const bootloader of ['grub', 'sd-boot'] as const) {
    test(`rpi_generic puts its files into the ESP, with ${bootloader}`, async () => {
      const id = await createSchematic(factory.url, {
        customization: { bootloader },
        overlay: {
          name: 'rpi_generic',
          image: 'siderolabs/sbc-raspberrypi',
          options: { configTxtAppend: 'dtparam=i2c_arm=on' },
        },
      });
      const disk = await downloadRaw(factory.url, `/image/${id}/v1.12.0/metal-arm64`, dir);
      const [esp] = await partitions(disk, 512);
      const image = `${disk}@@${esp!.start}`;
      const listed = (await output('mdir', '-/', '-b', '-i', image, '::')).split('\n');
      for (const name of ['config.txt', 'fixup.dat', 'start4.elf', 'u-boot.bin', 'EFI/boot/BOOTAA64.efi'])
        assert.ok(listed.includes(`::/${name}`), `${name}: ${listed}`);
      assert.equal(listed.includes('::/EFI/Linux/Talos-v1.12.0.efi'), bootloader === 'sd-boot');
      assert.equal(
        await output('mtype', '-i', image, '::/config.txt'),
        'arm_64bit=1\nkernel=u-boot.bin\ndtparam=i2c_arm=on\n',
      );
      await output('fsck.vfat', '-n', await cut(disk, esp!));
      await rm(disk);
    });
  }
});
