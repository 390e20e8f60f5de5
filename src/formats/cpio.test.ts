import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { readAll } from '../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { cpioArchive } from './cpio.ts';
import { type CpioMember, readCpio } from './cpio-reader.ts';
import type { TreeEntry } from './tree.ts';

const mtime = SOURCE_DATE_EPOCH;

const sample: readonly TreeEntry[] = [
  { type: 'file', path: '0.sqsh', mode: 0o644, content: textBlob('squash') },
  { type: 'file', path: 'empty', mode: 0o4755, content: textBlob('') },
  { type: 'file', path: 'extensions.yaml', mode: 0o600, content: textBlob('layers: []\n') },
  { type: 'directory', path: 'lib', mode: 0o755 },
  { type: 'file', path: 'lib/größe', mode: 0o444, content: bytesBlob(new Uint8Array(70_001).fill(7)) },
  { type: 'symlink', path: 'lib64', mode: 0o777, target: 'lib' },
];

async function* chunked(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

type Read = Omit<CpioMember, 'content'> & { readonly text: string };

async function readMembers(bytes: Uint8Array, size = 4096, members?: number): Promise<Read[]> {
  const result: Read[] = [];
  for await (const { content, ...rest } of readCpio(
    chunked(bytes, size),
    members === undefined ? {} : { members },
  )) {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    result.push({ ...rest, text: Buffer.concat(parts).toString('latin1') });
  }
  return result;
}

test('an archive is byte-equal to that of GNU cpio', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'cpio-'));
  t.after(() => rm(dir, { recursive: true }));
  for (const entry of sample) {
    const path = join(dir, entry.path);
    await mkdir(dirname(path), { recursive: true });
    if (entry.type === 'directory') await mkdir(path, { recursive: true });
    else if (entry.type === 'symlink') await symlink(entry.target, path);
    else if (entry.type === 'file') await writeFile(path, await readAll(entry.content));
    if (entry.type !== 'symlink') await chmod(path, entry.mode);
  }
  for (const entry of sample.toReversed()) {
    if (entry.type !== 'symlink') await utimes(join(dir, entry.path), mtime, mtime);
  }
  execFileSync('touch', ['-h', '-d', `@${mtime}`, join(dir, 'lib64')]);
  const theirs = execFileSync(
    'cpio',
    ['-H', 'newc', '--create', '--reproducible', '--quiet', '-R', '+0:+0'],
    {
      cwd: dir,
      input: `${sample.map((entry) => entry.path).join('\n')}\n`,
    },
  );
  assert.deepEqual(Buffer.from(await readAll(cpioArchive(sample, { mtime }))), theirs);
});

test('headers are as the specification of the initramfs says', async () => {
  const bytes = await readAll(
    cpioArchive([{ type: 'directory', path: '', mode: 0o755 }, ...sample.slice(2, 4)], { mtime }),
  );
  const text = Buffer.from(bytes).toString('latin1');
  assert.equal(
    text.slice(0, 110),
    `070701${'00000000'}${'00008180'}${'00000000'}${'00000000'}${'00000001'}${'5CF2EF7C'}${'0000000B'}${'0'.repeat(32)}${'00000010'}${'00000000'}`,
  );
  assert.equal(text.slice(110, 128), 'extensions.yaml\0\0\0');
  assert.equal(
    text.slice(140, 250),
    `070701${'00000001'}${'000041ED'}${'00000000'}${'00000000'}${'00000002'}${'5CF2EF7C'}${'00000000'}${'0'.repeat(32)}${'00000004'}${'00000000'}`,
  );
  assert.equal(bytes.length % 512, 0);
  const short = cpioArchive([], { mtime, blockSize: 4 });
  assert.equal(short.size, 124);
});

test('contents are referred to, and start 4-byte aligned', () => {
  const content = bytesBlob(new Uint8Array(5), { key: 'k' });
  const archive = cpioArchive([{ type: 'file', path: 'abc', mode: 0o644, content }], { mtime });
  const extent = [...archive.extents()].find((part) => part.kind === 'data' && part.source === content);
  assert.ok(extent !== undefined && extent.offset % 4 === 0);
});

const trees: fc.Arbitrary<TreeEntry[]> = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant('file' as const),
      path: fc.stringMatching(/^[a-zü]{1,9}(\/[a-z]{1,9}){0,3}$/),
      mode: fc.nat(0o7777),
      content: fc.uint8Array({ maxLength: 50 }).map((bytes) => bytesBlob(bytes)),
    }),
    fc.record({
      type: fc.constant('symlink' as const),
      path: fc.stringMatching(/^[a-z]{1,9}$/),
      mode: fc.constant(0o777),
      target: fc.string({ minLength: 1, maxLength: 30 }),
    }),
  ),
  { maxLength: 8 },
);

