import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { runProgram } from '../../src/process/run.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, download } from './client.ts';
import { type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// Programs of others read what the factory serves: cpio, xz, zstd and unsquashfs an initramfs, xorriso an ISO,
// binutils a unified kernel image.

const SCHEMATIC = {
  customization: {
    extraKernelArgs: ['e2e.test=1'],
    systemExtensions: {
      officialExtensions: [
        ...['siderolabs/gvisor', 'siderolabs/intel-ucode', 'siderolabs/amd-ucode', 'siderolabs/i915'],
        ...['siderolabs/drbd', 'siderolabs/hello-world-service'],
      ],
    },
  },
};
const LAYERS = [
  ['0.sqsh', 'gvisor'],
  ['1.sqsh', 'intel-ucode'],
  ['2.sqsh', 'amd-ucode'],
  ['3.sqsh', 'i915'],
  ['4.sqsh', 'drbd'],
  ['5.sqsh', 'hello-world-service'],
  ['6.sqsh', 'schematic'],
  ['modules.dep.sqsh', 'modules.dep'],
];

let sandbox: SandboxRegistry;
let factory: LocalFactory;
let id: string;
let plainId: string;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'judges-'));
  sandbox = await startSandbox();
  factory = await startLocalFactory({ sandbox });
  id = await createSchematic(factory.url, SCHEMATIC);
  plainId = await createSchematic(factory.url, '{}');
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
  await rm(dir, { recursive: true, force: true });
});

async function run(program: string, args: readonly string[], stdin?: Uint8Array, cwd = dir): Promise<Buffer> {
  const { stdout } = await runProgram({
    program,
    args,
    cwd,
    maxOutput: 256 << 20,
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' },
    ...(stdin === undefined ? {} : { stdin }),
  });
  return Buffer.from(stdout);
}

async function lines(program: string, args: readonly string[], stdin?: Uint8Array): Promise<string[]> {
  return (await run(program, args, stdin)).toString('utf8').split('\n').filter(Boolean);
}

async function fetched(schematic: string, version: string, file: string): Promise<Buffer> {
  return (await download(factory.url, `/image/${schematic}/${version}/${file}`)).body;
}

/** Where the archive of layers begins: the header of newc is 110 bytes long, the name follows. */
function layersStart(initramfs: Buffer): number {
  const at = initramfs.lastIndexOf('0.sqsh\0') - 110;
  assert.equal(initramfs.toString('latin1', at, at + 6), '070701');
  assert.equal(at % 4, 0, 'an uncompressed archive starts 4-byte aligned');
  return at;
}

/** Compressed archives in front of the zero bytes that align what follows. */
function withoutPadding(packed: Buffer, codec: 'xz' | 'zstd'): Buffer {
  if (codec === 'xz') return packed;
  let end = packed.length;
  while (end > packed.length - 3 && packed[end - 1] === 0) end--;
  return packed.subarray(0, end);
}

