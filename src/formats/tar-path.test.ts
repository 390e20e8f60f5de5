import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { confinePath } from './tar-path.ts';

test('names stay below the root', () => {
  const cases: readonly [string, string][] = [
    ['a/b', 'a/b'],
    ['./a//b/', 'a/b'],
    ['/etc/passwd', 'etc/passwd'],
    ['../../etc/passwd', 'etc/passwd'],
    ['a/../../b', 'b'],
    ['a/b/..', 'a'],
    ['./', ''],
    ['/', ''],
    ['..', ''],
    ['...', '...'],
    ['a/..b', 'a/..b'],
    ['a\\..\\b', 'a\\..\\b'],
  ];
  for (const [name, path] of cases) assert.equal(confinePath(name), path, name);
});

test('names that Linux cannot have are refused', () => {
  for (const name of ['', 'a\0b', 'x'.repeat(256), 'ü'.repeat(128), 'a/'.repeat(2048)]) {
    assert.throws(() => confinePath(name), { code: 'ARCHIVE_PATH_INVALID' }, name.slice(0, 20));
  }
  assert.equal(confinePath('x'.repeat(255)).length, 255);
});

test('no name leaves a part that is empty, . or ..', () => {
  const part = fc.constantFrom('', '.', '..', '...', 'a', 'b c');
  fc.assert(
    fc.property(fc.array(part, { minLength: 1 }), (parts) => {
      const name = parts.join('/');
      if (name === '') return;
      const path = confinePath(name);
      if (path === '') return;
      for (const kept of path.split('/')) assert.ok(kept !== '' && kept !== '.' && kept !== '..');
      assert.equal(confinePath(path), path);
    }),
  );
});
