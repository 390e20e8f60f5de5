import assert from 'node:assert/strict';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runProgram } from '../../src/process/run.ts';
import type { Arch } from '../../src/talos/arch.ts';
import { type BootSpec, boot } from '../../src/testing/boot.ts';
import { createSchematic, download } from '../../src/testing/factory-client.ts';
import type { FactoryProcess } from '../../src/testing/factory-process.ts';
import type { GuestReport } from '../../src/testing/guest-report.ts';
import { BOOT_TIMEOUT_MS, type BootFactory, startBootFactory } from './boot-factory.ts';

// Disk images that the running factory serves, booted: every bootloader, container and layout.

let booted: BootFactory;
let factory: FactoryProcess;
let dir: string;
before(async () => {
  booted = await startBootFactory();
  ({ factory, dir } = booted);
});
after(() => booted?.[Symbol.asyncDispose]());

interface DiskBoot {
  readonly version: string;
  readonly arch: Arch;
  /** What comes after `metal-<arch>.`; unpacked before it is booted. */
  readonly suffix: string;
  readonly firmware: BootSpec['firmware'];
  readonly bootloader?: 'grub' | 'sd-boot' | 'dual-boot';
  readonly sectorSize?: 4096;
  readonly platform?: string;
}

const BOOTS: readonly DiskBoot[] = [
  { version: 'v1.13.0', arch: 'amd64', suffix: 'raw.zst', firmware: 'seabios' },
  { version: 'v1.13.0', arch: 'amd64', suffix: 'raw.xz', firmware: 'ovmf' },
  { version: 'v1.10.1', arch: 'amd64', suffix: 'raw.gz', firmware: 'seabios', bootloader: 'dual-boot' },
  { version: 'v1.12.0', arch: 'amd64', suffix: 'raw', firmware: 'seabios', bootloader: 'grub' },
  { version: 'v1.12.0', arch: 'amd64', suffix: 'raw', firmware: 'ovmf', bootloader: 'grub' },
  { version: 'v1.14.0-beta.0', arch: 'amd64', suffix: 'raw.tar.gz', firmware: 'ovmf', bootloader: 'sd-boot' },
  { version: 'v1.11.2', arch: 'amd64', suffix: 'raw', firmware: 'ovmf', sectorSize: 4096 },
  { version: 'v1.13.0', arch: 'amd64', suffix: 'qcow2', firmware: 'seabios' },
  { version: 'v1.13.0', arch: 'amd64', suffix: 'vhd', firmware: 'seabios' },
  { version: 'v1.13.0', arch: 'amd64', suffix: 'ova', firmware: 'seabios', platform: 'vmware' },
  { version: 'v1.6.4', arch: 'amd64', suffix: 'raw.xz', firmware: 'seabios' },
  { version: 'v1.9.5', arch: 'amd64', suffix: 'raw.zst', firmware: 'ovmf' },
  { version: 'v1.13.0', arch: 'arm64', suffix: 'raw.zst', firmware: 'aavmf' },
  { version: 'v1.13.0', arch: 'arm64', suffix: 'raw', firmware: 'aavmf', bootloader: 'grub' },
];

const META = { key: 10, value: 'network: x' };
const EXTENSIONS = ['siderolabs/gvisor', 'siderolabs/drbd'];

/** The commands that make a disk of what was downloaded, and the format that QEMU then reads. */
async function unpack(file: string, suffix: string): Promise<{ path: string; format: DiskFormat }> {
  const run = (program: string, ...args: readonly string[]) =>
    runProgram({ program, args, cwd: dir, maxOutput: 1 << 16 });
  const plain = file.replace(/\.(zst|xz|gz)$/, '');
  switch (suffix) {
    case 'raw.zst':
      await run('zstd', '-q', '-d', '--sparse', file, '-o', plain);
      return { path: plain, format: 'raw' };
    case 'raw.xz':
      await run('xz', '-d', '-k', file);
      return { path: plain, format: 'raw' };
    case 'raw.gz':
      await run('gzip', '-d', '-k', file);
      return { path: plain, format: 'raw' };
    case 'raw.tar.gz': {
      const place = await mkdtemp(join(dir, 'tar-'));
      await run('tar', '-xSf', file, '-C', place);
      return { path: join(place, 'disk.raw'), format: 'raw' };
    }
    case 'ova': {
      const place = await mkdtemp(join(dir, 'ova-'));
      await run('tar', '-xf', file, '-C', place);
      return { path: join(place, 'disk.vmdk'), format: 'vmdk' };
    }
    case 'vhd':
      return { path: file, format: 'vpc' };
    case 'qcow2':
      return { path: file, format: 'qcow2' };
    default:
      return { path: file, format: 'raw' };
  }
}
type DiskFormat = 'raw' | 'qcow2' | 'vmdk' | 'vpc';

let files = 0;

