import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { lstat, mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs, placedBlob } from '../blob/compose.ts';
import { readAll, readRange, sha256, writeBlob } from '../blob/consume.ts';
import { bootCatalog, withBootInfo } from './el-torito.ts';
import { type IsoVolumeSpec, layoutIsoVolume } from './iso9660.ts';
import { isoUuid, recordDate } from './iso9660-fields.ts';
import { compareIdentifiers, isoIdentifiers } from './iso9660-names.ts';
import { readIso } from './iso9660-reader.ts';
import type { TreeEntry } from './tree.ts';

const run = promisify(execFile);
const MIB = 1 << 20;
const TIME = 1559424892;

function file(path: string, content: Blob, mode = 0o644): TreeEntry {
  return { type: 'file', path, mode, content };
}

function spec(more: Partial<IsoVolumeSpec> = {}): IsoVolumeSpec {
  return { volumeId: 'TALOS_V1_14_0', volumeSetId: 'Talos-v1.14.0', time: TIME, entries: [], ...more };
}

function imageOf(volume: ReturnType<typeof layoutIsoVolume>): Blob {
  return placedBlob(volume.size, volume.parts);
}

async function scratch(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'iso-'));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

const LONG = 'a-name-of-many-characters-'.repeat(9);
const TARGET = `../${'deep/'.repeat(60)}${'x'.repeat(240)}`;
const TREE: readonly TreeEntry[] = [
  file('boot/vmlinuz', bytesBlob(Buffer.alloc(5000, 'kernel'))),
  file('boot/grub/grub.cfg', textBlob('set timeout=3\n'), 0o600),
  file('boot/grub/eltorito.img', bytesBlob(Buffer.alloc(46980, 'grub'))),
  file('boot/empty', zeroBlob(0)),
  file('loader/random-seed', zeroBlob(32), 0o444),
  file('EFI/Linux/Talos-v1.14.0.efi', textBlob('uki')),
  file('EFI/Linux/Talos-v1.14.0~1.efi', textBlob('other')),
  file(`names/${LONG}`, textBlob('long')),
  file('names/grüße', textBlob('utf-8')),
  { type: 'symlink', path: 'names/link', mode: 0o777, target: '/boot/../boot/./vmlinuz' },
  { type: 'symlink', path: 'names/far', mode: 0o777, target: TARGET },
  { type: 'directory', path: 'd/e/e/p/e/r/t/h/a/n/8', mode: 0o750 },
  ...Array.from({ length: 60 }, (_, i) => file(`many/file-number-${i}.txt`, textBlob(`${i}`))),
];

test('xorriso extracts what was written, with modes, links and times', async (t) => {
  const dir = await scratch(t);
  const path = join(dir, 'image.iso');
  await writeBlob(imageOf(layoutIsoVolume(spec({ entries: TREE }))), path);
  const out = join(dir, 'out');
  const { stderr } = await run('xorriso', ['-indev', path, '-osirrox', 'on', '-extract', '/', out]);
  assert.doesNotMatch(stderr, /WARNING|SORRY|FAILURE|damage/i);
  for (const entry of TREE) {
    const at = join(out, entry.path);
    const stat = await lstat(at);
    if (entry.type !== 'symlink') assert.equal(stat.mtimeMs, TIME * 1000, entry.path);
    if (entry.type === 'file') {
      assert.ok((await readFile(at)).equals(Buffer.from(await readAll(entry.content))), entry.path);
      assert.equal(stat.mode & 0o7777, entry.mode, entry.path);
    } else if (entry.type === 'symlink') assert.equal(await readlink(at), entry.target);
  }
  assert.equal((await lstat(join(out, 'd/e/e/p/e/r/t/h/a/n/8'))).mode & 0o7777, 0o750);
  const { stdout: info } = await run('xorriso', ['-indev', path, '-pvd_info']);
  assert.match(info, /Volume Id\s*: TALOS_V1_14_0$/m);
  assert.match(info, /Volume Set Id: Talos-v1\.14\.0$/m);
  assert.match(info, /Modif\. Time\s*: 2019060121345200$/m);
  const { stdout: files } = await run('xorriso', ['-indev', path, '-find', '/', '-type', 'f']);
  assert.equal(files.trim().split('\n').length, TREE.filter((entry) => entry.type === 'file').length);
});

const GRUB = Buffer.alloc(46981, 'grub');
const ESP = Buffer.alloc(3 * MIB + 4096);
ESP.write('kernel', 2 * MIB);

