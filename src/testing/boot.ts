import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../process/run.ts';
import type { Arch } from '../talos/arch.ts';
import { type GuestReport, parseGuestReport } from './guest-report.ts';

/** A machine to boot. Files are opened read-only: what the guest writes is thrown away. */
export interface BootSpec {
  readonly arch: Arch;
  /** `direct`: QEMU loads kernel and initrd itself. */
  readonly firmware: 'seabios' | 'ovmf' | 'aavmf' | 'direct';
  readonly medium: BootMedium;
  /** Milliseconds until the machine is given up. */
  readonly timeoutMs: number;
}

/** What the machine boots from. */
export type BootMedium =
  | { readonly kind: 'cdrom'; readonly path: string }
  | {
      readonly kind: 'disk';
      readonly path: string;
      readonly format?: 'raw' | 'qcow2' | 'vmdk' | 'vpc';
      /** Bytes; 512 when absent. */
      readonly sectorSize?: 4096;
    }
  | { readonly kind: 'uki'; readonly path: string }
  | {
      readonly kind: 'kernel';
      readonly kernel: string;
      readonly initrd: string;
      readonly cmdline: string;
      /** A disk that the guest sees beside what it was booted from. */
      readonly disk?: string;
    }
  /** iPXE chains to this URL; the host's loopback is 10.0.2.2 from inside. */
  | { readonly kind: 'netboot'; readonly url: string };

export interface BootResult {
  /** Everything that came over the serial port. */
  readonly log: string;
  readonly report: GuestReport;
}

const MEMORY = '1024';
const LOG_KEPT = 4 << 20;

/**
 * Boots a machine in QEMU (software emulation, no KVM needed) until the sandbox guest has printed its report.
 * QEMU is gone when this returns or throws. Throws with the end of the serial log when there is no report in time.
 */
export async function boot(spec: BootSpec): Promise<BootResult> {
  const scratch = await mkdtemp(join(tmpdir(), 'boot-'));
  try {
    const program = spec.arch === 'amd64' ? 'qemu-system-x86_64' : 'qemu-system-aarch64';
    const args = [
      ...machine(spec),
      ...['-accel', 'tcg,thread=multi', '-m', MEMORY, '-smp', '1', '-nodefaults', '-display', 'none'],
      ...['-serial', 'stdio', '-monitor', 'none'],
      ...(await firmware(spec, scratch)),
      ...(await medium(spec, scratch)),
    ];
    return await runMachine(spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] }), spec);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function runMachine(child: ChildProcess, spec: BootSpec): Promise<BootResult> {
  const what = `${spec.arch} ${spec.firmware} ${spec.medium.kind}`;
  const timer = setTimeout(() => child.kill('SIGKILL'), spec.timeoutMs);
  const closed = once(child, 'close');
  closed.catch(() => {});
  let log = '';
  let stderr = '';
  const errors = (async () => {
    for await (const chunk of child.stderr ?? []) stderr = (stderr + String(chunk)).slice(-16_384);
  })();
  try {
    for await (const chunk of child.stdout ?? []) {
      log = (log + Buffer.from(chunk as Uint8Array).toString('latin1')).slice(-LOG_KEPT);
      if (log.includes('end Kernel panic')) break;
      if (!log.includes('SANDBOX end')) continue;
      const report = parseGuestReport(log);
      if (report !== undefined) return { log, report };
    }
    const panicked = log.includes('end Kernel panic');
    if (panicked) child.kill('SIGTERM');
    await Promise.all([closed, errors]);
    const late = child.signalCode === 'SIGKILL';
    const why = panicked
      ? 'its kernel panicked'
      : late
        ? `not within ${spec.timeoutMs / 1000} s`
        : 'it ended';
    throw new Error(
      `no guest report from ${what}: ${why}\n${stderr.trim()}\n--- serial log ends with ---\n${tail(log)}`,
    );
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    await closed;
  }
}

/** The last 60 lines that say something, without the escape sequences of menus. */
function tail(log: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what terminals are driven with
  const plain = log.replace(/\x1b\[[0-9;?=]*[A-Za-z]/g, '').replaceAll('\r', '');
  return plain
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-60)
    .map((line) => line.slice(-300))
    .join('\n');
}

