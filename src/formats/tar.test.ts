import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { link, mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesBlob, textBlob, zeroBlob } from '../blob/bytes.ts';
import { readAll, readRange } from '../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { tarArchive } from './tar.ts';
import { formatTarHeader } from './tar-header.ts';
import { formatPax, parsePax } from './tar-pax.ts';
import { readTar, type TarMember, type TarReadLimits } from './tar-reader.ts';
import type { TreeEntry } from './tree.ts';

const mtime = SOURCE_DATE_EPOCH;
const label = Buffer.from('system_u:object_r:usr_t:s0\0');

async function* chunked(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

type Read = Omit<TarMember, 'content'> & { readonly text: string };

async function readMembers(bytes: Uint8Array, size = 4096, limits: TarReadLimits = {}): Promise<Read[]> {
  const result: Read[] = [];
  for await (const { content, ...rest } of readTar(chunked(bytes, size), limits)) {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    result.push({ ...rest, text: Buffer.concat(parts).toString('latin1') });
  }
  return result;
}

const xattrs = new Map([
  ['user.note', Buffer.from('a=b\nc')],
  ['security.selinux', label],
]);
const long = `${'d'.repeat(90)}/${'e'.repeat(90)}`;
const sample: readonly TreeEntry[] = [
  { type: 'directory', path: '', mode: 0o755 },
  { type: 'directory', path: 'usr', mode: 0o1777, xattrs },
  { type: 'file', path: 'usr/tool', mode: 0o4755, content: textBlob('#!/bin/true\n') },
  { type: 'symlink', path: 'usr/link', mode: 0o777, target: `../${long}` },
  { type: 'file', path: long, mode: 0o600, content: bytesBlob(new Uint8Array(512)) },
  { type: 'file', path: `${'n'.repeat(101)}`, mode: 0o600, content: textBlob('') },
  { type: 'file', path: 'größe', mode: 0o644, content: textBlob('ü') },
];

test('GNU tar lists an archive as it was meant', async () => {
  const bytes = await readAll(tarArchive(sample, { mtime }));
  const listed = execFileSync(
    'tar',
    ['-tvf', '-', '--xattrs', '--xattrs-include=*', '--full-time', '--utc'],
    {
      input: bytes,
      env: { PATH: process.env.PATH, LC_ALL: 'C', TAR_OPTIONS: '--quoting-style=literal' },
    },
  );
  const lines = listed.toString('utf8').trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.replace(/\s+/g, ' ')),
    [
      'drwxr-xr-x 0/0 0 2019-06-01 21:34:52 ./',
      'drwxrwxrwt* 0/0 0 2019-06-01 21:34:52 usr/',
      '-rwsr-xr-x 0/0 12 2019-06-01 21:34:52 usr/tool',
      `lrwxrwxrwx 0/0 0 2019-06-01 21:34:52 usr/link -> ../${long}`,
      `-rw------- 0/0 512 2019-06-01 21:34:52 ${long}`,
      `-rw------- 0/0 0 2019-06-01 21:34:52 ${'n'.repeat(101)}`,
      '-rw-r--r-- 0/0 2 2019-06-01 21:34:52 größe',
    ],
  );
});

test('extended headers are there only when ustar cannot say it', async () => {
  const plain = tarArchive([{ type: 'file', path: long, mode: 0o644, content: textBlob('x') }], { mtime });
  assert.equal(plain.size, 512 + 512 + 1024);
  assert.equal(tarArchive([sample[5]!], { mtime }).size, 512 + 512 + 512 + 1024);
  const big = tarArchive([{ type: 'file', path: 'big', mode: 0o644, content: zeroBlob(2 ** 33) }], { mtime });
  const head = Buffer.from(await readRange(big, 0, 1536)).toString('latin1');
  assert.equal(head.slice(512, 531), '19 size=8589934592\n');
});

test('the bytes of an archive are pinned', async () => {
  const digest = createHash('sha256')
    .update(await readAll(tarArchive(sample, { mtime })))
    .digest('hex');
  assert.equal(digest, '32273fc7dd6e192cbec45ffad0c1c898003809162a915e9720fa771c880e8aa5');
});

