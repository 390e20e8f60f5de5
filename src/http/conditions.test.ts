import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHttpDate, judgeConditions, rangeApplies } from './conditions.ts';

const EPOCH = 1559424892;
const DATE = 'Sat, 01 Jun 2019 21:34:52 GMT';
const BEFORE = 'Sat, 01 Jun 2019 21:34:51 GMT';
const AFTER = 'Sun, 02 Jun 2019 00:00:00 GMT';

const of = (fields: Readonly<Record<string, string>>) => (name: string) => fields[name];

test('dates are IMF-fixdate', () => assert.equal(formatHttpDate(EPOCH), DATE));

const vectors: readonly [Readonly<Record<string, string>>, 'go' | 'not-modified' | 'failed'][] = [
  [{}, 'go'],
  [{ 'if-none-match': '"k"' }, 'not-modified'],
  [{ 'if-none-match': 'W/"k"' }, 'not-modified'],
  [{ 'if-none-match': '*' }, 'not-modified'],
  [{ 'if-none-match': '"a", "b,c" , "k"' }, 'not-modified'],
  [{ 'if-none-match': '"a"' }, 'go'],
  [{ 'if-none-match': 'k' }, 'go'],
  [{ 'if-none-match': '"a,"k"' }, 'go'],
  [{ 'if-none-match': '' }, 'go'],
  [{ 'if-match': '"k"' }, 'go'],
  [{ 'if-match': '*' }, 'go'],
  [{ 'if-match': 'W/"k"' }, 'failed'],
  [{ 'if-match': '"a"' }, 'failed'],
  [{ 'if-match': 'garbage' }, 'failed'],
  [{ 'if-match': '"k"', 'if-none-match': '"k"' }, 'not-modified'],
  [{ 'if-match': '"a"', 'if-none-match': '"k"' }, 'failed'],
  [{ 'if-modified-since': DATE }, 'not-modified'],
  [{ 'if-modified-since': AFTER }, 'not-modified'],
  [{ 'if-modified-since': BEFORE }, 'go'],
  [{ 'if-modified-since': 'yesterday' }, 'go'],
  [{ 'if-modified-since': '2019-06-02' }, 'go'],
  [{ 'if-modified-since': DATE, 'if-none-match': '"a"' }, 'go'],
  [{ 'if-unmodified-since': DATE }, 'go'],
  [{ 'if-unmodified-since': BEFORE }, 'failed'],
  [{ 'if-unmodified-since': BEFORE, 'if-match': '"k"' }, 'go'],
];

for (const [fields, expected] of vectors) {
  test(`${JSON.stringify(fields)} is ${expected}`, () =>
    assert.equal(judgeConditions(of(fields), { etag: 'k', lastModified: EPOCH }), expected));
}

test('dates do not count where bytes may change without a new date', () => {
  const validators = { etag: 'k', lastModified: undefined };
  assert.equal(judgeConditions(of({ 'if-modified-since': AFTER }), validators), 'go');
  assert.equal(judgeConditions(of({ 'if-unmodified-since': BEFORE }), validators), 'go');
  assert.equal(rangeApplies(of({ 'if-range': DATE }), validators), false);
});

const ranges: readonly [string | undefined, boolean][] = [
  [undefined, true],
  ['"k"', true],
  ['"other"', false],
  ['W/"k"', false],
  [DATE, true],
  [AFTER, false],
  ['garbage', false],
];

for (const [field, expected] of ranges) {
  test(`If-Range: ${field}`, () => {
    const fields = field === undefined ? {} : { 'if-range': field };
    assert.equal(rangeApplies(of(fields), { etag: 'k', lastModified: EPOCH }), expected);
  });
}