async function bootDisk(given: DiskBoot): Promise<{ seen: GuestReport; id: string }> {
  const { version, arch, suffix, firmware, bootloader, sectorSize, platform = 'metal' } = given;
  const id = await createSchematic(
    factory.url,
    JSON.stringify({
      customization: {
        extraKernelArgs: ['sandbox.test=1'],
        meta: [META],
        systemExtensions: { officialExtensions: EXTENSIONS },
        ...(bootloader === undefined ? {} : { bootloader }),
        ...(sectorSize === undefined ? {} : { diskImage: { sectorSize } }),
      },
    }),
  );
  const file = join(dir, `${++files}.${suffix}`);
  await download(factory.url, `/image/${id}/${version}/${platform}-${arch}.${suffix}`, file);
  const disk = await unpack(file, suffix);
  const medium = { kind: 'disk', ...disk, ...(sectorSize === undefined ? {} : { sectorSize }) } as const;
  const { report } = await boot({ arch, firmware, medium, timeoutMs: BOOT_TIMEOUT_MS });
  for (const path of new Set([file, disk.path])) await rm(path);
  return { seen: report, id };
}

/** From 1.10 on systemd-boot starts what boots by UEFI, unless GRUB was asked for. */
function startedBySystemdBoot({ version, firmware, bootloader }: DiskBoot): boolean {
  return firmware !== 'seabios' && bootloader !== 'grub' && !/^v1\.[0-9]\./.test(version);
}

/** The mark by which Talos knows a disk that was made to boot both ways. */
function isDualBoot({ version, arch, bootloader }: DiskBoot): boolean {
  if (bootloader !== undefined) return bootloader === 'dual-boot';
  return arch === 'amd64' && !/^v1\.[0-9]\./.test(version);
}

describe('disk boots', { concurrency: 2 }, () => {
  for (const given of BOOTS) {
    const { version, arch, suffix, firmware, bootloader = 'default', sectorSize = 512 } = given;
    test(`${version} ${arch} ${suffix} under ${firmware}: ${bootloader}, sectors of ${sectorSize}`, async () => {
      const { seen, id } = await bootDisk(given);
      assert.deepEqual(seen.errors, []);
      assert.equal(seen.version, version);
      assert.equal(seen.schematic, id);
      assert.equal(seen.boot, firmware === 'seabios' ? 'bios' : 'efi');
      assert.deepEqual(
        seen.layers.map(({ name }) => name),
        ['gvisor', 'drbd', 'schematic', 'modules.dep'],
      );
      assert.equal(seen.modules.get('drbd'), 'loaded');
      assert.match(
        seen.cmdline,
        new RegExp(`talos.platform=${given.platform ?? 'metal'} .* sandbox\\.test=1$`),
      );
      assert.deepEqual(seen.metaArgument, [], 'META is on the disk, not on the command line');
      assert.equal(seen.meta.get('0xa'), META.value);
      assert.equal(seen.meta.get('0x11'), isDualBoot(given) ? 'dual-boot' : undefined);
      assert.equal(seen.metaDisk, 'digest=right copies=equal');
      assert.equal(/^systemd-stub/.test(seen.efi.get('StubInfo') ?? ''), startedBySystemdBoot(given));
    });
  }

  test('a board: its installer wrote before the partitions and into the ESP, and the disk boots', async () => {
    const id = await createSchematic(
      factory.url,
      JSON.stringify({ overlay: { name: 'rock4cplus', image: 'siderolabs/sbc-rockchip' } }),
    );
    const path = join(dir, 'board.raw');
    await download(factory.url, `/image/${id}/v1.13.0/metal-arm64.raw`, path);
    await using file = await open(path);
    const bytes = Buffer.alloc(16);
    await file.read(bytes, 0, 16, 32768);
    assert.equal(bytes.toString(), 'u-boot for rock ');
    const gpt = Buffer.alloc(128);
    await file.read(gpt, 0, 128, 512);
    assert.equal(gpt.readBigUInt64LE(72), 20482n, 'the entries of the partition table moved up');
    await file.read(gpt, 0, 128, 20482 * 512);
    const esp = Number(gpt.readBigUInt64LE(32)) * 512;
    const listing = await runProgram({ program: 'mdir', args: ['-/', '-b', '-i', `${path}@@${esp}`, '::'] });
    assert.match(Buffer.from(listing.stdout).toString(), /^::\/dtb\/rockchip\/rk3399-rock-4c-plus\.dtb$/m);
    const medium = { kind: 'disk', path } as const;
    const { report } = await boot({ arch: 'arm64', firmware: 'aavmf', medium, timeoutMs: BOOT_TIMEOUT_MS });
    assert.deepEqual(report.errors, []);
    assert.equal(report.schematic, id);
    assert.match(report.cmdline, /console=tty0 console=ttyS2,1500000n8/);
  });
});