const name = fc.stringMatching(/^[a-zü]{1,60}(\/[a-zA-Z ._-]{1,60}x){0,4}$/);
const entries: fc.Arbitrary<TreeEntry[]> = fc.array(
  fc
    .record({
      path: name,
      mode: fc.nat(0o7777),
      kind: fc.nat(2),
      content: fc.uint8Array({ maxLength: 600 }),
      target: fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 150 })
        .filter((text) => !text.includes('\0')),
      xattrs: fc.dictionary(
        fc.stringMatching(/^(user|security|trusted)\.[a-zü.]{1,40}$/),
        fc.uint8Array({ minLength: 1, maxLength: 120 }),
        { maxKeys: 3 },
      ),
    })
    .map(({ path, mode, kind, content, target, xattrs }): TreeEntry => {
      const base = { path, mode, xattrs: new Map(Object.entries(xattrs)) };
      if (kind === 0) return { ...base, type: 'directory' };
      if (kind === 1) return { ...base, type: 'symlink', target };
      return { ...base, type: 'file', content: bytesBlob(content) };
    }),
  { maxLength: 6 },
);

test('what was written is read again, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(entries, fc.integer({ min: 1, max: 1500 }), async (tree, size) => {
      const read = await readMembers(await readAll(tarArchive(tree, { mtime })), size);
      assert.equal(read.length, tree.length);
      for (const [i, entry] of tree.entries()) {
        const got = read[i]!;
        assert.equal(got.type, entry.type);
        assert.equal(got.name, entry.type === 'directory' ? `${entry.path}/` : entry.path);
        assert.deepEqual([got.mode, got.mtime, got.uid, got.gid], [entry.mode, mtime, 0, 0]);
        if (entry.type === 'symlink') assert.equal(got.linkName, entry.target.toWellFormed());
        if (entry.type === 'file') {
          assert.equal(got.text, Buffer.from(await readAll(entry.content)).toString('latin1'));
        }
        const values = (map: ReadonlyMap<string, Uint8Array>) =>
          [...map].map(([key, bytes]) => [key, Buffer.from(bytes).toString('hex')]).sort();
        assert.deepEqual(values(got.xattrs), values(entry.xattrs!));
      }
    }),
    { numRuns: 80 },
  );
});

test('archives of GNU tar in its formats are read', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tar-'));
  t.after(() => rm(dir, { recursive: true }));
  await mkdir(join(dir, 'a'));
  await mkdir(join(dir, 'b'));
  await writeFile(join(dir, 'a/file'), 'content');
  await link(join(dir, 'a/file'), join(dir, 'a/hard'));
  await symlink('file', join(dir, 'a/link'));
  execFileSync('mkfifo', [join(dir, 'a/pipe')]);
  const deep = `a/${'x'.repeat(200)}`;
  const tar = (format: string, ...names: string[]): Buffer =>
    execFileSync('tar', ['-cf', '-', `--format=${format}`, '--sort=name', '-C', dir, ...names]);
  for (const format of ['v7', 'oldgnu', 'gnu', 'ustar', 'pax']) {
    if (format === 'oldgnu') {
      await writeFile(join(dir, deep), 'deep');
      await symlink('y'.repeat(150), join(dir, 'a/z'));
    }
    const has = (...wanted: string[]): boolean => wanted.includes(format);
    const names = has('ustar')
      ? ['a/file', 'a/hard', 'a/link', 'a/pipe']
      : has('v7')
        ? ['a/file', 'a/hard', 'a/link', 'b']
        : ['a'];
    const read = await readMembers(tar(format, ...names));
    const seen = new Map(read.map((member) => [member.name, member]));
    const hard = read.find((member) => member.type === 'hard-link');
    assert.ok(hard !== undefined && ['a/file', 'a/hard'].includes(hard.linkName), format);
    assert.equal(hard.text, '');
    assert.equal(seen.get('a/link')?.linkName, 'file', format);
    assert.equal(read.find((member) => member.type === 'file' && member.size === 7)?.text, 'content', format);
    const folder = has('v7') ? 'b/' : 'a/';
    if (!has('ustar')) assert.equal(seen.get(folder)?.type, 'directory', format);
    if (!has('v7')) assert.equal(seen.get('a/pipe')?.type, 'fifo', format);
    if (has('oldgnu', 'gnu', 'pax')) {
      assert.equal(seen.get(deep)?.text, 'deep', format);
      assert.equal(seen.get('a/z')?.linkName, 'y'.repeat(150), format);
    }
  }
});

