import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget } from './target.ts';

const vectors: readonly [string, readonly [string, string] | undefined][] = [
  ['/versions', ['/versions', '']],
  ['/a%20b?x=1&y', ['/a b', '?x=1&y']],
  ['/a%2Fb', ['/a/b', '']],
  ['/a%252Fb', ['/a%2Fb', '']],
  ['/%C3%A4', ['/ä', '']],
  ['/a?b?c', ['/a', '?b?c']],
  ['/a#f', ['/a', '']],
  ['http://host/a?b', ['/a', '?b']],
  ['http://host', ['/', '']],
  ['*', ['*', '']],
  ['//a', ['//a', '']],
  ['/%zz', undefined],
  ['/%', undefined],
  ['/%ff', undefined],
  ['/a%00b', undefined],
  ['/a%0d%0aX: y', undefined],
  ['a', undefined],
  ['', undefined],
  ['ftp://host/a', undefined],
];

for (const [target, expected] of vectors) {
  test(JSON.stringify(target), () => {
    const parsed = parseTarget(target);
    assert.deepEqual(parsed === undefined ? undefined : [parsed.path, parsed.search], expected);
  });
}
