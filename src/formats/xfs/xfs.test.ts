import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob, textBlob, zeroBlob } from '../../blob/bytes.ts';
import { placedBlob } from '../../blob/compose.ts';
import { readAll, readRange, sha256, writeBlob } from '../../blob/consume.ts';
import { FactoryError } from '../../errors.ts';
import { compareTreePaths, type FileEntry, type TreeEntry } from '../tree.ts';
import { nameHash } from './directory.ts';
import { cleanLog } from './log.ts';
import { readXfs } from './reader.ts';
import { type XfsSpec, xfsImage } from './xfs.ts';

const run = promisify(execFile);
const MIB = 1 << 20;
const UUID = '24c73076-4092-85dd-9d98-686a2dbf6d81';
const TIME = 1559424892;
const LOG_512 = '36281eb7694b57ca1a0168b834d7e56fb85caabe67536bd8840c3d161d35d1c4';
const LOG_4096 = 'a90438adeee5b659d5de87caf3e176f7dea778a087fece029476c93da461aecd';
/** From `xfs_db -c "hash NAME"`. */
const HASHES: readonly (readonly [string, number])[] = [
  ['a', 0x61],
  ['ab', 0x30e2],
  ['abc', 0x187163],
  ['abcd', 0xc38b1e4],
  ['..', 0x172e],
  ['vmlinuz', 0xcd3a6194],
  ['initramfs.xz', 0x9a8300a0],
];

function spec(entries: readonly TreeEntry[], sectorSize: 512 | 4096 = 512, mebibytes = 1000): XfsSpec {
  return { size: mebibytes * MIB, sectorSize, label: 'BOOT', uuid: UUID, time: TIME, entries };
}

function file(path: string, content: Blob, mode = 0o644): FileEntry {
  return { type: 'file', path, mode, content };
}

/** Bytes that tell where they come from, of any size, without memory for them. */
function pattern(size: number): Blob {
  const marks = [240, 250, 255].map((at) => ({ offset: at * MIB, blob: textBlob(`at ${at}`) }));
  const ends = [
    { offset: 0, blob: textBlob('begin') },
    { offset: size - 3, blob: textBlob('end') },
  ];
  return size < 8
    ? zeroBlob(size)
    : placedBlob(size, [...ends, ...marks.filter((mark) => mark.offset < size)]);
}

async function scratch(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'xfs-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function fields(image: string, ...commands: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const args = [...commands, 'print'].flatMap((command) => ['-c', command]);
  const { stdout } = await run('xfs_db', ['-r', ...args, image]);
  return new Map(
    stdout.split('\n').map((line) => {
      const at = line.indexOf(' = ');
      return [line.slice(0, at), line.slice(at + 3)];
    }),
  );
}

/** Small, in blocks, in an inode, over the ends of groups, many in a directory. */
const TREE: readonly TreeEntry[] = [
  file('A/vmlinuz', pattern(20 * MIB + 5)),
  file('A/initramfs.xz', pattern(260 * MIB + 1)),
  { type: 'directory', path: 'grub', mode: 0o700 },
  file('grub/grub.cfg', textBlob('set default=0\n'), 0o600),
  file('grub/empty', bytesBlob(new Uint8Array(0))),
  { type: 'symlink', path: 'link', mode: 0o777, target: 'A/vmlinuz' },
  ...Array.from({ length: 90 }, (_, i) => file(`dtb/board number ${i}.dtb`, pattern(i * 100), 0o640)),
  file(`deep/er/${'n'.repeat(255)}`, textBlob('x')),
];

for (const sectorSize of [512, 4096] as const) {
  test(`xfs_repair, xfs_db and GRUB read it: sectors of ${sectorSize}`, async (t) => {
    const dir = await scratch(t);
    const image = join(dir, 'image');
    await writeBlob(xfsImage(spec(TREE, sectorSize)), image);
    await run('xfs_repair', ['-n', image]);
    const { stdout: log } = await run('xfs_logprint', ['-t', image]);
    assert.match(log, /state: <CLEAN>/);
    const root = await fields(image, 'sb 0', 'addr rootino');
    assert.equal(root.get('core.mode'), '040755');
    assert.equal(root.get('core.mtime.sec'), 'Sat Jun  1 21:34:52 2019');

    for (const entry of TREE) {
      // GRUB's command line takes no blanks.
      if (entry.type !== 'file' || entry.path.includes(' ')) continue;
      const expected = join(dir, 'expected');
      await rm(expected, { force: true });
      await writeBlob(entry.content, expected);
      await run('grub-fstest', [image, 'cmp', `(loop0)/${entry.path}`, expected]);
    }
    const { stdout } = await run('grub-fstest', [image, 'ls', '(loop0)/dtb/']);
    assert.equal(stdout.match(/board number \d+\.dtb/g)?.length, 90);
  });
}

