import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { formatReprDigest, wantedDigest } from './digest-fields.ts';

test('the example of RFC 9530 §B.1', () => {
  const hex = createHash('sha256').update('{"hello": "world"}\n').digest('hex');
  assert.equal(formatReprDigest('sha256', hex), 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:');
});

const vectors: readonly [string | undefined, 'sha256' | 'sha512' | undefined][] = [
  [undefined, undefined],
  ['', undefined],
  ['sha-256=10', 'sha256'],
  ['sha-256=1', 'sha256'],
  ['sha-256=0', undefined],
  ['sha-512=3, sha-256=10, unixsum=0', 'sha256'],
  ['sha-512=10,sha-256=3', 'sha512'],
  ['sha-512=5, sha-256=5', 'sha256'],
  ['sha-512=1', 'sha512'],
  ['md5=10', undefined],
  ['sha-256', undefined],
  ['sha-256=:abc:', undefined],
  ['sha-256=9, "', undefined],
];

for (const [field, expected] of vectors) {
  test(`Want-Repr-Digest: ${field}`, () => assert.equal(wantedDigest(field), expected));
}
