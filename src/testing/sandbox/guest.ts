import { chmod, copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FactoryError } from '../../errors.ts';
import { runProgram } from '../../process/run.ts';
import type { Arch } from '../../talos/arch.ts';
import type { DebianTree } from '../debian.ts';
import type { SandboxVersion } from './versions.ts';

/** What the boot files of one architecture are made from. */
export interface GuestParts {
  readonly arch: Arch;
  readonly debian: DebianTree;
  /** Release of the kernel: the name of its modules' directory. */
  readonly kernelRelease: string;
  readonly kernel: string;
  readonly systemdBoot: string;
  readonly systemdStub: string;
}

/** Packages that `findGuestParts` looks into; the suite has systemd 257, whose stub knows UKI profiles. */
export const guestPackages = (arch: Arch): readonly string[] => [
  `*linux-image-cloud-${arch}`,
  'systemd-boot-efi',
  'busybox-static',
];

const EFI_NAME = { amd64: 'x64', arm64: 'aa64' } as const;

/** Modules that the guest's init loads before it can mount anything, dependencies first. */
const BOOT_MODULES = [
  'kernel/drivers/block/loop',
  'kernel/fs/squashfs/squashfs',
  'kernel/fs/overlayfs/overlay',
  'kernel/drivers/block/virtio_blk',
  'kernel/fs/efivarfs/efivarfs',
] as const;

/** Modules of the base root file system: what the modules of the extensions depend on, and some more. */
const BASE_MODULES = [
  'kernel/lib/lru_cache',
  'kernel/lib/libcrc32c',
  'kernel/net/ipv4/udp_tunnel',
  'kernel/net/ipv6/ip6_udp_tunnel',
  'kernel/fs/isofs/isofs',
  'kernel/drivers/cdrom/cdrom',
] as const;

export async function findGuestParts(arch: Arch, debian: DebianTree): Promise<GuestParts> {
  const modules = join(debian.root, 'usr/lib/modules');
  const kernelRelease = (await readdir(modules))[0];
  if (kernelRelease === undefined) {
    throw new FactoryError('internal', 'SANDBOX_NO_KERNEL', `${modules} has no kernel`);
  }
  const efi = join(debian.root, 'usr/lib/systemd/boot/efi');
  return {
    arch,
    debian,
    kernelRelease,
    kernel: join(debian.root, 'boot', `vmlinuz-${kernelRelease}`),
    systemdBoot: join(efi, `systemd-boot${EFI_NAME[arch]}.efi`),
    systemdStub: join(efi, `linux${EFI_NAME[arch]}.efi.stub`),
  };
}

/** A kernel module as Debian ships it: compressed with xz. */
export function moduleFile(parts: GuestParts, module: string): string {
  return join(parts.debian.root, 'usr/lib/modules', parts.kernelRelease, `${module}.ko.xz`);
}

/**
 * `initramfs.xz` of a version: one newc archive with `init`, `lib/sandbox/...` and `rootfs.sqsh`, compressed with
 * xz (CRC32, the only check that the kernel knows) or zstd. Made by the standard programs, not by our writers.
 */
export async function buildInitramfs(
  parts: GuestParts,
  target: SandboxVersion,
  scratch: string,
): Promise<Uint8Array> {
  const archive = join(scratch, 'initramfs');
  const sandbox = join(archive, 'lib/sandbox');
  await mkdir(join(sandbox, 'modules'), { recursive: true });
  await copyFile(join(import.meta.dirname, '../guest/init.sh'), join(archive, 'init'));
  await chmod(join(archive, 'init'), 0o755);
  await copyFile(join(parts.debian.root, 'usr/bin/busybox'), join(sandbox, 'busybox'));
  for (const module of BOOT_MODULES) {
    const { stdout } = await runProgram({
      program: 'xz',
      args: ['-dc', moduleFile(parts, module)],
      maxOutput: 16 << 20,
    });
    await writeFile(join(sandbox, 'modules', `${module.slice(module.lastIndexOf('/') + 1)}.ko`), stdout);
  }
  const order = BOOT_MODULES.map((module) => `${module.slice(module.lastIndexOf('/') + 1)}.ko\n`);
  await writeFile(join(sandbox, 'modules/order'), order.join(''));
  await buildRootfs(parts, target, join(scratch, 'rootfs'), join(archive, 'rootfs.sqsh'));

  const names = (await readdir(archive, { recursive: true })).sort();
  const packed = await runProgram({
    program: 'cpio',
    args: ['-o', '-H', 'newc', '--reproducible', '--quiet', '-R', '0:0'],
    cwd: archive,
    stdin: Buffer.from(`${names.join('\n')}\n`),
    maxOutput: 64 << 20,
  });
  const [program, ...args] = target.gates.zstd
    ? (['zstd', '-q', '-c', '-3'] as const)
    : (['xz', '-c', '--check=crc32', '-1'] as const);
  const compressed = await runProgram({ program, args, stdin: packed.stdout, maxOutput: 64 << 20 });
  return compressed.stdout;
}

/** The base root file system: busybox, os-release, a few modules and their index. */
async function buildRootfs(
  parts: GuestParts,
  target: SandboxVersion,
  root: string,
  image: string,
): Promise<void> {
  for (const name of ['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'usr/bin', 'usr/lib', 'usr/local']) {
    await mkdir(join(root, name), { recursive: true });
  }
  await cp(join(parts.debian.root, 'usr/bin/busybox'), join(root, 'usr/bin/busybox'));
  await writeFile(
    join(root, 'etc/os-release'),
    `NAME="Talos"\nID=talos\nVERSION_ID=${target.tag}\nPRETTY_NAME="Talos (${target.tag})"\n`,
  );
  const base = target.gates.usrMerge ? join(root, 'usr') : root;
  if (target.gates.usrMerge) await symlink('usr/lib', join(root, 'lib'));
  const modules = join(base, 'lib/modules', parts.kernelRelease);
  for (const module of BASE_MODULES) {
    const to = join(modules, `${module}.ko.xz`);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(moduleFile(parts, module), to);
  }
  const kernelTree = join(parts.debian.root, 'usr/lib/modules', parts.kernelRelease);
  for (const list of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    await writeFile(join(modules, list), await readFile(join(kernelTree, list)));
  }
  await runProgram({ program: 'depmod', args: ['-b', base, parts.kernelRelease] });
  const codec = target.gates.zstd ? 'zstd' : 'xz';
  const times = ['-mkfs-time', '0', '-all-time', '0'];
  await runProgram({
    program: 'mksquashfs',
    args: [root, image, '-all-root', '-noappend', '-no-progress', '-quiet', '-comp', codec, ...times],
  });
}
