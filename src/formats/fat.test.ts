import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { readAll, readRange, sha256, writeBlob } from '../blob/consume.ts';
import { type FatSpec, fat32Image, layoutFat } from './fat.ts';
import type { FatType } from './fat-geometry.ts';
import { fatNames } from './fat-names.ts';
import { readFat } from './fat-reader.ts';
import { compareTreePaths, type TreeEntry } from './tree.ts';

const run = promisify(execFile);
const MIB = 1 << 20;

function file(path: string, content: Blob): TreeEntry {
  return { type: 'file', path, mode: 0o644, content };
}

function spec(more: Partial<FatSpec> = {}): FatSpec {
  return {
    size: 40 * MIB,
    sectorSize: 512,
    label: 'EFI',
    volumeId: 0x1234abcd,
    entries: [],
    time: 1559424892,
    ...more,
  };
}

const TREE: readonly TreeEntry[] = [
  file('EFI/Linux/Talos-v1.14.0.efi', bytesBlob(Buffer.alloc(3 * MIB + 5, 'uki'))),
  file('EFI/BOOT/BOOTX64.EFI', textBlob('systemd-boot')),
  file('EFI/boot2/BOOTX64.efi', textBlob('one case each')),
  file('loader/loader.conf', textBlob('timeout 10\n')),
  file('loader/random-seed', zeroBlob(32)),
  file('loader/empty', zeroBlob(0)),
  file('loader/keys/auto/PK.auth', textBlob('pk')),
  file('überraschung — größer als 13 Zeichen.txt', textBlob('ü')),
  { type: 'directory', path: 'nothing', mode: 0o755 },
];

async function scratch(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'fat-'));
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

/** Size, sector size, sectors per cluster, content alignment, kind of table. */
const shapes: readonly (readonly [number, 512 | 4096, number | undefined, number | undefined, FatType])[] = [
  [34, 512, 1, undefined, 32],
  [100, 512, undefined, undefined, 32],
  [117, 512, 2, 2048, 32],
  [1101, 512, undefined, undefined, 32],
  [300, 4096, undefined, undefined, 32],
  [2101, 4096, undefined, undefined, 32],
  [5, 512, 8, 2048, 12],
  [20, 512, 4, undefined, 16],
];

