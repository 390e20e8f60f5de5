import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob } from '../blob/bytes.ts';
import { sliceBlob } from '../blob/compose.ts';
import { readAll, readRange, sha256, writeBlob } from '../blob/consume.ts';
import { readFat } from '../formats/fat-reader.ts';
import { readGpt } from '../formats/gpt-reader.ts';
import { readIso } from '../formats/iso9660-reader.ts';
import { readMbr } from '../formats/mbr.ts';
import { syntheticStub } from '../formats/pe.testing.ts';
import type { TreeEntry } from '../formats/tree.ts';
import type { Arch } from '../talos/arch.ts';
import { parseTalosVersion } from '../talos/version.ts';
import { composeIso, espGeometry, type GrubIso, type HybridIso, type UefiIso, volumeNames } from './iso.ts';
import { type IsoKindQuery, selectIsoKind } from './iso-kind.ts';
import { composeUki } from './uki.ts';

const run = promisify(execFile);
const MIB = 1 << 20;

const kernel = bytesBlob(Buffer.alloc(2 * MIB + 77, 'kernel '), { nature: 'packed', key: 'kernel' });
const initramfs = bytesBlob(Buffer.alloc(3 * MIB + 11, 'initramfs '), { nature: 'packed', key: 'initramfs' });
const systemdBoot = bytesBlob(Buffer.alloc(122880, 'systemd-boot '));
const cmdline = 'talos.platform=metal console=tty0';
const bios = {
  hybridMbr: bytesBlob(Buffer.alloc(512, 0x90)),
  elTorito: bytesBlob(Buffer.alloc(46980, 'el torito ')),
};

async function uki(bootFileAlignment = 2048): Promise<Blob> {
  return composeUki({
    version: parseTalosVersion('1.12.0'),
    kind: 'iso',
    stub: bytesBlob(syntheticStub()),
    kernel,
    initramfs,
    cmdline,
    bootFileAlignment,
  });
}

function grub(version: string, arch: Arch): GrubIso {
  const efi = bytesBlob(Buffer.alloc(700_000, 'grub efi '));
  const base = {
    kind: 'grub',
    version: parseTalosVersion(version),
    arch,
    cmdline,
    kernel,
    initramfs,
    efi,
  } as const;
  return arch === 'amd64' ? { ...base, bios } : base;
}

async function hybrid(version: string, arch: Arch, alignment?: number): Promise<HybridIso> {
  const base = {
    kind: 'hybrid',
    version: parseTalosVersion(version),
    arch,
    cmdline,
    uki: await uki(alignment),
    systemdBoot,
  } as const;
  return arch === 'amd64' ? { ...base, bios } : base;
}

async function uefi(version: string, arch: Arch): Promise<UefiIso> {
  return { kind: 'uefi', version: parseTalosVersion(version), arch, uki: await uki(), systemdBoot };
}

async function write(t: TestContext, iso: Blob): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'iso-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'image.iso');
  await writeBlob(iso, path);
  return path;
}

async function report(path: string): Promise<string> {
  const { stdout, stderr } = await run('xorriso', [
    ...['-indev', path, '-report_el_torito', 'plain', '-report_system_area', 'plain', '-pvd_info'],
  ]);
  assert.doesNotMatch(stderr, /WARNING|SORRY|FAILURE|MISHAP/);
  return stdout;
}

function find(entries: readonly TreeEntry[], path: string): Blob {
  const entry = entries.find((candidate) => candidate.path === path);
  assert.ok(entry?.type === 'file', path);
  return entry.content;
}

async function textOf(entries: readonly TreeEntry[], path: string): Promise<string> {
  return Buffer.from(await readAll(find(entries, path))).toString();
}

/** How often bytes of a source are in a composition. */
function uses(iso: Blob, key: string): number {
  return [...iso.extents()].filter((extent) => extent.kind === 'data' && extent.source.key === key).length;
}