test('xorriso reports boot entries and finds shared files in the appended image', async (t) => {
  const dir = await scratch(t);
  const path = join(dir, 'image.iso');
  const shared = bytesBlob(ESP.subarray(2 * MIB, 2 * MIB + 3000));
  const volume = layoutIsoVolume(
    spec({
      entries: [file('boot/eltorito.img', bytesBlob(GRUB)), file('boot/vmlinuz', shared)],
      appended: { image: bytesBlob(ESP), shared: new Map([['boot/vmlinuz', 2 * MIB]]) },
      boot: [
        { platform: 'bios', path: 'boot/eltorito.img', image: GRUB },
        { platform: 'efi', source: 'appended' },
      ],
      trailer: 33 * 512,
    }),
  );
  assert.equal(volume.size, 5 * MIB);
  assert.equal(volume.appendedOffset, MIB);
  await writeBlob(imageOf(volume), path);
  const { stdout: report } = await run('xorriso', ['-indev', path, '-report_el_torito', 'plain']);
  assert.match(report, /boot img\s*:\s+1\s+BIOS\s+y\s+none\s+0x0000\s+0x00\s+4\s+/);
  assert.match(report, /boot img\s*:\s+2\s+UEFI\s+y\s+none\s+0x0000\s+0x00\s+6152\s+512/);
  assert.match(report, /img opts\s*:\s+1\s+boot-info-table\s+grub2-boot-info/);
  await run('xorriso', ['-osirrox', 'on', '-indev', path, '-extract', '/boot/vmlinuz', join(dir, 'vmlinuz')]);
  assert.ok((await readFile(join(dir, 'vmlinuz'))).equals(ESP.subarray(2 * MIB, 2 * MIB + 3000)));

  const lba = volume.fileLba('boot/eltorito.img');
  const contents = await readIso(imageOf(volume));
  assert.deepEqual(contents.boot, [
    { platform: 'bios', lba, sectors: 4 },
    { platform: 'efi', lba: 512, sectors: 6152 },
  ]);
  assert.deepEqual(
    await readRange(imageOf(volume), lba * 2048, GRUB.length),
    Uint8Array.from(withBootInfo(GRUB, lba, 16)),
  );
});

test('boot information tables', () => {
  const image = Buffer.from(withBootInfo(Buffer.alloc(4001, 1), 598, 16));
  assert.equal(image.readUInt32LE(8), 16);
  assert.equal(image.readUInt32LE(12), 598);
  assert.equal(image.readUInt32LE(16), 4001);
  assert.equal(image.readBigUInt64LE(2548), 598n * 4n + 5n);
  assert.ok(image.subarray(24, 64).every((byte) => byte === 0));
  // 984 words and a last byte, of which the eight bytes at 2548 are the place instead of ones.
  assert.equal(image.readUInt32LE(20), (982 * 0x01010101 + 598 * 4 + 5 + 1) % 2 ** 32);
  assert.throws(() => withBootInfo(new Uint8Array(512), 1, 16), { code: 'BOOT_IMAGE_INVALID' });
});

test('a boot catalog of an EFI image of 19 MiB has the bytes of the specification', () => {
  const catalog = Buffer.from(bootCatalog([{ platform: 'efi', lba: 0x2000, sectors: 0x9800 }]));
  assert.equal(catalog.toString('hex', 0, 4), '01ef0000');
  assert.equal(catalog.toString('hex', 32, 44), '880000000000009800200000');
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += catalog.readUInt16LE(at);
  assert.equal(sum & 0xffff, 0);
  const large = Buffer.from(bootCatalog([{ platform: 'efi', lba: 1, sectors: 0x10000 }]));
  assert.equal(large.readUInt16LE(38), 0);
});

test('a file of more than 4 GiB has several extents', async (t) => {
  const content = concatBlobs([zeroBlob(5 * 2 ** 30), textBlob('the end')]);
  const image = imageOf(layoutIsoVolume(spec({ entries: [file('a', content), file('b', textBlob('b'))] })));
  const [a] = (await readIso(image)).entries;
  assert.ok(a?.type === 'file' && a.content.size === content.size);
  assert.equal(Buffer.from(await readRange(a.content, content.size - 7, 7)).toString(), 'the end');
  const path = join(await scratch(t), 'image.iso');
  await writeBlob(image, path);
  const { stdout } = await run('xorriso', ['-indev', path, '-lsl', '/']);
  assert.match(stdout, new RegExp(`${content.size} Jun\\s+1\\s+2019 'a'`));
});

