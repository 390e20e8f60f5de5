import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ByteRange, parseRange } from './range.ts';

const vectors: readonly [string | undefined, number, ByteRange | 'all' | 'unsatisfiable'][] = [
  [undefined, 10, 'all'],
  ['bytes=0-0', 10, { offset: 0, length: 1 }],
  ['bytes=0-9', 10, { offset: 0, length: 10 }],
  ['bytes=0-99', 10, { offset: 0, length: 10 }],
  ['bytes=3-5', 10, { offset: 3, length: 3 }],
  ['bytes=3-', 10, { offset: 3, length: 7 }],
  ['bytes=9-', 10, { offset: 9, length: 1 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-1', 10, { offset: 9, length: 1 }],
  ['bytes=-10', 10, { offset: 0, length: 10 }],
  ['bytes=-11', 10, { offset: 0, length: 10 }],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-5', 0, 'unsatisfiable'],
  ['bytes=0-99999999999999999999999999', 10, { offset: 0, length: 10 }],
  ['bytes=99999999999999999999999999-', 10, 'unsatisfiable'],
  ['bytes=-99999999999999999999999999', 10, { offset: 0, length: 10 }],
  ['BYTES = 1-2 ', 10, { offset: 1, length: 2 }],
  ['bytes=5-3', 10, 'all'],
  ['bytes=0-1,3-4', 10, 'all'],
  ['bytes=', 10, 'all'],
  ['bytes=-', 10, 'all'],
  ['bytes=a-b', 10, 'all'],
  ['bytes=1', 10, 'all'],
  ['bytes=+1-2', 10, 'all'],
  ['bytes=0x1-2', 10, 'all'],
  ['items=0-1', 10, 'all'],
  ['bytes 0-1', 10, 'all'],
  ['bytes=1 - 2', 10, 'all'],
];

for (const [field, size, expected] of vectors) {
  test(`${field} of ${size}`, () => assert.deepEqual(parseRange(field, size), expected));
}

test('a range is never outside of the representation, and is what slice() takes', () => {
  const digits = fc.option(fc.nat({ max: 40 }), { nil: undefined });
  fc.assert(
    fc.property(digits, digits, fc.nat({ max: 30 }), (first, last, size) => {
      const bytes = Array.from({ length: size }, (_, index) => index);
      const range = parseRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
      if (first === undefined && last === undefined) return assert.equal(range, 'all');
      if (first !== undefined && last !== undefined && last < first) return assert.equal(range, 'all');
      const expected =
        first === undefined
          ? bytes.slice(Math.max(0, size - (last ?? 0)))
          : bytes.slice(first, last === undefined ? size : last + 1);
      if (expected.length === 0) return assert.equal(range, 'unsatisfiable');
      assert.ok(typeof range === 'object');
      assert.deepEqual(bytes.slice(range.offset, range.offset + range.length), expected);
    }),
  );
});

test('whatever a client sends is one of the three answers', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), (text, size) => {
      const range = parseRange(`bytes=${text}`, size);
      if (typeof range === 'string') return;
      assert.ok(range.offset >= 0 && range.length >= 1 && range.offset + range.length <= size);
    }),
  );
});
