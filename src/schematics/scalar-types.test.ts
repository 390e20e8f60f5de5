import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { scalarText } from './scalar-text.ts';
import { resolvePlain } from './scalar-types.ts';
import { parseTimestamp } from './timestamp.ts';

describe('resolvePlain', () => {
  // spec/schematic.md §2.3
  const rows: readonly (readonly [string, string])[] = [
    ...['', '~', 'null', 'Null', 'NULL'].map((text) => [text, 'null'] as const),
    ...['true', 'True', 'TRUE'].map((text) => [text, 'bool true'] as const),
    ['False', 'bool false'],
    ['.nan', 'float NaN'],
    ['-.Inf', 'float -Infinity'],
    ['+.inf', 'float Infinity'],
    ['-0', 'float 0'],
    ['<<', 'merge'],
    ['.5', 'float 0.5'],
    ['.5e3', 'float 500'],
    ['+.5', 'float 0.5'],
    ['10', 'int 10'],
    ['+10', 'int 10'],
    ['-10', 'int -10'],
    ['0x10', 'int 16'],
    ['-0X1f', 'int -31'],
    ['0b11', 'int 3'],
    ['0o17', 'int 15'],
    ['017', 'int 15'],
    ['1_000', 'int 1000'],
    ['0_', 'int 0'],
    ['9223372036854775808', 'int 9223372036854775808'],
    ['18446744073709551615', 'int 18446744073709551615'],
    ['18446744073709551616', 'float 18446744073709552000'],
    ['+9223372036854775808', 'float 9223372036854775808'],
    ['-9223372036854775808', 'int -9223372036854775808'],
    ['-9223372036854775809', 'float -9223372036854775808'],
    ['08', 'float 8'],
    ['1.', 'float 1'],
    ['1e3', 'float 1000'],
    ['1_0.5', 'float 10.5'],
    ['2020-01-01', 'timestamp 2020-01-01T00:00:00Z'],
    ...[
      'yes',
      'no',
      'on',
      'y',
      'tRue',
      '1:30',
      '1e400',
      '+',
      '-',
      '.',
      '..',
      '=',
      '0x',
      '0xZZ',
      '0b2',
      '1.2.3',
      '_1',
      '._5',
      '1e',
      '٣',
    ].map((text) => [text, 'string'] as const),
    [`0x${'f'.repeat(17)}`, 'string'],
    ['1'.repeat(400), 'string'],
  ];
  for (const [text, expected] of rows) {
    it(JSON.stringify(text.slice(0, 40)), () => {
      const typed = resolvePlain(text);
      if (!('value' in typed)) assert.equal(typed.type, expected);
      else if (typed.type === 'timestamp') assert.equal(`timestamp ${typed.value.text}`, expected);
      else if (typed.type === 'float')
        assert.equal(`float ${typed.value}`, expected.replace('9223372036854775808', '9223372036854776000'));
      else assert.equal(`${typed.type} ${typed.value}`, expected);
    });
  }
});

describe('parseTimestamp', () => {
  for (const [text, expected] of [
    ['2001-12-14t21:59:43.10-05:00', '2001-12-14T21:59:43.1-05:00'],
    ['2001-12-14T21:59:43Z', '2001-12-14T21:59:43Z'],
    ['2001-12-14 21:59:43', '2001-12-14T21:59:43Z'],
    ['2001-12-14    1:2:3,5', '2001-12-14T01:02:03.5Z'],
    ['2001-1-2', '2001-01-02T00:00:00Z'],
    ['2000-02-29', '2000-02-29T00:00:00Z'],
    ['0001-01-01', '0001-01-01T00:00:00Z'],
    ['2020-01-01T00:00:00.1234567891Z', '2020-01-01T00:00:00.123456789Z'],
    ['2020-01-01T00:00:00+00:00', '2020-01-01T00:00:00Z'],
    ['1900-02-29', undefined],
    ['2020-13-01', undefined],
    ['2020-00-01', undefined],
    ['2020-04-31', undefined],
    ['2020-01-01T24:00:00Z', undefined],
    ['2020-01-01T00:60:00Z', undefined],
    ['2020-01-01T00:00:60Z', undefined],
    ['2020-01-01T00:00:00', undefined],
    ['2020-01-01T00:00:00+25:00', undefined],
    ['2020-01-01 00:00', undefined],
    ['20200-01-01', undefined],
    ['2020-01-01x', undefined],
  ] as const) {
    it(text, () => assert.equal(parseTimestamp(text)?.text, expected));
  }

  it('knows which comes first, whatever the offset', () => {
    const early = parseTimestamp('2020-01-01T00:30:00+01:00')!;
    const late = parseTimestamp('2020-01-01T00:00:00.000000001Z')!;
    assert.equal(late.instant - early.instant, 30n * 60n * 1_000_000_000n + 1n);
  });
});

describe('floats', () => {
  for (const [value, text] of [
    [1, '1'],
    [100000, '100000'],
    [1e6, '1e+06'],
    [1234567, '1.234567e+06'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [123456.75, '123456.75'],
    [18446744073709552000, '1.8446744073709552e+19'],
    [1e21, '1e+21'],
    [5e-324, '5e-324'],
    [-0, '-0'],
    [-1.5e300, '-1.5e+300'],
    [Number.NaN, '.nan'],
    [Number.NEGATIVE_INFINITY, '-.inf'],
  ] as const) {
    it(text, () => assert.equal(scalarText(value), text));
  }

  it('read back as the same number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const typed = resolvePlain(scalarText(value));
        assert.ok(typed.type === 'float' || typed.type === 'int');
        assert.equal(Number(typed.value), value === 0 && typed.type === 'int' ? 0 : value);
      }),
    );
  });
});
