import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Files, memoryTree } from './memory-tree.testing.ts';
import { writeOverlayTree } from './overlay-tree.ts';
import { follow } from './tree-links.ts';

const IMAGE: Files = {
  'artifacts/a/x': 'x',
  'artifacts/b': { link: 'a' },
  'artifacts/c': { link: '/artifacts/b/x' },
  'artifacts/up': { link: '../../../../artifacts/a/x' },
  'artifacts/root': { link: '/installers/..//./artifacts/a' },
  'artifacts/host': { link: '/etc/passwd' },
  'artifacts/through': { link: 'a/x/y' },
  'artifacts/loop1': { link: 'loop2' },
  'artifacts/loop2': { link: 'loop1' },
  'installers/board': '#!/bin/sh\n',
};

test('links are followed within the image alone', () => {
  const tree = memoryTree(IMAGE);
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['', ''],
    ['artifacts/a/x', 'artifacts/a/x'],
    ['artifacts/b', 'artifacts/a'],
    ['artifacts/b/x', 'artifacts/a/x'],
    ['artifacts/c', 'artifacts/a/x'],
    ['artifacts/up', 'artifacts/a/x'],
    ['artifacts/root/x', 'artifacts/a/x'],
    ['artifacts/b/../a/x', 'artifacts/a/x'],
    ['artifacts/host', undefined],
    ['artifacts/through', undefined],
    ['artifacts/loop1', undefined],
    ['artifacts/missing', undefined],
  ];
  for (const [path, expected] of cases) assert.equal(follow(tree, path)?.path, expected, path);
});

test('a tree is written with modes of its own and without links', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'overlay-tree-'));
  t.after(() => rm(directory, { recursive: true }));
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const target = join(directory, 'tree');
  await writeOverlayTree(memoryTree(IMAGE), 'board', target, new AbortController().signal);
  const found = (await readdir(target, { recursive: true, withFileTypes: true })).map((item) =>
    [
      join(item.parentPath, item.name).slice(target.length + 1),
      item.isFile() ? 'file' : item.isDirectory(),
    ].join(' '),
  );
  assert.deepEqual(found.sort(), [
    'artifacts true',
    'artifacts/a true',
    'artifacts/a/x file',
    'artifacts/b true',
    'artifacts/b/x file',
    'artifacts/c file',
    'artifacts/root true',
    'artifacts/root/x file',
    'artifacts/up file',
    'installers true',
    'installers/board file',
  ]);
  assert.equal(await readFile(join(target, 'artifacts/b/x'), 'utf8'), 'x');
  const modes = ['', 'artifacts/b', 'artifacts/b/x', 'installers/board'].map(
    async (path) => (await stat(join(target, path))).mode & 0o7777,
  );
  assert.deepEqual(await Promise.all(modes), [0o755, 0o755, 0o644, 0o755]);
});

test('a link to a directory above does not grow without end', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'overlay-tree-'));
  t.after(() => rm(directory, { recursive: true }));
  const tree = memoryTree({ 'a/self': { link: '.' }, 'a/b': { link: '../c' } });
  await assert.rejects(
    writeOverlayTree(tree, 'board', join(directory, 'tree'), new AbortController().signal),
    {
      kind: 'upstream',
      code: 'OVERLAY_TREE_INVALID',
      message: /^overlay "board": its image has more than 64/,
    },
  );
});
