import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactoryError } from '../errors.ts';
import { jsonLog } from './json-log.ts';
import { type LogLevel, parseLogLevel } from './levels.ts';
import { redactField, redactText } from './redact.ts';

function capture(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const log = jsonLog({
    level,
    clock: { now: () => 1_700_000_000_250 },
    destination: { write: (line) => void lines.push(line) },
  });
  return { log, lines, last: (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '') };
}

test('a line has level, time, message and fields, in this order, and ends', () => {
  const { log, lines } = capture();
  log.info('request', { request_id: 'r', status: 200, duration: 0.25, user: undefined });
  assert.deepEqual(lines, [
    '{"level":"info","ts":1700000000.250000,"msg":"request","request_id":"r","status":200,"duration":0.25}\n',
  ]);
});

test('levels are thresholds', () => {
  for (const [level, said] of [
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['dpanic', []],
    ['panic', []],
    ['fatal', []],
  ] as const) {
    const { log, lines } = capture(level);
    for (const name of ['debug', 'info', 'warn', 'error'] as const) log[name](name);
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).level),
      said,
      level,
    );
  }
});

test('many equal lines are all there', () => {
  const { log, lines } = capture();
  for (let i = 0; i < 500; i++) log.info('request');
  assert.equal(lines.length, 500);
});

test('bound fields are on every line, and names of the line itself are not overwritten', () => {
  const { log, last } = capture();
  log.with({ request_id: 'r', a: 1 }).with({ a: 2 }).warn('x', { msg: 'y', level: 'z', ts: 1 });
  const { level, ts, ...rest } = last();
  assert.equal(level, 'warn');
  assert.equal(ts, 1_700_000_000.25);
  assert.deepEqual(rest, { msg: 'x', request_id: 'r', a: 2, msg_: 'y', level_: 'z', ts_: 1 });
});

test('an error is its message; from the level error on there is a stack, with the causes', () => {
  const { log, last } = capture();
  const error = new FactoryError('internal', 'X', 'outer', { cause: new TypeError('inner') });
  log.warn('x', { error });
  assert.equal(last().error, 'outer');
  assert.ok(!('stacktrace' in last()));
  log.error('x', { error });
  assert.equal(last().error, 'outer');
  assert.match(String(last().stacktrace), /outer[\s\S]*caused by: TypeError: inner/);
  log.error('x');
  assert.match(String(last().stacktrace).split('\n')[0] ?? '', /json-log\.test\.ts/);
});

test('secrets do not appear', () => {
  const { log, lines } = capture();
  log.with({ Authorization: 'topsecret' }).error('GET https://u:topsecret@h/x?token=topsecret&a=b failed', {
    error: new Error('at https://topsecret@host/?X-Amz-Signature=topsecret'),
    headers: {
      'set-cookie': ['topsecret'],
      via: 'Bearer topsecret.topsecret0',
      nested: { client_secret: 'topsecret' },
    },
    extraKernelArgs: ['topsecret'],
    url: new URL('http://u:topsecret@h/'),
    list: [{ password: 'topsecret' }],
  });
  assert.doesNotMatch(lines.join(), /topsecret/);
  assert.match(lines.join(), /a=b/);
  for (const text of ['Basic Authentication is off', 'bearer authentication', 'a https://h/p@x']) {
    assert.equal(redactText(text), text);
  }
  assert.equal(redactText('basic dTpw0A=='), 'basic ***');
});

test('values that JSON cannot hold are described', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  assert.match(JSON.stringify(redactField('a', cycle)), /too deep/);
  for (const [value, logged] of [
    [10n, '10'],
    [new Uint8Array(3), '(3 bytes)'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(Number.NaN), '(invalid date)'],
    [new Map([['a', 1]]), { a: 1 }],
    [new Set([1]), [1]],
    [() => 0, '(function)'],
    [Symbol('x'), '(symbol)'],
    [null, null],
    ['x'.repeat(20_000), `${'x'.repeat(16_384)}...`],
  ] as const) {
    assert.deepEqual(redactField('a', value), logged);
  }
});

test('names of levels', () => {
  for (const [text, level] of [
    ['', 'info'],
    ['INFO', 'info'],
    ['Warning', 'warn'],
    ['fatal', 'fatal'],
    ['loud', undefined],
    ['toString', undefined],
    [' info', undefined],
  ] as const) {
    assert.equal(parseLogLevel(text), level, text);
  }
});

test('lines written in the course of a work carry its fields, also those of what it left running', async () => {
  const { log, lines } = capture();
  const other = log.with({ a: 1 });
  const started = Promise.withResolvers<void>();
  let later: Promise<void> | undefined;
  log.within({ request_id: 'r' }, () => {
    later = started.promise.then(() => other.info('later'));
    other.info('now');
    log.within({ step: 2 }, () => log.info('deeper'));
  });
  log.info('outside');
  started.resolve();
  await later;
  assert.deepEqual(
    lines.map((line) => {
      const { level, ts, ...rest } = JSON.parse(line);
      return rest;
    }),
    [
      { msg: 'now', request_id: 'r', a: 1 },
      { msg: 'deeper', request_id: 'r', step: 2 },
      { msg: 'outside' },
      { msg: 'later', request_id: 'r', a: 1 },
    ],
  );
});