function machine(spec: BootSpec): readonly string[] {
  if (spec.arch === 'arm64') return ['-machine', 'virt', '-cpu', 'cortex-a72'];
  // `graphics=off` makes SeaBIOS and what it boots show their text on the serial port too.
  // Without CMPXCHG16B: QEMU 7.2 emulates it with wrong flags when an interrupt comes with it, and the kernel's
  // allocator then crashes in one of six boots.
  return ['-machine', 'q35,graphics=off', '-cpu', 'qemu64,-cx16', '-vga', 'std'];
}

const FLASH = {
  ovmf: ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  aavmf: ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
} as const;

async function firmware(spec: BootSpec, scratch: string): Promise<readonly string[]> {
  if (spec.firmware === 'seabios' || spec.firmware === 'direct') return [];
  const [code, variables] = FLASH[spec.firmware];
  const writable = join(scratch, 'variables.fd');
  await copyFile(variables, writable);
  return [
    ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${option(code)}`],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${option(writable)}`],
  ];
}

async function medium(spec: BootSpec, scratch: string): Promise<readonly string[]> {
  const { medium } = spec;
  switch (medium.kind) {
    case 'cdrom':
      return [
        ...['-drive', `if=none,id=cd,format=raw,media=cdrom,readonly=on,file=${option(medium.path)}`],
        ...(spec.arch === 'amd64'
          ? ['-device', 'ide-cd,drive=cd,bootindex=0']
          : ['-device', 'virtio-scsi-pci', '-device', 'scsi-cd,drive=cd,bootindex=0']),
      ];
    case 'disk':
      return disk(medium.path, medium.format ?? 'raw', ',bootindex=0', medium.sectorSize);
    case 'uki': {
      const esp = join(scratch, 'esp.img');
      await espWith(medium.path, spec.arch, esp);
      return disk(esp, 'raw');
    }
    case 'kernel':
      return [
        ...['-kernel', medium.kernel, '-initrd', medium.initrd, '-append', medium.cmdline],
        ...(medium.disk === undefined ? [] : disk(medium.disk, 'raw', '')),
      ];
    case 'netboot': {
      // The boot file name of DHCP is short; a script on QEMU's own TFTP server is not.
      await writeFile(join(scratch, 'boot.ipxe'), `#!ipxe\nchain --replace --autofree ${medium.url}\n`);
      return [
        ...['-netdev', `user,id=net,tftp=${option(scratch)},bootfile=boot.ipxe`],
        ...['-device', 'virtio-net-pci,netdev=net,bootindex=0'],
      ];
    }
  }
}

function disk(path: string, format: string, order = ',bootindex=0', sectorSize = 512): readonly string[] {
  return [
    ...['-drive', `if=none,id=disk,format=${format},snapshot=on,file=${option(path)}`],
    ...[
      '-device',
      `virtio-blk-pci,drive=disk,logical_block_size=${sectorSize},physical_block_size=${sectorSize}${order}`,
    ],
  ];
}

/** A file system with one file, where firmware looks for a boot loader on removable media (UEFI 2.10 §3.5.1.1). */
async function espWith(uki: string, arch: Arch, image: string): Promise<void> {
  const mebibytes = Math.ceil((await stat(uki)).size / (1 << 20)) + 48;
  await writeFile(image, '');
  await truncate(image, mebibytes << 20);
  const name = arch === 'amd64' ? 'BOOTX64.EFI' : 'BOOTAA64.EFI';
  await runProgram({ program: 'mformat', args: ['-i', image, '-F', '::'] });
  await runProgram({ program: 'mmd', args: ['-i', image, '::/EFI', '::/EFI/BOOT'] });
  await runProgram({ program: 'mcopy', args: ['-i', image, uki, `::/EFI/BOOT/${name}`] });
}

/** A file name inside a QEMU option: commas are doubled. */
function option(path: string): string {
  return path.replaceAll(',', ',,');
}