for (const [version, codec, library] of [
  ['v1.7.6', 'xz', 'lib'],
  ['v1.13.0', 'zstd', 'usr/lib'],
] as const) {
  for (const arch of ['amd64', 'arm64'] as const) {
    test(`${version} ${arch} initramfs: cpio, ${codec}, unsquashfs`, async () => {
      const plain = await fetched(plainId, version, `initramfs-${arch}.xz`);
      const packed = withoutPadding(plain.subarray(0, layersStart(plain)), codec);
      const names = await lines('cpio', ['-t', '--quiet'], await run(codec, ['-dc'], packed));
      assert.ok(names.includes('init'), 'the release comes first');
      // The same in front of what extensions add; padding and all may differ, so look at all but the end.
      const base = packed.subarray(0, packed.length - 8);

      const whole = await fetched(id, version, `initramfs-${arch}.xz`);
      const early = whole.indexOf(base);
      assert.ok(early > 0);
      assert.deepEqual(
        (await lines('cpio', ['-t', '--quiet'], whole.subarray(0, early))).filter((name) =>
          name.endsWith('.bin'),
        ),
        ['kernel/x86/microcode/AuthenticAMD.bin', 'kernel/x86/microcode/GenuineIntel.bin'],
      );
      const tail = layersStart(whole);
      const firmware = withoutPadding(whole.subarray(early + packed.length, tail), codec);
      const firmwareNames: string[] = [];
      for (const archive of archives(await run(codec, ['-dc'], firmware))) {
        firmwareNames.push(...(await lines('cpio', ['-t', '--quiet'], archive)));
      }
      assert.deepEqual(
        firmwareNames.filter((name) => /\.|README/.test(name)),
        [
          `${library}/firmware/amd-ucode/README`,
          `${library}/firmware/i915/adlp_dmc.bin`,
          `${library}/firmware/i915/adlp_dmc_ver2_16.bin`,
        ],
        'microcode is no firmware',
      );

      const place = join(dir, `${version}-${arch}`);
      await mkdir(place);
      await run('cpio', ['-id', '--quiet'], whole.subarray(tail), place);
      assert.deepEqual(
        (await readdir(place)).sort(),
        ['extensions.yaml', ...LAYERS.map(([file]) => file)].sort(),
      );
      const manifest = parse(await readFile(join(place, 'extensions.yaml'), 'utf8'));
      assert.deepEqual(
        manifest.layers.map((layer: { image: string; metadata: { name: string } }) => [
          layer.image,
          layer.metadata.name,
        ]),
        LAYERS,
      );
      const schematic = manifest.layers[6].metadata;
      assert.equal(schematic.version, id);
      assert.equal(schematic.author, 'Image Factory (https://factory.example/)');
      const canonical = await download(factory.url, `/schematics/${id}`);
      assert.equal(schematic.extraInfo, canonical.text);

      for (const [file] of LAYERS) {
        const facts = (await run('unsquashfs', ['-s', join(place, file!)])).toString();
        assert.match(facts, new RegExp(`Compression ${codec}\\n`), file);
        assert.match(facts, /Creation or last append time Sat Jun {2}1 21:34:52 2019/, file);
      }
      const cat = (file: string, path: string): Promise<Buffer> =>
        run('unsquashfs', ['-cat', join(place, file), path]);
      assert.equal(String(await cat('0.sqsh', 'usr/local/share/gvisor/README')), 'gVisor of the sandbox\n');
      assert.equal(String(await cat('5.sqsh', 'usr/local/share/hello/replaced')), 'upper layer\n');
      const dep = String(await cat('modules.dep.sqsh', await modulesDep(place)));
      assert.match(dep, /extras\/drbd\.ko(\.xz)?: /);
      const list = await lines('unsquashfs', ['-lln', '-d', '', join(place, '6.sqsh')]);
      assert.ok(
        list.some((line) => line.startsWith('-rw-r--r-- 0/0 ') && line.endsWith(`/share/schematic/${id}`)),
      );
    });
  }
}

/** Concatenated archives: cpio reads one and stops at its trailer. */
function* archives(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at >= 0; at = bytes.indexOf('070701', bytes.indexOf('TRAILER!!!', at)))
    yield bytes.subarray(at);
}

async function modulesDep(place: string): Promise<string> {
  const list = await lines('unsquashfs', ['-l', '-d', '', join(place, 'modules.dep.sqsh')]);
  const found = list.find((path) => path.endsWith('/modules.dep'));
  assert.ok(found !== undefined, String(list));
  return found.slice(1);
}

async function extracted(iso: Buffer, path: string): Promise<Buffer> {
  const [image, file] = [join(dir, 'image.iso'), join(dir, 'extracted')];
  await writeFile(image, iso);
  await rm(file, { force: true });
  await run('xorriso', ['-osirrox', 'on', '-indev', image, '-extract', path, file]);
  return readFile(file);
}

async function listed(iso: Buffer): Promise<string[]> {
  const image = join(dir, 'image.iso');
  await writeFile(image, iso);
  const found = await lines('xorriso', ['-indev', image, '-find', '/', '-type', 'f']);
  return found.map((line) => line.replaceAll("'", '')).sort();
}

