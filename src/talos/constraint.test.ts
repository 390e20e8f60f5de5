import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { satisfies } from './constraint.ts';
import { parseTalosVersion } from './version.ts';

const ROWS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['>= v1.0.0', ['1.0.0', '1.14.0', '2.0.0'], ['0.14.0']],
  ['>= 1.8.0', ['v1.8.0-alpha.1', '1.8.0'], ['1.7.9']],
  ['>=1.8.0-beta.1', ['1.8.0-alpha.0'], ['1.7.0']],
  ['> 1.8.0', ['1.8.1'], ['1.8.0', '1.8.0-alpha.1']],
  ['>=1.5.0 <1.8.0', ['1.5.0', '1.7.9'], ['1.4.9', '1.8.0']],
  ['>=1.5.0   <  v1.8.0', ['1.7.9'], ['1.8.0']],
  ['<1.5.0 || >=1.7.0 !=1.7.1', ['1.4.0', '1.7.0', '1.7.2'], ['1.5.0', '1.7.1']],
  ['1.7.1', ['1.7.1', '1.7.1-beta.0'], ['1.7.2']],
  ['==1.7.1', ['1.7.1'], ['1.7.2']],
  ['=1.7.1', ['1.7.1'], ['1.7.2']],
  ['!1.7.1', ['1.7.2'], ['1.7.1']],
  ['1.7.x', ['1.7.0', '1.7.99'], ['1.6.9', '1.8.0', '2.7.0']],
  ['1.x', ['1.0.0', '1.99.0'], ['0.9.0', '2.0.0']],
  ['1.x.x', ['1.99.0'], ['2.0.0']],
  ['>1.7.x', ['1.8.0', '2.0.0'], ['1.7.99']],
  ['>=1.7.x', ['1.7.0'], ['1.6.99']],
  ['<1.7.x', ['1.6.99'], ['1.7.0']],
  ['<=1.7.x', ['1.7.99'], ['1.8.0']],
  ['!1.7.x', ['1.6.0', '1.8.0'], ['1.7.3']],
  ['>1.x', ['2.0.0'], ['1.99.0']],
  ['x', ['0.1.0', '9.9.9'], []],
  [' ', ['1.0.0'], []],
];

describe('satisfies', () => {
  for (const [text, yes, no] of ROWS) {
    it(JSON.stringify(text), () => {
      for (const version of yes) assert.equal(satisfies(parseTalosVersion(version), text), true, version);
      for (const version of no) assert.equal(satisfies(parseTalosVersion(version), text), false, version);
    });
  }

  for (const text of [
    '>= banana',
    '>=',
    '||',
    '1.0.0 ||',
    '|| 1.0.0',
    '1.0',
    '1',
    '=>1.0.0',
    '>>1.0.0',
    '~1.0.0',
    '^1.0.0',
    '>=1.0.0<2.0.0',
    '1.0.0 | 2.0.0',
    '01.0.0',
    '1.x.3',
    'x'.repeat(2000),
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(
        () => satisfies(parseTalosVersion('1.0.0'), text),
        (error) =>
          error instanceof FactoryError &&
          error.code === 'CONSTRAINT_INVALID' &&
          error.message.startsWith('error parsing Talos version constraint: '),
      );
    });
  }

  it('negates with != what = accepts, and < is the rest of >=', () => {
    const part = fc.integer({ min: 0, max: 3 });
    const version = fc.tuple(part, part, part).map((parts) => parts.join('.'));
    const bound = fc.oneof(
      version,
      fc.tuple(part, part).map(([a, b]) => `${a}.${b}.x`),
      part.map((a) => `${a}.x`),
    );
    fc.assert(
      fc.property(version, bound, (text, limit) => {
        const given = parseTalosVersion(text);
        const holds = (operator: string): boolean => satisfies(given, operator + limit);
        assert.notEqual(holds('='), holds('!='));
        assert.notEqual(holds('<'), holds('>='));
        assert.notEqual(holds('>'), holds('<='));
        assert.equal(holds('=') || holds('<'), holds('<='));
      }),
    );
  });
});
