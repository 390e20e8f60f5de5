import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runProgram } from '../../process/run.ts';
import { boot } from '../boot.ts';
import { type SandboxRelease, sandboxRelease } from './release.ts';

// The guest judged on its own: an initramfs customized by hand with the standard programs, as the format asks
// (`spec/initramfs.md` §3-7), and not by the product.

let release: SandboxRelease;
let dir: string;
before(async () => {
  release = await sandboxRelease(join(import.meta.dirname, '../../../.cache'));
  dir = await mkdtemp(join(tmpdir(), 'guest-test-'));
});
after(() => rm(dir, { recursive: true }));

const run = (program: string, args: readonly string[], cwd = dir) =>
  runProgram({ program, args, cwd, maxOutput: 64 << 20 });

const objectPath = (digest: string) => join(release.directory, 'blobs/sha256', digest.slice(7));

interface Manifest {
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform: { readonly architecture: string };
  }[];
}

/** Unpacks the image of a tag (a suffix of it is enough) with the `tar` program. */
async function unpack(repository: string, tag: string, arch: string, to: string): Promise<string> {
  const entry = release.repositories
    .find(({ name }) => name === repository)!
    .manifests.find(({ tags }) => tags.some((name) => name === tag))!;
  let manifest = JSON.parse(await readFile(objectPath(entry.descriptor.digest), 'utf8')) as Manifest;
  const child = manifest.manifests?.find(({ platform }) => platform.architecture === arch);
  if (child !== undefined)
    manifest = JSON.parse(await readFile(objectPath(child.digest), 'utf8')) as Manifest;
  await mkdir(join(dir, to), { recursive: true });
  for (const { digest } of manifest.layers!) await run('tar', ['-xzf', objectPath(digest), '-C', to]);
  return join(dir, to);
}