describe('xorriso reads ISOs', () => {
  test('GRUB', async () => {
    const iso = await fetched(id, 'v1.7.6', 'metal-amd64.iso');
    assert.deepEqual(await listed(iso), [
      '/EFI/BOOT/BOOTX64.EFI',
      '/boot/grub/grub.cfg',
      '/boot/grub/i386-pc/eltorito.img',
      '/boot/initramfs.xz',
      '/boot/vmlinuz',
    ]);
    assert.ok((await extracted(iso, '/boot/vmlinuz')).equals(await fetched(id, 'v1.7.6', 'kernel-amd64')));
    assert.ok(
      (await extracted(iso, '/boot/initramfs.xz')).equals(await fetched(id, 'v1.7.6', 'initramfs-amd64.xz')),
    );
    assert.match(String(await extracted(iso, '/boot/grub/grub.cfg')), /talos\.platform=metal .* e2e\.test=1/);
    const boot = (
      await lines('xorriso', ['-indev', join(dir, 'image.iso'), '-report_el_torito', 'plain'])
    ).join('\n');
    assert.match(boot, /El Torito boot img : +1 +BIOS +y /);
    assert.match(boot, /El Torito boot img : +2 +UEFI +y /);
  });

  for (const [arch, others] of [
    [
      'amd64',
      ['/boot/grub/grub.cfg', '/boot/grub/i386-pc/eltorito.img', '/boot/initramfs.xz', '/boot/vmlinuz'],
    ],
    ['arm64', []],
  ] as const) {
    test(`systemd-boot, ${arch}`, async () => {
      const iso = await fetched(id, 'v1.13.0', `metal-${arch}.iso`);
      const loader = arch === 'amd64' ? 'BOOTX64' : 'BOOTAA64';
      assert.deepEqual(
        await listed(iso),
        [
          `/EFI/BOOT/${loader}.EFI`,
          '/EFI/Linux/Talos-v1.13.0.efi',
          '/loader/loader.conf',
          '/loader/random-seed',
          ...others,
        ].sort(),
      );
      const uki = await extracted(iso, '/EFI/Linux/Talos-v1.13.0.efi');
      assert.ok(uki.includes(await fetched(id, 'v1.13.0', `kernel-${arch}`)));
      assert.ok(uki.includes(await fetched(id, 'v1.13.0', `initramfs-${arch}.xz`)));
      assert.match(uki.toString('latin1'), / talos\.halt_if_installed=1 .* e2e\.test=1\0/);
    });
  }
});

async function dumped(uki: Buffer, names: readonly string[]): Promise<Buffer[]> {
  const image = join(dir, 'image.efi');
  await writeFile(image, uki);
  const dumps = names.flatMap((name) => ['--dump-section', `${name}=${join(dir, `section${name}`)}`]);
  await run('objcopy', [...dumps, image, join(dir, 'copy.efi')]);
  return Promise.all(names.map((name) => readFile(join(dir, `section${name}`))));
}

// Debian's binutils know the PE files of their own architecture only; arm64 images are booted (boot.test.ts).
test('objdump reads a unified kernel image', async () => {
  const uki = await fetched(id, 'v1.13.0', 'metal-amd64-uki.efi');
  const [kernel, initrd, cmdline, osrel, uname] = await dumped(uki, [
    ...['.linux', '.initrd', '.cmdline', '.osrel', '.uname'],
  ]);
  assert.ok(kernel!.equals(await fetched(id, 'v1.13.0', 'kernel-amd64')));
  assert.ok(initrd!.equals(await fetched(id, 'v1.13.0', 'initramfs-amd64.xz')));
  assert.match(String(cmdline), /^talos\.platform=metal .* e2e\.test=1$/);
  assert.match(String(osrel), /^VERSION_ID=v1\.13\.0$/m);
  assert.match(String(uname), /^\d+\.\d+\.\d+/);
  const table = String(await run('objdump', ['-h', join(dir, 'image.efi')]));
  assert.match(table, /file format pei-x86-64/);
  assert.match(table, / \.sbat /);
});
