import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import type { Node } from './nodes.ts';
import { parseDocument } from './parser.ts';

/** A document as nested arrays: mappings are arrays of pairs. */
function shape(node: Node): unknown {
  switch (node.kind) {
    case 'alias':
      return `*${node.name}`;
    case 'scalar':
      return node.tag === '' ? node.value : `${node.tag} ${node.value}`;
    case 'sequence':
      return node.items.map(shape);
    case 'mapping':
      return Object.fromEntries(
        node.items.flatMap((key, i) => (i % 2 === 0 ? [[shape(key), shape(node.items[i + 1]!)]] : [])),
      );
  }
}

describe('parseDocument', () => {
  const rows: readonly (readonly [string, unknown])[] = [
    ['a: b', { a: 'b' }],
    ['a:\n- b\n- c\nd: e', { a: ['b', 'c'], d: 'e' }],
    ['a:\n  - b\n  - c: d\n    e: f\n  -\n    - g', { a: ['b', { c: 'd', e: 'f' }, ['g']] }],
    ['- - a\n  - b\n- c', [['a', 'b'], 'c']],
    ['{a: [b, c], d, "e": , ? f : g}', { a: ['b', 'c'], d: '', e: '', f: 'g' }],
    ['[a: b, {c: d}, [e], ]', [{ a: 'b' }, { c: 'd' }, ['e']]],
    ['{"a":1,"b":[2,3]}', { a: '1', b: ['2', '3'] }],
    ['? a\n: b\n? c\n', { a: 'b', c: '' }],
    ['a:\n  b:\n    c\nd:', { a: { b: 'c' }, d: '' }],
    ['&x a: *x', { a: '*x' }],
    ['a: !!str 1\nb: !t 2\nc: !<u> 3\nd: !!str', { a: '!!str 1', b: '!t 2', c: 'u 3', d: '!!str ' }],
    ['a: b # c\n# d\ne: f#g', { a: 'b', e: 'f#g' }],
    ['a: |\n  b\n   c\n\n  d\n\ne: f', { a: 'b\n c\n\nd\n', e: 'f' }],
    ['a: |-\n  b\n\nc: |+\n  d\n\n', { a: 'b', c: 'd\n\n' }],
    ['a: |2\n   b\n  c\n', { a: ' b\nc\n' }],
    ['a: >\n  b\n  c\n\n  d\n   e\n  f\n', { a: 'b c\nd\n e\nf\n' }],
    ['a: >-\n\n  b\n', { a: '\nb' }],
    ["a: \"\"\nb: ''\nc: 'it''s'", { a: '', b: '', c: "it's" }],
    ['a: "b\n\n  c\n  d \\\n  e"', { a: 'b\nc d e' }],
    ["a: 'b\n  c'", { a: 'b c' }],
    ['a: b\n  c\n\n  d', { a: 'b c\nd' }],
    ['a: http://b:1/c?d=e#f', { a: 'http://b:1/c?d=e#f' }],
    ['[http://b:1/?c=d, x?]', ['http://b:1/?c=d', 'x?']],
    ['a: -b\nc: :d\ne: ?f', { a: '-b', c: ':d', e: '?f' }],
    ['[?a, ? b, c? d]', [{ a: '' }, { b: '' }, 'c? d']],
    ['a: |# b\n c', { a: 'c' }],
    ['a:\tb', { a: 'b' }],
    ['"\\x41\\u00e9\\U0001f600\\N\\_\\L\\P\\e\\0\\ \\/"', 'Aé😀\u0085\u00a0\u2028\u2029\x1b\0 /'],
    ['--- a\n...\nb', 'a'],
    ['--- |\n a', 'a'],
    ['--- |\n---\n', ''],
    ['# only\n--- # a\nb', 'b'],
  ];
  for (const [text, expected] of rows) {
    it(JSON.stringify(text), () => assert.deepEqual(shape(parseDocument(Buffer.from(text))), expected));
  }

  const refused: readonly (readonly [string, RegExp])[] = [
    ['a: b\n c: d', /L2\.C3: mapping values are not allowed in this context/],
    ['- a\nb: c', /while parsing a block collection\) at L1\.C1-L2\.C1: did not find expected '-' indicator/],
    ['a: b\n- c', /while parsing a block mapping\) at L1\.C1-L2\.C1: did not find expected key/],
    ['a: - b', /block sequence entries are not allowed in this context/],
    ['a: ? b', /mapping keys are not allowed in this context/],
    ['[a', /while parsing a flow sequence\) at L1\.C1-L2\.C1: did not find expected ',' or '\]'/],
    ['[a}', /did not find expected ',' or '\]'/],
    [']', /did not find expected node content/],
    ['a: @b', /found character that cannot start any token/],
    ['a: `b', /found character that cannot start any token/],
    ['a: |0\n b', /found an indentation indicator equal to 0/],
    ['a: | b', /did not find expected comment or line break/],
    ['a: |\n\tb', /found a tab character where an indentation space is expected/],
    ['a: "b\n---\nc"', /found unexpected document indicator/],
    ['a: "\\x4g"', /did not find expected hexdecimal number/],
    ['a: &', /did not find expected alphabetic or numeric character/],
    ['a: *', /while scanning an alias/],
    ['%FOO\n---\na', /found unknown directive name/],
    ['%YAML 1.x\n---\na', /did not find expected version number/],
    ['%TAG ! a\n%TAG ! b\n---\nc', /found duplicate %TAG directive/],
    ['%YAML 1.1\na', /did not find expected <document start>/],
    ['a: !<b c', /did not find the expected '>'/],
    ['a: !b%zz c', /did not find URI escaped octet/],
    [`${'k'.repeat(1025)}: a`, /mapping values are not allowed in this context|could not find expected ':'/],
    ['a\nb: c', /could not find expected ':'|mapping values are not allowed/],
  ];
  for (const [text, expected] of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.throws(() => parseDocument(Buffer.from(text)), { code: 'SCHEMATIC_INVALID', message: expected });
    });
  }

  it('takes a key of 1024 characters, however many code units they have', () => {
    const key = '😀'.repeat(1024);
    assert.deepEqual(shape(parseDocument(Buffer.from(`${key}: a`))), { [key]: 'a' });
    assert.throws(() => parseDocument(Buffer.from(`${key}x: a`)));
  });

  it('gives nodes the line they begin on', () => {
    const document = parseDocument(Buffer.from('a:\n  b:\n  - c\n'));
    assert.ok(document.kind === 'mapping');
    const inner = document.items[1];
    assert.ok(inner?.kind === 'mapping');
    assert.deepEqual([document.line, inner.line, inner.items[1]?.line], [1, 2, 3]);
  });

  it('reads what an independent writer wrote, in block and flow style', () => {
    const word = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.string({ unit: 'grapheme-composite', maxLength: 6 }),
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        word,
        fc.array(tie('value'), { minLength: 1, maxLength: 3 }),
        fc.dictionary(
          word.filter((key) => key !== '__proto__'),
          tie('value'),
          { minKeys: 1, maxKeys: 3, noNullPrototype: true },
        ),
      ),
    }));
    fc.assert(
      fc.property(value, fc.constantFrom('BLOCK', 'FLOW'), (expected, style) => {
        const text = stringify(expected, {
          version: '1.1',
          collectionStyle: style === 'FLOW' ? 'flow' : 'block',
          aliasDuplicateObjects: false,
          defaultStringType: 'QUOTE_DOUBLE',
          lineWidth: 0,
        });
        assert.deepEqual(shape(parseDocument(Buffer.from(text))), expected);
      }),
      { numRuns: 300 },
    );
  });
});