async function sha256File(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** A disk with a META partition: one record, both copies. */
async function metaDisk(path: string): Promise<void> {
  const block = Buffer.alloc(262144);
  block.writeUInt32BE(0x5a4b3c2d, 0);
  block.writeUInt32BE(0x0a, 4);
  block.writeUInt32BE(3, 8);
  block.write('foo', 12);
  block.writeUInt32BE(0xa5b4c3d2, 262140);
  createHash('sha256').update(block).digest().copy(block, 262108);
  assert.equal(
    block.subarray(262108, 262140).toString('hex'),
    '0974af06e9457710d1abb21c12a59893c13f6918b114be059da051b0f40ffd6b',
  );
  await using disk = await open(path, 'wx');
  await disk.truncate(8 << 20);
  await run('sgdisk', ['-n', '1:2048:4095', '-c', '1:META', path]);
  for (const copy of [0, 1]) await disk.write(block, 0, block.length, (1 << 20) + copy * block.length);
}

test('an old guest mounts layers, loads modules of extensions, finds microcode, firmware and META', async () => {
  const boot195 = join(await unpack('siderolabs/imager', 'v1.9.5', 'amd64', 'imager'), 'usr/install/amd64');
  await mkdir(join(dir, 'w/kernel/x86/microcode'), { recursive: true });
  await mkdir(join(dir, 'base'));
  await run(
    'sh',
    ['-c', 'zstd -dc "$1" | cpio -idm --quiet', 'sh', join(boot195, 'initramfs.xz')],
    join(dir, 'base'),
  );
  assert.deepEqual((await readdir(join(dir, 'base'))).sort(), ['init', 'lib', 'rootfs.sqsh']);

  const layers: string[] = [];
  const layer = async (name: string, rootfs: string): Promise<void> => {
    const image = `${layers.length}.sqsh`;
    await run('mksquashfs', [rootfs, `w/${image}`, '-all-root', '-comp', 'zstd', '-quiet', '-no-progress']);
    layers.push(`    - image: ${image}\n      metadata:\n        name: ${name}\n        version: '1'\n`);
  };
  await run('unsquashfs', ['-no-xattrs', '-d', 't', '-f', '-n', 'base/rootfs.sqsh', 'lib/modules']);
  for (const name of ['gvisor', 'drbd', 'i915', 'amd-ucode']) {
    const rootfs = join(await unpack(`siderolabs/${name}`, '20231214.0-v1.0.0', 'amd64', name), 'rootfs');
    if (name === 'drbd') await cp(rootfs, join(dir, 't'), { recursive: true });
    if (name === 'amd-ucode') {
      const blob = join(rootfs, 'lib/firmware/amd-ucode/microcode_amd.bin');
      await rename(blob, join(dir, 'w/kernel/x86/microcode/AuthenticAMD.bin'));
    }
    if (name === 'i915')
      await cp(join(rootfs, 'lib'), join(dir, 'w/lib'), { recursive: true, verbatimSymlinks: true });
    else await layer(name, rootfs);
  }
  const release195 = (await readdir(join(dir, 't/lib/modules')))[0]!;
  await run('depmod', ['--all', '--basedir', 't', release195]);
  await run('sh', ['-c', 'rm -r t/lib/modules/*/kernel t/lib/modules/*/extras']);
  await layer('modules.dep', 't');
  await writeFile(join(dir, 'w/extensions.yaml'), `layers:\n${layers.join('')}`);

  const pack = 'cpio -o -H newc --quiet -R 0:0';
  const script = `(find kernel | ${pack}; cat "$1"; find . -path ./kernel -prune -o -print | sed 's,^\\./,,' | grep -v '^\\.$' | ${pack} | zstd -q) >../initrd`;
  await run('sh', ['-c', script, 'sh', join(boot195, 'initramfs.xz')], join(dir, 'w'));
  await metaDisk(join(dir, 'disk'));
  const { report } = await boot({
    arch: 'amd64',
    firmware: 'direct',
    medium: {
      kind: 'kernel',
      kernel: join(boot195, 'vmlinuz'),
      initrd: join(dir, 'initrd'),
      cmdline:
        'console=tty0 module.sig_enforce=1 talos.environment=INSTALLER_META_BASE64=MHhhPWZvbzsweGI9YmFy',
      disk: join(dir, 'disk'),
    },
    timeoutMs: 120_000,
  });
  assert.deepEqual(report.errors, []);
  assert.equal(report.version, 'v1.9.5');
  assert.equal(report.machine, 'x86_64');
  assert.equal(report.boot, 'bios');
  assert.match(report.cmdline, /^console=tty0 module\.sig_enforce=1 /);
  assert.deepEqual(
    report.layers.map(({ image, name }) => `${image} ${name}`),
    ['0.sqsh gvisor', '1.sqsh drbd', '2.sqsh amd-ucode', '3.sqsh modules.dep'],
  );
  assert.equal(report.files.get('/usr/local/share/gvisor/README'), 'gVisor of the sandbox');
  assert.deepEqual([...report.modules], [['drbd', 'loaded']]);
  assert.equal(
    report.microcode.get('/kernel/x86/microcode/AuthenticAMD.bin'),
    await sha256File(join(dir, 'w/kernel/x86/microcode/AuthenticAMD.bin')),
  );
  const blob = await sha256File(join(dir, 'w/lib/firmware/i915/adlp_dmc_ver2_16.bin'));
  assert.equal(report.firmware.get('/lib/firmware/i915/adlp_dmc.bin'), blob, 'through the link');
  assert.deepEqual(report.metaArgument, ['0xa=foo', '0xb=bar']);
  assert.equal(report.metaDisk, 'digest=right copies=equal');
  assert.deepEqual([...report.meta], [['0xa', 'foo']]);
});

test('the guests of the oldest and the newest version come up without extensions', async () => {
  for (const [tag, arch, machine] of [
    ['v1.3.7', 'amd64', 'x86_64'],
    ['v1.14.0-beta.0', 'arm64', 'aarch64'],
  ] as const) {
    const files = join(await unpack('siderolabs/imager', tag, 'amd64', tag), 'usr/install', arch);
    const { report } = await boot({
      arch,
      firmware: 'direct',
      medium: {
        kind: 'kernel',
        kernel: join(files, 'vmlinuz'),
        initrd: join(files, 'initramfs.xz'),
        cmdline: 'console=tty0',
      },
      timeoutMs: 120_000,
    });
    assert.deepEqual([report.version, report.machine, report.layers, report.errors], [tag, machine, [], []]);
  }
});

test('a machine that never reports is killed, and the error shows its serial log', async () => {
  await assert.rejects(
    boot({
      arch: 'amd64',
      firmware: 'seabios',
      medium: { kind: 'disk', path: join(dir, 'disk') },
      timeoutMs: 4_000,
    }),
    /amd64 seabios disk: not within 4 s(?:.|\n)*SeaBIOS/,
  );
});