test('archives one after the other read as what was written, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(trees, { maxLength: 3 }),
      fc.nat(40),
      fc.nat(3),
      async (archives, size, gap) => {
        const blobs = archives.flatMap((entries) => [
          cpioArchive(entries, { mtime, blockSize: gap % 2 === 0 ? 512 : 4 }),
          zeroBlob(gap * 4),
        ]);
        const read = await readMembers(await readAll(concatBlobs(blobs)), size + 1);
        const wanted: unknown[] = [];
        for (const [archive, entries] of archives.entries()) {
          for (const [ino, entry] of entries.entries()) {
            const text =
              entry.type === 'file'
                ? Buffer.from(await readAll(entry.content)).toString('latin1')
                : entry.type === 'symlink'
                  ? Buffer.from(entry.target).toString('latin1')
                  : '';
            const mode = entry.mode | (entry.type === 'file' ? 0o100000 : 0o120000);
            wanted.push({ archive, ino, name: entry.path, mode, text });
          }
        }
        const got = read.map(({ archive, ino, name, mode, text }) => ({ archive, ino, name, mode, text }));
        assert.deepEqual(got, wanted);
      },
    ),
    { numRuns: 60 },
  );
});

test('content that was not read is passed over', async () => {
  const bytes = await readAll(cpioArchive(sample, { mtime }));
  const names: string[] = [];
  for await (const member of readCpio(chunked(bytes, 1000))) {
    names.push(member.name);
    if (member.name === '0.sqsh') for await (const _ of member.content) break;
  }
  assert.deepEqual(
    names,
    sample.map((entry) => entry.path),
  );
});

test('an archive of bsdcpio kind, with lower-case digits and device numbers, is read', async () => {
  const hex = (n: number): string => n.toString(16).padStart(8, '0');
  const member = (name: string, mode: number): string => {
    const head = `070701${[11, mode, 1, 2, 1, 171, 0, 3, 4, 5, 6, name.length + 1, 0].map(hex).join('')}${name}\0`;
    return head + '\0'.repeat(-head.length & 3);
  };
  const [read] = await readMembers(
    Buffer.from(member('dev/tty', 0o20620) + member('TRAILER!!!', 0), 'latin1'),
  );
  assert.deepEqual(
    [read?.ino, read?.mode, read?.uid, read?.gid, read?.mtime, read?.rdevMajor, read?.rdevMinor],
    [11, 0o20620, 1, 2, 171, 5, 6],
  );
});

test('hostile archives are refused', async () => {
  const good = Buffer.from(await readAll(cpioArchive(sample, { mtime })));
  const edit = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ['no archive', Buffer.from('hello world, this is no archive'.padEnd(200)), /no newc header/],
    ['old binary magic', edit((b) => b.write('070707', 0)), /no newc header/],
    ['sign in a number', edit((b) => b.write('-0000001', 6)), /no newc header/],
    ['no name', edit((b) => b.write('00000000', 94)), /a name of 0 bytes/],
    ['huge name', edit((b) => b.write('FFFFFFFF', 94)), /a name of 4294967295 bytes/],
    ['name without end', edit((b) => b.write('0.sqshX', 110)), /does not end with NUL/],
    ['name with NUL', edit((b) => b.write('0\0sqsh\0', 110)), /does not end with NUL/],
    ['huge content', edit((b) => b.write('FFFFFFFF', 54)), /ends within "0.sqsh"/],
    ['padding', edit((b) => b.write('x', 117)), /padding is not zero/],
    ['cut in a header', good.subarray(0, 150), /ends before its trailer/],
    ['cut in content', good.subarray(0, 121), /ends within "0.sqsh"/],
    ['no trailer', good.subarray(0, 124 + 2), /ends/],
    ['unaligned second archive', Buffer.concat([good, Buffer.alloc(2), good]), /4-byte aligned/],
  ];
  for (const [what, bytes, message] of cases) {
    await assert.rejects(readMembers(bytes), { code: 'CPIO_INVALID', message }, what);
  }
  await assert.rejects(readMembers(good, 512, 3), { code: 'CPIO_INVALID', message: /more than 3 members/ });
});

test('what does not fit is refused when written', () => {
  const cases: readonly TreeEntry[] = [
    { type: 'fifo', path: 'f', mode: 0o644 },
    { type: 'directory', path: 'x'.repeat(4096), mode: 0o755 },
    { type: 'directory', path: 'a\0b', mode: 0o755 },
    { type: 'file', path: 'big', mode: 0o644, content: zeroBlob(2 ** 32) },
  ];
  for (const entry of cases) {
    assert.throws(() => cpioArchive([entry], { mtime }), { code: 'CPIO_ENTRY_UNSUPPORTED' }, entry.path);
  }
});