test('sparse members are refused by name', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tar-'));
  t.after(() => rm(dir, { recursive: true }));
  await using file = await open(join(dir, 'holes'), 'w');
  await file.truncate(1 << 20);
  await file.write('x', 1 << 19);
  for (const format of ['gnu', 'pax', 'oldgnu']) {
    const bytes = execFileSync('tar', ['-cSf', '-', `--format=${format}`, '-C', dir, 'holes']);
    await assert.rejects(
      readMembers(bytes),
      { code: 'TAR_UNSUPPORTED', message: /holes"? .*sparse/ },
      format,
    );
  }
});

/** An archive made of raw headers and bodies. */
function raw(
  ...members: readonly {
    readonly type: string;
    readonly name?: string;
    readonly body?: Uint8Array | string;
    readonly size?: number;
  }[]
): Buffer {
  const parts: Uint8Array[] = [];
  for (const { type, name: path = 'n', body = '', size } of members) {
    const bytes = Buffer.from(body as string);
    parts.push(
      formatTarHeader({ name: path, mode: 0o644, size: size ?? bytes.length, mtime: 0, typeflag: type }),
      bytes,
      new Uint8Array(-bytes.length & 511),
    );
  }
  return Buffer.concat([...parts, new Uint8Array(1024)]);
}

function resum(bytes: Buffer): Buffer {
  bytes.write('        ', 148);
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}

test('extended headers apply as pax says', async () => {
  const records = (fields: Record<string, string>): Uint8Array =>
    formatPax(new Map(Object.entries(fields).map(([key, text]) => [key, Buffer.from(text)])));
  const bytes = raw(
    { type: 'g', body: records({ mtime: '5.75', 'SCHILY.xattr.user.a': 'all', comment: 'x' }) },
    { type: '0', body: 'one' },
    {
      type: 'x',
      body: records({ path: '../zwei', size: '3', uid: '7', mtime: '-1.5', 'SCHILY.xattr.user.a': '' }),
    },
    { type: '0', body: 'two', size: 0o777 },
    { type: 'x', body: records({ linkpath: 'target' }) },
    { type: '1', size: 99 },
    { type: 'L', body: `${'l'.repeat(300)}\0` },
    { type: '0', body: 'last' },
    { type: '7', body: '' },
  );
  // The second file states a wrong size, which its extended header overrides.
  const read = await readMembers(bytes);
  assert.deepEqual(
    read.map(({ name: path, type, text, mtime: time, uid, linkName, xattrs }) => [
      path,
      type,
      text,
      time,
      uid,
      linkName,
      xattrs.size,
    ]),
    [
      ['n', 'file', 'one', 5, 0, '', 1],
      ['../zwei', 'file', 'two', -2, 7, '', 0],
      ['n', 'hard-link', '', 5, 0, 'target', 1],
      ['l'.repeat(300), 'file', 'last', 5, 0, '', 1],
      ['n', 'file', '', 5, 0, '', 1],
    ],
  );
});

test('numbers may be base-256', async () => {
  const bytes = raw({ type: '0', body: 'abc' });
  bytes.fill(0, 124, 136);
  bytes[124] = 0x80;
  bytes[135] = 3;
  bytes.fill(0xff, 136, 148);
  const [read] = await readMembers(resum(bytes));
  assert.deepEqual([read?.text, read?.mtime], ['abc', -1]);
});

test('the stream is read to its end, and may have no trailer', async () => {
  const bytes = raw({ type: '0', body: 'abc' });
  let taken = 0;
  const counted = async function* (): AsyncIterable<Uint8Array> {
    for await (const chunk of chunked(Buffer.concat([bytes, Buffer.from('junk after the end')]), 100)) {
      taken += chunk.length;
      yield chunk;
    }
  };
  for await (const _ of readTar(counted()));
  assert.equal(taken, bytes.length + 18);
  assert.equal((await readMembers(bytes.subarray(0, 1024))).length, 1);
});

