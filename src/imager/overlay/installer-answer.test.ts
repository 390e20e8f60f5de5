import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OverlayOptions, parseInstallerAnswer } from './installer-answer.ts';

test('answers to get-options', () => {
  const cases: readonly (readonly [string, OverlayOptions])[] = [
    ['{}', { name: '', kernelArgs: [], partitionOffset: 0 }],
    ['name: a\nkernelArgs: ~\npartitionOptions:\n', { name: 'a', kernelArgs: [], partitionOffset: 0 }],
    [
      'name: rpi_generic\nkernelArgs:\n  - console=tty0\n  - console=ttyAMA0,115200\npartitionOptions:\n  offset: 20480\n',
      { name: 'rpi_generic', kernelArgs: ['console=tty0', 'console=ttyAMA0,115200'], partitionOffset: 20480 },
    ],
    [
      '{name: a, later: {b: c}, partitionOptions: {offset: 0}}',
      { name: 'a', kernelArgs: [], partitionOffset: 0 },
    ],
  ];
  for (const [text, expected] of cases) {
    assert.deepEqual(parseInstallerAnswer(Buffer.from(text), 'board'), expected, text);
  }
});

test('answers that cannot be taken', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /answered get-options with no mapping/],
    ['usage: [', /that is not valid YAML/],
    ['Hello', /with no mapping/],
    ['kernelArgs: [1]', /an invalid field kernelArgs\.0/],
    ['kernelArgs: ["a\\u0000b"]', /an invalid field kernelArgs\.0/],
    ['kernelArgs: ["a\\nb"]', /an invalid field kernelArgs\.0/],
    ['partitionOptions: {offset: -1}', /an invalid field partitionOptions\.offset/],
    ['partitionOptions: {offset: 0.5}', /an invalid field partitionOptions\.offset/],
    ['partitionOptions: {offset: 2097153}', /an invalid field partitionOptions\.offset/],
    ['partitionOptions: 3', /an invalid field partitionOptions/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseInstallerAnswer(Buffer.from(text), 'board'),
      { kind: 'upstream', code: 'OVERLAY_ANSWER_INVALID', message },
      text,
    );
  }
});
