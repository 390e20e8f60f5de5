import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { installedFiles, usage } from './installed-files.ts';

const LIMITS = { entries: 100, bytes: 1000 };

async function boot(t: TestContext): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'installed-')));
  t.after(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, 'boot/EFI'), { recursive: true });
  await writeFile(join(directory, 'secret'), 'of the host');
  return join(directory, 'boot');
}

test('files in tree order, links to files followed, what is unreadable made readable', async (t) => {
  const at = await boot(t);
  await mkdir(join(at, 'EFI/dtb'));
  await writeFile(join(at, 'EFI/dtb/x'), 'dtb');
  await writeFile(join(at, 'EFI/dtb.txt'), 'later');
  await writeFile(join(at, 'run'), '', { mode: 0o755 });
  await writeFile(join(at, 'EFI/hidden'), 'h');
  await symlink('dtb/x', join(at, 'EFI/link'));
  await chmod(join(at, 'EFI/hidden'), 0);
  await chmod(join(at, 'EFI/dtb'), 0);
  const found = await installedFiles(at, LIMITS);
  assert.deepEqual(found, [
    { type: 'directory', path: 'EFI' },
    { type: 'directory', path: 'EFI/dtb' },
    { type: 'file', path: 'EFI/dtb/x', executable: false, size: 3, source: join(at, 'EFI/dtb/x') },
    { type: 'file', path: 'EFI/dtb.txt', executable: false, size: 5, source: join(at, 'EFI/dtb.txt') },
    { type: 'file', path: 'EFI/hidden', executable: false, size: 1, source: join(at, 'EFI/hidden') },
    { type: 'file', path: 'EFI/link', executable: false, size: 3, source: join(at, 'EFI/dtb/x') },
    { type: 'file', path: 'run', executable: true, size: 0, source: join(at, 'run') },
  ]);
});

test('what leads out, is no file, or is too much is refused', async (t) => {
  const cases: readonly (readonly [RegExp, (at: string) => Promise<unknown>])[] = [
    [/symbolic link .*: EFI\/l$/, (at) => symlink('../../secret', join(at, 'EFI/l'))],
    [/symbolic link/, (at) => symlink('/etc/passwd', join(at, 'l'))],
    [/symbolic link/, (at) => symlink('nowhere', join(at, 'l'))],
    [/symbolic link/, (at) => symlink('EFI', join(at, 'l'))],
    [/symbolic link/, (at) => symlink('.', join(at, 'EFI/l'))],
    [/more than 1000 bytes/, (at) => writeFile(join(at, 'x'), 'x'.repeat(1001))],
    [
      /more than 100 files/,
      async (at) => {
        for (let i = 0; i < 100; i++) await writeFile(join(at, `f${i}`), '');
      },
    ],
    [/not UTF-8/, (at) => writeFile(Buffer.concat([Buffer.from(`${at}/`), Buffer.of(0xff)]), '')],
    [
      /neither file nor directory: socket/,
      async (at) => {
        const server = createServer();
        await new Promise<void>((resolve) => server.listen(join(at, 'socket'), resolve));
        t.after(() => server.close());
      },
    ],
    [/more than 64 directories/, (at) => mkdir(join(at, 'd/'.repeat(66)), { recursive: true })],
  ];
  for (const [message, prepare] of cases) {
    const at = await boot(t);
    await prepare(at);
    await assert.rejects(installedFiles(at, LIMITS), { name: 'UnusableFiles', message });
  }
});

test('usage counts no further than the limits', async (t) => {
  const at = await boot(t);
  assert.equal((await usage(at, LIMITS)).entries, 1);
  for (let i = 0; i < 10; i++) await writeFile(join(at, `EFI/f${i}`), 'x'.repeat(5000));
  const { bytes, entries } = await usage(at, { entries: 100, bytes: 1 << 20 });
  assert.equal(entries, 11);
  assert.ok(bytes >= 50_000, `${bytes} bytes`);
  assert.equal((await usage(at, { entries: 3, bytes: 1 << 20 })).entries, 4);
});