test('geometry and features are those of mkfs.xfs', async (t) => {
  const dir = await scratch(t);
  for (const [sectorSize, mebibytes] of [
    [512, 1000],
    [512, 2000],
    [4096, 2000],
    [512, 301],
  ] as const) {
    const [theirs, ours] = [join(dir, 'theirs'), join(dir, 'ours')];
    for (const path of [theirs, ours]) await rm(path, { force: true });
    await writeFile(theirs, '');
    await using handle = await open(theirs, 'r+');
    await handle.truncate(mebibytes * MIB);
    await run('mkfs.xfs', [
      ...['-q', '-f', '-L', 'BOOT', '-s', `size=${sectorSize}`, '-n', 'ftype=1', '-i', 'sparse=1'],
      ...['-m', `crc=1,bigtime=1,finobt=1,inobtcount=1,reflink=1,rmapbt=0,uuid=${UUID}`, theirs],
    ]);
    await writeBlob(xfsImage(spec([], sectorSize, mebibytes)), ours);
    // What does not depend on where the kernel of the machine would put things.
    const ignored = ['crc', 'flfirst', 'fllast', 'fdblocks', 'freeblks', 'longest', 'bno'];
    const compared = async (image: string, ...commands: readonly string[]) =>
      [...(await fields(image, ...commands))].filter(([name]) => !ignored.includes(name));
    for (const command of ['sb 0', 'agf 0', 'agf 2', 'agi 0', 'agi 3', 'agfl 1'])
      assert.deepEqual(
        command === 'agfl 1' ? (await compared(ours, command)).slice(0, 4) : await compared(ours, command),
        command === 'agfl 1'
          ? (await compared(theirs, command)).slice(0, 4)
          : await compared(theirs, command),
        `${command} ${sectorSize} ${mebibytes}`,
      );
  }
});

test('the log is the one of mkfs.xfs', () => {
  // Of mkfs.xfs 6.1 for this UUID: SHA-256 of the log's first 4096 bytes.
  for (const [sectorSize, expected] of [
    [512, LOG_512],
    [4096, LOG_4096],
  ] as const) {
    const bytes = Buffer.alloc(4096);
    bytes.set(cleanLog(Buffer.from(UUID.replaceAll('-', ''), 'hex'), sectorSize));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), expected);
  }
});

test('a lost superblock is found again', async (t) => {
  const image = join(await scratch(t), 'image');
  await writeBlob(xfsImage(spec([file('a', textBlob('a'))], 512, 400)), image);
  await using handle = await open(image, 'r+');
  await handle.write(Buffer.alloc(512), 0, 512, 0);
  await run('xfs_repair', [image]);
  await run('xfs_repair', ['-n', image]);
  await run('grub-fstest', [image, 'ls', '(loop0)/a']);
});

test('as much as fits, and not a block more', async (t) => {
  const image = (blocks: number) => xfsImage(spec([file('a', pattern(blocks * 4096))], 512, 400));
  const fits = (blocks: number): boolean => {
    try {
      return image(blocks).size > 0;
    } catch (error) {
      assert.ok(error instanceof FactoryError && error.code === 'XFS_NO_ROOM', String(error));
      return false;
    }
  };
  let most = 0;
  for (let step = 2 ** 16; step >= 1; step /= 2) if (fits(most + step)) most += step;
  // All but the log and what the kernel wants to keep.
  assert.ok(most * 4096 > (400 - 64 - 8) * MIB, String(most));
  const path = join(await scratch(t), 'image');
  await writeBlob(image(most), path);
  await run('xfs_repair', ['-n', path]);
});

test('names are hashed as the kernel does', () => {
  for (const [name, expected] of HASHES) assert.equal(nameHash(Buffer.from(name)), expected, name);
});

test('what is written is read', async () => {
  const name = fc.stringMatching(/^[A-Za-z0-9._ ü-]{1,20}$/).filter((text) => text !== '.' && text !== '..');
  const paths = fc.uniqueArray(
    fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/')),
    { maxLength: 40 },
  );
  const property = fc.asyncProperty(
    paths.filter((all) => !all.some((a) => all.some((b) => b.startsWith(`${a}/`)))),
    fc.constantFrom(512 as const, 4096 as const),
    async (all, sectorSize) => {
      const entries = all.map((path, i) => file(path, textBlob('x'.repeat(i * 777)), (i * 37) % 0o10000));
      const read = await readXfs(xfsImage(spec(entries, sectorSize, 300)));
      assert.deepEqual([read.label, read.uuid, read.sectorSize], ['BOOT', UUID, sectorSize]);
      const describe = async (entry: FileEntry) => [entry.path, entry.mode, await sha256(entry.content)];
      const files = read.entries.flatMap((entry) => (entry.type === 'file' ? [entry] : []));
      const sorted = entries.toSorted((a, b) => compareTreePaths(a.path, b.path));
      assert.deepEqual(await Promise.all(files.map(describe)), await Promise.all(sorted.map(describe)));
    },
  );
  await fc.assert(property, { numRuns: 25 });
});