const path = fc
  .array(fc.stringMatching(/^[a-zA-Z0-9ä$~._ +-]{0,40}[a-zA-Z0-9]$/), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'));

test('what was written is read back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.record({ path, content: fc.uint8Array({ maxLength: 5000 }), mode: fc.nat(0o7777) }), {
        maxLength: 20,
        selector: (entry) => entry.path,
      }),
      async (files) => {
        const paths = files.map((entry) => `${entry.path}/`);
        fc.pre(!paths.some((a) => paths.some((b) => a !== b && b.startsWith(a))));
        const volume = layoutIsoVolume(
          spec({ entries: files.map((entry) => file(entry.path, bytesBlob(entry.content), entry.mode)) }),
        );
        const { entries } = await readIso(imageOf(volume));
        const read = new Map<string, readonly [number, string]>();
        for (const entry of entries)
          if (entry.type === 'file')
            read.set(entry.path, [entry.mode, Buffer.from(await readAll(entry.content)).toString('hex')]);
        const written = files.map(
          (entry) => [entry.path, [entry.mode, Buffer.from(entry.content).toString('hex')]] as const,
        );
        assert.deepEqual(Object.fromEntries([...read].sort()), Object.fromEntries([...written].sort()));
      },
    ),
    { numRuns: 60 },
  );
});

test('the same input gives the same bytes, whatever the order of entries', async () => {
  const one = await sha256(imageOf(layoutIsoVolume(spec({ entries: TREE }))));
  assert.equal(await sha256(imageOf(layoutIsoVolume(spec({ entries: TREE.toReversed() })))), one);
});

test('identifiers', () => {
  const names = [
    'Talos-v1.14.0.efi',
    'Talos-v1_14.0.efi',
    'vmlinuz',
    'a.b.c',
    '.hidden',
    'é',
    'x'.repeat(40),
  ];
  assert.deepEqual(isoIdentifiers(names.map((name) => ({ name, isDirectory: false }))), [
    'TALOS_V1_14_0.EFI;1',
    'TALOS_V1_14_0001.EFI;1',
    'VMLINUZ.;1',
    'A_B.C;1',
    '_HIDDEN.;1',
    '_.;1',
    `${'X'.repeat(30)}.;1`,
  ]);
  assert.deepEqual(
    isoIdentifiers([
      { name: 'boot', isDirectory: true },
      { name: 'BOOT', isDirectory: false },
      { name: 'v1.2', isDirectory: true },
    ]),
    ['BOOT', 'BOOT001.;1', 'V1_2'],
  );
  assert.deepEqual(['A_B.;1', 'A.B;1', 'AB', 'A.;1'].sort(compareIdentifiers), [
    'A.;1',
    'A.B;1',
    'AB',
    'A_B.;1',
  ]);
});

test('dates', () => {
  assert.deepEqual([...recordDate(TIME)], [119, 6, 1, 21, 34, 52, 0]);
  assert.equal(isoUuid(1700000000), '2023-11-14-22-13-20-00');
});

test('what an ISO cannot hold is refused by name', () => {
  const refused: readonly (readonly [string, readonly TreeEntry[], string])[] = [
    ['dots', [file('../a', zeroBlob(0))], 'ISO_NAME_INVALID'],
    ['empty part', [file('a//b', zeroBlob(0))], 'ISO_NAME_INVALID'],
    ['long name', [file('a'.repeat(256), zeroBlob(0))], 'ISO_NAME_INVALID'],
    [
      'long target',
      [{ type: 'symlink', path: 'a', mode: 0o777, target: 'a/'.repeat(600) }],
      'ISO_NAME_INVALID',
    ],
    ['empty target', [{ type: 'symlink', path: 'a', mode: 0o777, target: '' }], 'ISO_NAME_INVALID'],
    ['twice', [file('a', zeroBlob(0)), file('a', zeroBlob(1))], 'ISO_NAME_CONFLICT'],
    ['file as directory', [file('a', zeroBlob(0)), file('a/b', zeroBlob(0))], 'ISO_NAME_CONFLICT'],
    ['device', [{ type: 'fifo', path: 'a', mode: 0o600 }], 'ISO_ENTRY_UNSUPPORTED'],
  ];
  for (const [name, entries, code] of refused)
    assert.throws(() => layoutIsoVolume(spec({ entries })), { code }, name);
});

test('the reader refuses broken volumes and never runs on', async () => {
  const volume = layoutIsoVolume(
    spec({
      entries: TREE.slice(0, 12),
      boot: [{ platform: 'bios', path: 'boot/grub/eltorito.img', image: GRUB.subarray(1) }],
    }),
  );
  const head = Buffer.from(await readRange(imageOf(volume), 32768, 32 * 2048));
  await fc.assert(
    fc.asyncProperty(fc.nat(head.length - 1), fc.nat(255), async (at, value) => {
      const bytes = Buffer.from(head);
      bytes[at] = value;
      const image = concatBlobs([zeroBlob(32768), bytesBlob(bytes), zeroBlob(200_000)]);
      try {
        await readIso(image);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ISO_INVALID');
      }
    }),
    { numRuns: 400 },
  );
});