test('kinds by version, architecture, Secure Boot and bootloader', () => {
  const rows: readonly (readonly [string, Arch, IsoKindQuery['bootloader'], boolean, string])[] = [
    ['1.9.9', 'amd64', 'none', false, 'grub'],
    ['1.9.9', 'arm64', 'sd-boot', false, 'grub'],
    ['1.9.9', 'amd64', 'none', true, 'uefi'],
    ['1.10.0-alpha.1', 'amd64', 'grub', false, 'hybrid'],
    ['1.11.5', 'arm64', 'sd-boot', false, 'hybrid'],
    ['1.11.5', 'arm64', 'none', true, 'uefi'],
    ['1.12.0', 'amd64', 'none', false, 'hybrid'],
    ['1.12.0', 'arm64', 'none', false, 'uefi'],
    ['1.12.0', 'amd64', 'sd-boot', false, 'uefi'],
    ['1.12.0', 'amd64', 'grub', false, 'grub'],
    ['1.12.0', 'arm64', 'grub', false, 'grub'],
    ['1.12.0', 'arm64', 'dual-boot', false, 'hybrid'],
    ['1.14.0', 'amd64', 'grub', true, 'uefi'],
  ];
  for (const [version, arch, bootloader, secureBoot, kind] of rows)
    assert.equal(
      selectIsoKind({ version: parseTalosVersion(version), arch, bootloader, secureBoot }),
      kind,
      `${version} ${arch} ${bootloader}`,
    );
});

test('labels', () => {
  const rows: readonly (readonly [string, string, string | undefined])[] = [
    ['1.7.9', 'ISOIMAGE', undefined],
    ['1.8.0', 'TALOS_V1_8_0', 'Talos-v1.8.0'],
    ['1.8.0-beta.0', 'TALOS_V1_8_0_BETA_0', 'Talos-v1.8.0-beta.0'],
    [
      '1.14.0-alpha.1-123-gdeadbeef-dirty',
      'TALOS_V1_14_0_ALPHA_1_123_GDEADB',
      'Talos-v1.14.0-alpha.1-123-gdeadbeef-dirty',
    ],
  ];
  for (const [version, volumeId, label] of rows) {
    const names = volumeNames(parseTalosVersion(version));
    assert.deepEqual([names.volumeId, names.volumeSetId], [volumeId, label]);
  }
});

test('size and clusters of the EFI system partition', () => {
  assert.deepEqual(espGeometry(122880, 110100485), { size: 122683392, sectorsPerCluster: 2 });
  const clusters: readonly (readonly [number, number])[] = [
    [65, 1],
    [66, 2],
    [131, 2],
    [132, 4],
    [263, 4],
    [264, 8],
    [1000, 8],
  ];
  for (const [mib, expected] of clusters)
    assert.deepEqual(espGeometry(1, (mib - 11) * MIB), { size: mib * MIB, sectorsPerCluster: expected });
  assert.deepEqual(espGeometry(1, 1), { size: 35 * MIB, sectorsPerCluster: 1 });
});