test('files that cross groups, links and directories are read back', async () => {
  const read = await readXfs(xfsImage(spec(TREE)));
  const find = (path: string) => read.entries.find((entry) => entry.path === path);
  const large = find('A/initramfs.xz');
  assert.ok(large?.type === 'file' && large.content.size === 260 * MIB + 1);
  for (const at of [240, 250, 255])
    assert.equal(Buffer.from(await readRange(large.content, at * MIB, 6)).toString(), `at ${at}`);
  assert.equal(Buffer.from(await readRange(large.content, 260 * MIB - 2, 3)).toString(), 'end');
  assert.deepEqual(find('link'), { type: 'symlink', path: 'link', mode: 0o777, target: 'A/vmlinuz' });
  assert.deepEqual(find('grub'), { type: 'directory', path: 'grub', mode: 0o700 });
  assert.equal(read.entries.filter((entry) => entry.path.startsWith('dtb/')).length, 90);
});

test('damaged bytes are an error, never something else', async () => {
  const image = xfsImage(spec([file('a/b', textBlob('x')), file('c', textBlob('y'))], 512, 300));
  // The superblock and the inodes that are used.
  const places = fc.oneof(
    fc.integer({ min: 0, max: 263 }),
    fc.integer({ min: 65536, max: 65536 + 6 * 512 - 1 }),
  );
  const property = fc.asyncProperty(places, fc.integer({ min: 1, max: 255 }), async (at, flip) => {
    const byte = Buffer.from(await readAll(sliceByte(image, at)));
    byte[0] = (byte[0] ?? 0) ^ flip;
    await readXfs(replaced(image, at, byte)).then(
      () => assert.ok(at >= 65536 + 512 && at < 65536 + 1536, `byte ${at} is of an inode that is read`),
      (error: unknown) =>
        assert.ok(error instanceof FactoryError && error.code === 'XFS_INVALID', String(error)),
    );
  });
  await fc.assert(property, { numRuns: 100 });
});

function sliceByte(blob: Blob, at: number): Blob {
  return { size: 1, read: (_o, _l, signal) => blob.read(at, 1, signal), extents: () => [] };
}

function replaced(blob: Blob, at: number, byte: Uint8Array): Blob {
  return {
    size: blob.size,
    extents: () => blob.extents(),
    async *read(offset, length, signal) {
      const bytes = Buffer.from(await readRange(blob, offset, length, signal));
      if (at >= offset && at < offset + length) bytes.set(byte, at - offset);
      yield bytes;
    },
  };
}

const REFUSED: readonly (readonly [string, XfsSpec, string])[] = [
  ['too small', spec([], 512, 299), 'XFS_SIZE_INVALID'],
  ['a file twice', spec([file('a', textBlob('')), file('a', textBlob(''))]), 'XFS_ENTRY_INVALID'],
  ['a file as directory', spec([file('a', textBlob('')), file('a/b', textBlob(''))]), 'XFS_ENTRY_INVALID'],
  ['a device', spec([{ type: 'fifo', path: 'a', mode: 0o600 }]), 'XFS_ENTRY_INVALID'],
  ['a name that is too long', spec([file('n'.repeat(256), textBlob(''))]), 'XFS_ENTRY_INVALID'],
  ['a path that climbs', spec([file('a/../b', textBlob(''))]), 'XFS_ENTRY_INVALID'],
  ['no name', spec([file('a//b', textBlob(''))]), 'XFS_ENTRY_INVALID'],
  [
    'a link that is too long',
    spec([{ type: 'symlink', path: 'a', mode: 0o777, target: 'x'.repeat(337) }]),
    'XFS_ENTRY_INVALID',
  ],
  [
    'a directory that is too long',
    spec(Array.from({ length: 300 }, (_, i) => file(`d/${i}`, textBlob('')))),
    'XFS_DIRECTORY_TOO_LARGE',
  ],
];

for (const [name, refused, code] of REFUSED)
  test(`refused: ${name}`, () => assert.throws(() => xfsImage(refused), { kind: 'invalid', code }));
