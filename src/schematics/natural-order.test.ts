import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sortedEntries } from './natural-order.ts';
import type { OptionScalar } from './schematic.ts';
import { parseTimestamp } from './timestamp.ts';

function sorted(keys: readonly OptionScalar[]): readonly OptionScalar[] {
  return sortedEntries(new Map(keys.map((key) => [key, null]))).map(([key]) => key);
}

describe('sortedEntries', () => {
  // spec/schematic.md §3.6
  const orders: readonly (readonly OptionScalar[])[] = [
    [
      '',
      '9',
      '10',
      'B',
      'Key2',
      'a-b',
      'a.b',
      'a_b',
      'a1',
      'a01',
      'a001',
      'ab',
      'key1',
      'key9',
      'key10',
      'é',
    ],
    [0n, true, 1n, 1.5, null, 'z'],
    [false, 0n, true, 1n, 1, 2n, null, 'a', parseTimestamp('2020-01-01')!, parseTimestamp('2020-01-02')!],
    ['x1a', 'x1-'],
    ['a100', 'a101', 'a1000'],
    ['k1', 'k２'],
    ['a', '😀'].reverse(),
  ];
  for (const order of orders) {
    it(order.map((key) => (typeof key === 'object' ? 'null or time' : String(key))).join(' '), () => {
      assert.deepEqual(sorted(order), order);
      assert.deepEqual(sorted(order.toReversed()), order);
    });
  }

  it('does not depend on the order given, for keys without long numbers', () => {
    const key = fc.string({ unit: fc.constantFrom(...'aB019-_é'), maxLength: 6 });
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 8 }), fc.infiniteStream(fc.nat()), (keys, random) => {
        const shuffled = keys
          .map((each) => ({ each, rank: random.next().value }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ each }) => each);
        assert.deepEqual(sorted(shuffled), sorted(keys));
      }),
    );
  });

  it('ends for keys of many digits', () => {
    const digits = '9'.repeat(100_000);
    assert.equal(sorted([`${digits}1`, `${digits}2`, `${digits}`]).length, 3);
  });
});