test('hostile archives are refused', async () => {
  const good = raw({ type: '0', body: 'abc' });
  const edit = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return resum(bytes);
  };
  const cases: readonly [string, Uint8Array, RegExp][] = [
    ['no archive', Buffer.alloc(1024, 'hello'), /checksum/],
    ['flipped bit', Buffer.from(good).fill('m', 0, 1), /wrong checksum/],
    ['size that is no number', edit((b) => b.write('0000000000x', 124)), /size is not a number/],
    ['signed size', edit((b) => b.write('-0000000001', 124)), /size is not a number/],
    ['negative size', edit((b) => b.fill(0xff, 124, 136)), /negative size/],
    ['gigantic size', edit((b) => b.fill(0x80, 124, 136)), /size is too large/],
    ['cut in a header', good.subarray(0, 300), /within a header/],
    ['cut in content', good.subarray(0, 514), /ends within "n"/],
    ['cut in padding', good.subarray(0, 600), /ends within "n"/],
    ['no UTF-8', edit((b) => b.fill(0xff, 0, 1)), /not UTF-8/],
    ['huge extended header', raw({ type: 'x', size: 2 << 20 }), /extended header of 2097152 bytes/],
    ['cut extended header', raw({ type: 'x', size: 9999 }), /within an extended header/],
    ['long name too long', raw({ type: 'L', body: 'x'.repeat(5000) }, { type: '0' }), /name of 5000 bytes/],
    ['pax length 0', raw({ type: 'x', body: '0 a=b\n' }, { type: '0' }), /wrong length/],
    ['pax length negative', raw({ type: 'x', body: '-6 a=b\n' }, { type: '0' }), /wrong length/],
    ['pax length beyond', raw({ type: 'x', body: '99 a=b\n' }, { type: '0' }), /wrong length/],
    ['pax without newline', raw({ type: 'x', body: '6 a=bc' }, { type: '0' }), /wrong length/],
    ['pax without keyword', raw({ type: 'x', body: '5 =b\n' }, { type: '0' }), /no keyword/],
    ['pax size', raw({ type: 'x', body: '11 size=-1\n' }, { type: '0' }), /size is not a number/],
    ['pax path with NUL', raw({ type: 'x', body: '12 path=a\0b\n' }, { type: '0' }), /NUL/],
  ];
  for (const [what, bytes, message] of cases) {
    await assert.rejects(readMembers(bytes), { code: 'TAR_INVALID', message }, what);
  }
  const three = raw({ type: '0', body: 'abc' }, { type: '0', body: 'def' }, { type: '5' });
  await assert.rejects(readMembers(three, 512, { members: 2 }), {
    code: 'TAR_INVALID',
    message: /more than 2/,
  });
  await assert.rejects(readMembers(three, 512, { content: 5 }), {
    code: 'TAR_INVALID',
    message: /larger than 5/,
  });
  for (const type of ['M', 'D', 'V', '?']) {
    await assert.rejects(readMembers(raw({ type })), { code: 'TAR_UNSUPPORTED', message: /"n"/ }, type);
  }
});

test('pax records count the digits of their length', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.stringMatching(/^[a-z.ü]{1,8}$/), fc.uint8Array({ maxLength: 1100 })),
      (fields) => {
        const records = new Map(Object.entries(fields));
        const read = parsePax(formatPax(records));
        assert.equal(read.size, records.size);
        for (const [key, bytes] of records) assert.deepEqual(Buffer.from(read.get(key)!), Buffer.from(bytes));
      },
    ),
  );
  for (const [size, start] of [
    [93, '99 a='],
    [94, '101 a='],
  ] as const) {
    const bytes = formatPax(new Map([['a', Buffer.alloc(size, 'v')]]));
    assert.equal(Buffer.from(bytes).toString().slice(0, start.length), start);
    assert.equal(bytes.length, Number.parseInt(start, 10));
  }
});

test('what does not fit is refused when written', () => {
  const cases: readonly TreeEntry[] = [
    { type: 'fifo', path: 'f', mode: 0o644 },
    { type: 'character-device', path: 'c', mode: 0o644, major: 5, minor: 0 },
    { type: 'directory', path: 'a\0b', mode: 0o755 },
    { type: 'directory', path: 'a', mode: 0o755, xattrs: new Map([['user.a=b', label]]) },
  ];
  for (const entry of cases) {
    assert.throws(() => tarArchive([entry], { mtime }), { code: 'TAR_ENTRY_UNSUPPORTED' }, entry.path);
  }
});