test('fsck.vfat and mtools agree with every shape', async (t) => {
  const dir = await scratch(t);
  for (const [size, sectorSize, sectorsPerCluster, contentAlignment, type] of shapes) {
    const name = `FAT${type} of ${size} MiB, ${sectorSize}-byte sectors`;
    await t.test(name, async () => {
      const path = join(dir, `${size}-${sectorSize}-${type}`);
      const { image, contentOffsets } = layoutFat(
        type,
        spec({
          size: size * MIB,
          sectorSize,
          entries: TREE,
          readOnly: new Set(['loader/random-seed']),
          ...(sectorsPerCluster === undefined ? {} : { sectorsPerCluster }),
          ...(contentAlignment === undefined ? {} : { contentAlignment }),
        }),
      );
      await writeBlob(image, path);
      const { stdout: checked } = await run('fsck.vfat', ['-n', '-v', path]);
      assert.match(checked, /\d+ files, \d+\/\d+ clusters\n$/);
      assert.doesNotMatch(checked, /differ|wrong|bad |dirty|Reclaim/i);
      const { stdout: listed } = await run('mdir', ['-/', '-a', '-b', '-i', path, '::']);
      assert.deepEqual(
        listed
          .trim()
          .split('\n')
          .filter((line) => /[^\p{ASCII}]/u.test(line) === false)
          .map((line) => line.replace(/^::\//, '').replace(/\/$/, ''))
          .sort(),
        [
          ...TREE.map((entry) => entry.path),
          'EFI',
          'EFI/BOOT',
          'EFI/Linux',
          'EFI/boot2',
          'loader',
          'loader/keys',
          'loader/keys/auto',
        ]
          .filter((path) => /^\p{ASCII}*$/u.test(path))
          .sort(),
      );
      const { stdout: attributes } = await run('mattrib', ['-i', path, '::/loader/random-seed']);
      assert.match(attributes, /^\s+A\s+R/);
      await run('mcopy', ['-n', '-i', path, '::/EFI/Linux/Talos-v1.14.0.efi', `${path}.copy`]);
      assert.ok((await readFile(`${path}.copy`)).equals(Buffer.alloc(3 * MIB + 5, 'uki')));
      for (const [entry, offset] of contentOffsets) {
        assert.equal(offset % (contentAlignment ?? sectorSize), 0, entry);
        const source = TREE.find(({ path }) => path === entry);
        assert.ok(source?.type === 'file');
        const length = Math.min(100, source.content.size);
        assert.deepEqual(await readRange(image, offset, length), await readRange(source.content, 0, length));
      }
      assert.equal(contentOffsets.has('loader/empty'), false);
      const volume = await readFat(image);
      assert.equal(volume.geometry.type, type);
      assert.deepEqual([volume.label, volume.volumeId], ['EFI', 0x1234abcd]);
      await rm(path);
    });
  }
});

test('label, serial number and times are shown by mdir', async (t) => {
  const path = join(await scratch(t), 'image');
  await writeBlob(fat32Image(spec({ entries: TREE })), path);
  const { stdout } = await run('mdir', ['-i', path, '::/EFI/BOOT'], {
    env: { TZ: 'UTC', PATH: process.env.PATH },
  });
  assert.match(stdout, /Volume in drive : is EFI/);
  assert.match(stdout, /Volume Serial Number is 1234-ABCD/);
  assert.match(stdout, /BOOTX64\s+EFI\s+12 2019-06-01\s+21:34/);
});

const path = fc
  .array(fc.stringMatching(/^[a-zA-Z0-9ä$~._ +-]{0,20}[a-zA-Z0-9]$/), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));

test('what was written is read back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(
        fc.record({ path, content: fc.uint8Array({ maxLength: 3000 }), readOnly: fc.boolean() }),
        {
          maxLength: 12,
          selector: (entry) => entry.path.toUpperCase(),
        },
      ),
      fc.constantFrom<readonly [FatType, number, number]>([32, 34, 1], [16, 20, 4], [12, 5, 8]),
      async (files, [type, size, sectorsPerCluster]) => {
        // A path may not be another one's directory.
        const folded = files.map((entry) => `${entry.path.toUpperCase()}/`);
        fc.pre(!folded.some((a) => folded.some((b) => a !== b && b.startsWith(a))));
        fc.pre(sameCaseParents(files.map((entry) => entry.path)));
        const { image } = layoutFat(
          type,
          spec({
            size: size * MIB,
            sectorsPerCluster,
            entries: files.map((entry) => file(entry.path, bytesBlob(entry.content))),
            readOnly: new Set(files.filter((entry) => entry.readOnly).map((entry) => entry.path)),
          }),
        );
        const volume = await readFat(image);
        const read = new Map<string, readonly [number, string]>();
        for (const entry of volume.entries)
          if (entry.type === 'file')
            read.set(entry.path, [entry.mode, Buffer.from(await readAll(entry.content)).toString('hex')]);
        assert.deepEqual(
          new Map(
            files
              .toSorted((a, b) => compareTreePaths(a.path, b.path))
              .map((entry) => [
                entry.path,
                [entry.readOnly ? 0o444 : 0o644, Buffer.from(entry.content).toString('hex')],
              ]),
          ),
          read,
        );
      },
    ),
    { numRuns: 60 },
  );
});

/** No two directories whose names differ in case only. */
function sameCaseParents(paths: readonly string[]): boolean {
  const spelling = new Map<string, string>();
  for (const whole of paths)
    for (let slash = whole.indexOf('/'); slash > 0; slash = whole.indexOf('/', slash + 1)) {
      const parent = whole.slice(0, slash);
      if ((spelling.get(parent.toUpperCase()) ?? parent) !== parent) return false;
      spelling.set(parent.toUpperCase(), parent);
    }
  return true;
}

test('the same input gives the same bytes, whatever the order of entries', async () => {
  const one = await sha256(fat32Image(spec({ entries: TREE })));
  assert.equal(await sha256(fat32Image(spec({ entries: TREE.toReversed() }))), one);
});

const stored: readonly (readonly [string, string, number, boolean])[] = [
  ['BOOTX64.EFI', 'BOOTX64 EFI', 0x00, false],
  ['BOOTX64.efi', 'BOOTX64 EFI', 0x10, false],
  ['loader', 'LOADER     ', 0x08, false],
  ['a.b', 'A       B  ', 0x18, false],
  ['Boot', 'BOOT~1     ', 0, true],
  ['loader.conf', 'LOADER~1CON', 0, true],
  ['.hidden', 'HIDDEN~1   ', 0, true],
  ['a.b.c', 'AB~1    C  ', 0, true],
  ['a b', 'AB~1       ', 0, true],
  ['x+y', 'X_Y~1      ', 0, true],
  ['ä', '_~1        ', 0, true],
];