test('a hybrid ISO holds kernel and initramfs once, readable in tree, partition and UKI', async (t) => {
  const spec = await hybrid('1.12.0', 'amd64');
  const iso = await composeIso(spec);
  assert.equal(uses(iso, 'kernel'), 1);
  assert.equal(uses(iso, 'initramfs'), 1);

  const volume = await readIso(iso);
  assert.equal(volume.blocks * 2048, iso.size);
  const sums = await Promise.all([kernel, initramfs, spec.uki, systemdBoot].map((blob) => sha256(blob)));
  const paths = ['boot/vmlinuz', 'boot/initramfs.xz', 'EFI/Linux/Talos-v1.12.0.efi', 'EFI/BOOT/BOOTX64.EFI'];
  assert.deepEqual(await Promise.all(paths.map((path) => sha256(find(volume.entries, path)))), sums);
  assert.match(
    await textOf(volume.entries, 'boot/grub/grub.cfg'),
    /linux \/boot\/vmlinuz talos\.platform=metal/,
  );

  const gpt = await readGpt(iso, 512);
  const [files, efi] = gpt.partitions;
  assert.ok(files !== undefined && efi !== undefined);
  assert.deepEqual([files.firstLba, files.lastLba + 1], [64, efi.firstLba]);
  assert.equal(efi.typeGuid, 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b');
  const esp = await readFat(sliceBlob(iso, efi.firstLba * 512, (efi.lastLba - efi.firstLba + 1) * 512));
  assert.deepEqual([esp.label, esp.geometry.type], ['EFI', 32]);
  assert.equal(await sha256(find(esp.entries, 'EFI/Linux/Talos-v1.12.0.efi')), sums[2]);
  assert.equal(
    await textOf(esp.entries, 'loader/loader.conf'),
    '# systemd-boot configuration\n\ntimeout 10\n\nsecure-boot-enroll off\n',
  );
  const seed = esp.entries.find((entry) => entry.path === 'loader/random-seed');
  assert.ok(seed?.type === 'file' && seed.mode === 0o444 && seed.content.size === 32);
  assert.deepEqual(
    volume.boot.map((entry) => [entry.platform, entry.lba, entry.sectors]),
    [
      ['bios', volume.boot[0]?.lba, 4],
      ['efi', efi.firstLba / 4, 0],
    ],
  );
  const mbr = Buffer.from(await readRange(iso, 0, 512));
  assert.equal(mbr.readBigUInt64LE(0x1b0), BigInt(volume.boot[0]?.lba ?? 0) * 4n + 4n);

  const path = await write(t, iso);
  const said = await report(path);
  assert.match(said, /El Torito img opts :\s+1\s+boot-info-table grub2-boot-info/);
  assert.match(said, /System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT/);
  assert.match(said, /Modif. Time {2}: 2019060121345200/);
  assert.match((await run('sgdisk', ['-v', path])).stdout, /No problems found/);
  await run('xorriso', [
    '-osirrox',
    'on',
    '-indev',
    path,
    '-extract',
    '/boot/initramfs.xz',
    `${path}.initramfs`,
  ]);
  assert.ok((await readFile(`${path}.initramfs`)).equals(Buffer.from(await readAll(initramfs, 4 * MIB))));
});

test('a UKI whose boot files do not lie at blocks gives the same tree, of copies', async () => {
  const iso = await composeIso(await hybrid('1.12.0', 'amd64', 512));
  const { entries } = await readIso(iso);
  assert.equal(await sha256(find(entries, 'boot/vmlinuz')), await sha256(kernel));
  assert.equal(await sha256(find(entries, 'boot/initramfs.xz')), await sha256(initramfs));
  assert.ok(uses(iso, 'kernel') + uses(iso, 'initramfs') > 2);
});

test('a hybrid ISO for arm64 has no BIOS code', async () => {
  const iso = await composeIso(await hybrid('1.11.0', 'arm64'));
  const volume = await readIso(iso);
  assert.deepEqual(
    volume.boot.map((entry) => entry.platform),
    ['efi'],
  );
  assert.ok(find(volume.entries, 'EFI/BOOT/BOOTAA64.EFI'));
  assert.ok((await readRange(iso, 0, 446)).every((byte) => byte === 0));
});

test('a UEFI ISO has an MBR with the partition of the boot catalog', async (t) => {
  const iso = await composeIso(await uefi('1.14.0', 'arm64'));
  const partitions = readMbr(await readRange(iso, 0, 512));
  const [files, efi] = partitions;
  assert.ok(files !== undefined && efi !== undefined);
  assert.deepEqual([files.type, files.firstLba, files.sectors], [0x83, 64, efi.firstLba - 64]);
  assert.deepEqual([efi.type, efi.firstLba % 2048, efi.sectors], [0xef, 0, 35 * 2048]);
  const volume = await readIso(iso);
  assert.deepEqual(volume.boot, [{ platform: 'efi', lba: efi.firstLba / 4, sectors: 0 }]);
  assert.equal(volume.volumeId, 'TALOS_V1_14_0');
  assert.equal(
    volume.entries.some((entry) => entry.path === 'boot'),
    false,
  );
  const path = await write(t, iso);
  assert.match(await report(path), /El Torito boot img :\s+1\s+UEFI\s+y\s+none\s+0x0000\s+0x00\s+0\s+512\n/);
  const offset = `${path}@@${efi.firstLba * 512}`;
  const { stdout } = await run('mdir', ['-/', '-b', '-i', offset, '::']);
  assert.match(stdout, /^::\/EFI\/Linux\/Talos-v1\.14\.0\.efi$/m);
});

test('Secure Boot media carry keys and certificate, in partition and tree, whatever the mode', async () => {
  for (const enroll of ['if-safe', 'off'] as const) {
    const iso = await composeIso({
      ...(await uefi('1.9.0', 'amd64')),
      secureBoot: {
        enroll,
        platformKey: textBlob('pk'),
        keyExchangeKey: textBlob('kek'),
        signatureDatabase: textBlob('db'),
        signingCertificate: textBlob('cert'),
      },
    });
    const volume = await readIso(iso);
    const esp = await readFat(sliceBlob(iso, (volume.boot[0]?.lba ?? 0) * 2048, 35 * MIB));
    for (const entries of [esp.entries, volume.entries]) {
      assert.equal(await textOf(entries, 'loader/keys/auto/PK.auth'), 'pk');
      assert.equal(await textOf(entries, 'loader/keys/auto/KEK.auth'), 'kek');
      assert.equal(await textOf(entries, 'loader/keys/auto/db.auth'), 'db');
      assert.equal(await textOf(entries, 'EFI/keys/uki-signing-cert.der'), 'cert');
      assert.match(
        await textOf(entries, 'loader/loader.conf'),
        new RegExp(`secure-boot-enroll ${enroll}\n$`),
      );
    }
  }
});

test('a GRUB ISO boots GRUB from a small EFI system partition', async (t) => {
  for (const arch of ['amd64', 'arm64'] as const) {
    const iso = await composeIso(grub('1.7.0', arch));
    assert.ok(iso.size < 9 * MIB, String(iso.size));
    const volume = await readIso(iso);
    assert.equal(volume.volumeId, 'ISOIMAGE');
    assert.deepEqual(
      volume.boot.map((entry) => entry.platform),
      arch === 'amd64' ? ['bios', 'efi'] : ['efi'],
    );
    const efi = volume.boot.at(-1);
    assert.ok(efi !== undefined);
    const esp = await readFat(sliceBlob(iso, efi.lba * 2048, efi.sectors * 512));
    const name = arch === 'amd64' ? 'EFI/BOOT/BOOTX64.EFI' : 'EFI/BOOT/BOOTAA64.EFI';
    assert.equal(find(esp.entries, name).size, 700_000);
    assert.equal(await sha256(find(volume.entries, 'boot/vmlinuz')), await sha256(kernel));
    const path = await write(t, iso);
    await report(path);
    assert.match((await run('sgdisk', ['-v', path])).stdout, /No problems found/);
    await writeBlob(sliceBlob(iso, efi.lba * 2048, efi.sectors * 512), `${path}.esp`);
    await run('fsck.vfat', ['-n', `${path}.esp`]);
  }
});

test('an image cache is in the tree', async () => {
  const blobs: TreeEntry = {
    type: 'file',
    path: 'imagecache/blob/sha256-ab',
    mode: 0o644,
    content: textBlob('layer'),
  };
  const iso = await composeIso({ ...(await uefi('1.12.0', 'amd64')), imageCache: [blobs] });
  assert.equal(await textOf((await readIso(iso)).entries, 'imagecache/blob/sha256-ab'), 'layer');
});

test('a UKI that is none is refused', async () => {
  const spec = await hybrid('1.12.0', 'amd64');
  await assert.rejects(composeIso({ ...spec, uki: textBlob('x') }), { code: 'PE_INVALID' });
  await assert.rejects(composeIso({ ...spec, uki: bytesBlob(syntheticStub()) }), {
    code: 'PE_INVALID',
    message: /no section \.linux/,
  });
});
