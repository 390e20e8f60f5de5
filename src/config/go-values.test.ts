import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatDuration,
  formatSize,
  parseBoolean,
  parseDuration,
  parseInteger,
  parseSize,
} from './go-values.ts';

const DURATIONS: readonly (readonly [string, number, string])[] = [
  ['15m0s', 900_000, '15m0s'],
  ['1h30m', 5_400_000, '1h30m0s'],
  ['1.5h', 5_400_000, '1h30m0s'],
  ['300ms', 300, '300ms'],
  ['-1.5s', -1500, '-1.5s'],
  ['+5s', 5000, '5s'],
  ['.5s', 500, '500ms'],
  ['1.s', 1000, '1s'],
  ['0', 0, '0s'],
  ['-0', 0, '0s'],
  ['0s', 0, '0s'],
  ['1ns', 1e-6, '1ns'],
  ['1500us', 1.5, '1.5ms'],
  ['2µs', 0.002, '2µs'],
  ['2μs', 0.002, '2µs'],
  ['8h', 28_800_000, '8h0m0s'],
  ['24h0m0.25s', 86_400_250, '24h0m0.25s'],
];

test('durations are read and printed as Go does', () => {
  for (const [text, milliseconds, printed] of DURATIONS) {
    assert.deepEqual(parseDuration(text), { value: milliseconds }, text);
    assert.equal(formatDuration(milliseconds), printed, text);
  }
});

test('what is no duration says why', () => {
  for (const [text, problem] of [
    ['', 'time: invalid duration'],
    ['-', 'time: invalid duration'],
    ['.s', 'time: invalid duration'],
    ['s', 'time: invalid duration'],
    ['5', 'time: missing unit in duration'],
    ['1h5', 'time: missing unit in duration'],
    ['5 m', 'time: unknown unit'],
    ['1d', 'time: unknown unit'],
    ['9999999h', 'time: invalid duration'],
    [`${'1'.repeat(100)}h`, 'time: invalid duration'],
  ] as const) {
    assert.deepEqual(parseDuration(text), { problem }, text);
  }
});

test('a printed duration is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), (microseconds) => {
      const text = formatDuration(microseconds / 1000);
      assert.deepEqual(parseDuration(text), { value: microseconds === 0 ? 0 : microseconds / 1000 });
    }),
  );
});

test('integers follow base-0 rules', () => {
  for (const [text, value] of [
    ['10', 10n],
    ['+10', 10n],
    ['-10', -10n],
    ['0', 0n],
    ['0x10', 16n],
    ['0X_1f', 31n],
    ['010', 8n],
    ['0o17', 15n],
    ['0_17', 15n],
    ['0b1', 1n],
    ['1_000', 1000n],
    ['', undefined],
    ['1__0', undefined],
    ['_1', undefined],
    ['1_', undefined],
    ['08', undefined],
    ['0x', undefined],
    ['1e3', undefined],
    [' 1', undefined],
    ['1'.repeat(100), undefined],
  ] as const) {
    assert.equal(parseInteger(text), value, text);
  }
});

test('booleans follow ParseBool', () => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) assert.equal(parseBoolean(text), true);
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False']) assert.equal(parseBoolean(text), false);
  for (const text of ['', 'yes', 'tRUE', 'on', ' 1']) assert.equal(parseBoolean(text), undefined, text);
});

test('sizes', () => {
  for (const [text, bytes, printed] of [
    ['20GiB', 20 * 2 ** 30, '20GiB'],
    ['20Gi', 20 * 2 ** 30, '20GiB'],
    ['1.5 TiB', 1.5 * 2 ** 40, '1536GiB'],
    ['500MB', 5e8, '500000000'],
    ['500m', 5e8, '500000000'],
    ['1024', 1024, '1KiB'],
    ['7b', 7, '7'],
    ['0', 0, '0'],
  ] as const) {
    assert.deepEqual(parseSize(text), { value: bytes }, text);
    assert.equal(formatSize(bytes), printed, text);
  }
  for (const text of ['', 'GiB', '-1', '1 XiB', '1e3', '99999999999TiB']) {
    assert.ok('problem' in parseSize(text), text);
  }
});
