import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDotenv, quoteDotenv } from './dotenv.ts';

test('the syntax', () => {
  const text = [
    '\uFEFF# a comment',
    '',
    'A=1',
    'B: two words  # said so',
    '  export C = x#y',
    `D='$A \\n \${A}' # literal`,
    `E="a\\nb \\"\${A}\\" \\\${A} \${missing}."`,
    'F=(@x\\.com$|^y$)',
    'G=',
    'H= # nothing',
    'http.externalURL=https://x/?a=b',
    'I="two',
    'lines"',
    'J=["*", "a b"]',
    'A=again',
    '   ',
  ].join('\r\n');
  assert.deepEqual(
    parseDotenv(text),
    new Map([
      ['A', 'again'],
      ['B', 'two words'],
      ['C', 'x#y'],
      ['D', `$A \\n \${A}`],
      ['E', `a\nb "1" \${A} .`],
      ['F', '(@x\\.com$|^y$)'],
      ['G', ''],
      ['H', ''],
      ['http.externalURL', 'https://x/?a=b'],
      ['I', 'two\nlines'],
      ['J', '["*", "a b"]'],
    ]),
  );
});

test('a mistake names its line and not its text', () => {
  for (const [text, message] of [
    ['A=1\nsecret', 'dotenv: line 2: expected KEY=value'],
    ['=x', 'dotenv: line 1: expected KEY=value'],
    ['A=1\n\nB="secret', 'dotenv: line 3: a quote is not closed'],
    ["A='secret' x", 'dotenv: line 1: text after the closing quote'],
    ['A B=1', 'dotenv: line 1: expected KEY=value'],
  ] as const) {
    assert.throws(() => parseDotenv(text), { code: 'CONFIG_MALFORMED', message }, text);
  }
});

test('quoted values are read back, and every text ends in pairs or in an error', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab \t\n\r"\'\\$#{}=A') }), (value) => {
      assert.equal(parseDotenv(`A=${quoteDotenv(value)}\nB=1`).get('A'), value);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'aA= \t\n"\'\\#:') }), (text) => {
      try {
        assert.ok(parseDotenv(text).size >= 0);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'CONFIG_MALFORMED');
      }
    }),
  );
});