test('stored forms of names', () => {
  for (const [name, short, caseFlags, isLong] of stored)
    assert.deepEqual(fatNames([name]), [{ short, caseFlags, long: isLong ? name : undefined }], name);
  const many = Array.from({ length: 12 }, (_, i) => `longer-name-${i}`);
  assert.equal(fatNames(many)[8]?.short, 'LONGER~9   ');
  assert.equal(fatNames(many)[9]?.short, 'LONGE~10   ');
  assert.deepEqual(
    fatNames(['long name.txt', 'LONGNA~1.TXT']).map((name) => name.short),
    ['LONGNA~2TXT', 'LONGNA~1TXT'],
  );
});

test('what FAT cannot hold is refused by name', () => {
  const refused: readonly (readonly [string, Partial<FatSpec>, string])[] = [
    ['colon', { entries: [file('a:b', zeroBlob(0))] }, 'FAT_NAME_INVALID'],
    ['final dot', { entries: [file('a.', zeroBlob(0))] }, 'FAT_NAME_INVALID'],
    ['dots', { entries: [file('../a', zeroBlob(0))] }, 'FAT_NAME_INVALID'],
    ['empty part', { entries: [file('a//b', zeroBlob(0))] }, 'FAT_NAME_INVALID'],
    ['long name', { entries: [file('a'.repeat(256), zeroBlob(0))] }, 'FAT_NAME_INVALID'],
    ['case', { entries: [file('a', zeroBlob(0)), file('A', zeroBlob(0))] }, 'FAT_NAME_CONFLICT'],
    ['twice', { entries: [file('a', zeroBlob(0)), file('a', zeroBlob(0))] }, 'FAT_NAME_CONFLICT'],
    [
      'file as directory',
      { entries: [file('a', zeroBlob(0)), file('a/b', zeroBlob(0))] },
      'FAT_NAME_CONFLICT',
    ],
    [
      'link',
      { entries: [{ type: 'symlink', path: 'a', mode: 0o777, target: 'b' }] },
      'FAT_ENTRY_UNSUPPORTED',
    ],
    ['4 GiB', { entries: [file('a', zeroBlob(2 ** 32))] }, 'FAT_FILE_TOO_LARGE'],
    ['no room', { entries: [file('a', zeroBlob(40 * MIB))] }, 'FAT_NO_ROOM'],
    ['tiny', { size: 10240 }, 'FAT_TOO_SMALL'],
    ['huge', { size: 2 ** 41 }, 'FAT_TOO_LARGE'],
  ];
  for (const [name, more, code] of refused) assert.throws(() => fat32Image(spec(more)), { code }, name);
  assert.throws(() => layoutFat(12, spec({ sectorsPerCluster: 1 })), { code: 'FAT_TOO_LARGE' });
  assert.throws(() => layoutFat(16, spec({ sectorsPerCluster: 64 })), { code: 'FAT_TOO_SMALL' });
});

test('the reader refuses broken file systems and never runs on', async (t) => {
  const entries = [file('a', bytesBlob(new Uint8Array(2000).fill(7))), file('d/b', textBlob('x'))];
  const whole = Buffer.from(
    await readAll(layoutFat(12, spec({ size: 2 * MIB, entries, sectorsPerCluster: 2 })).image, 4 * MIB),
  );
  await t.test('a chain that leads to itself', async () => {
    const bytes = Buffer.from(whole);
    // Every entry of the table says 0x333, so 0x333 follows itself.
    const table = bytes.readUInt16LE(14) * 512;
    bytes.fill(0x33, table, table + bytes.readUInt16LE(22) * 512);
    await assert.rejects(readFat(bytesBlob(bytes)), { code: 'FAT_INVALID', message: /leads to itself/ });
  });
  await t.test('any byte of the boot sector', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(511), fc.nat(255), async (at, value) => {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        try {
          for (const entry of (await readFat(bytesBlob(bytes))).entries)
            if (entry.type === 'file') await readAll(entry.content, 4 * MIB);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'FAT_INVALID');
        }
      }),
      { numRuns: 200 },
    );
  });
});
