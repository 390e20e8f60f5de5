import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FactoryError } from '../errors.ts';
import { decodeSchematic } from './decode.ts';
import { encodeSchematic } from './encode.ts';
import { emptySchematic, isOptionList, type OptionValue } from './schematic.ts';

const DEFAULT = 'customization: {}\n';
const GRUB = 'customization:\n    bootloader: grub\n';

function canonical(input: string | Uint8Array): string {
  return encodeSchematic(decodeSchematic(typeof input === 'string' ? Buffer.from(input) : input));
}

function args(...values: readonly string[]): string {
  return `customization:\n    extraKernelArgs:\n${values.map((value) => `        - ${value}\n`).join('')}`;
}

function options(flow: string): string {
  return `overlay: {image: x, name: z1, options: ${flow}}`;
}

function optionLines(...lines: readonly string[]): string {
  const head = 'overlay:\n    image: x\n    name: z1\n    options:\n';
  return `${head}${lines.map((line) => `        ${line}\n`).join('')}customization: {}\n`;
}

function message(input: string | Uint8Array): string {
  try {
    canonical(input);
  } catch (error) {
    assert.ok(error instanceof FactoryError, String(error));
    assert.equal(error.kind, 'invalid');
    assert.equal(error.code, 'SCHEMATIC_INVALID');
    return error.message;
  }
  return assert.fail('it was accepted');
}

describe('the stream of a schematic', () => {
  const accepted: readonly (readonly [string, string | Uint8Array, string])[] = [
    ['a byte order mark', '\ufeffcustomization: {}', DEFAULT],
    ['UTF-16 LE', Buffer.from('\ufeffcustomization: {bootloader: grub}', 'utf16le'), GRUB],
    ['UTF-16 BE', Buffer.from('\ufeffcustomization: {bootloader: grub}', 'utf16le').swap16(), GRUB],
    ['an empty document', '---', DEFAULT],
    ['an empty document with its end', '---\n...\n', DEFAULT],
    ['a tilde', '~', DEFAULT],
    ['YAML 1.1', '%YAML 1.1\n---\ncustomization: {}', DEFAULT],
    ['YAML 1.2', '%YAML 1.2 # comment\n---\ncustomization: {}', DEFAULT],
    ['garbage after the end', 'customization: {bootloader: grub}\n...\n]]]', GRUB],
    ['a broken second document', 'customization: {bootloader: grub}\n---\n[', GRUB],
    ['control characters in a second document', 'customization: {bootloader: grub}\n---\n\n"\x01"', GRUB],
    ['invalid UTF-8 in a second document', Buffer.from('{}\n---\n\n\xff', 'latin1'), DEFAULT],
    ['CR LF', 'customization:\r\n  bootloader: grub\r\n', GRUB],
    ['CR', 'customization:\r  bootloader: grub\r', GRUB],
    ['JSON indented by tabs', '{\n\t"customization": {\n\t\t"bootloader":\t"grub"\n\t}\n}\n', GRUB],
    ['JSON without blanks', '{"customization":{"bootloader":"grub"}}', GRUB],
    ['escaped slashes of JSON', '{"customization":{"extraKernelArgs":["a\\/b"]}}', args('a/b')],
    [
      'surrogate pairs of JSON',
      '{"customization":{"extraKernelArgs":["\\ud83d\\ude00"]}}',
      args('"\\U0001F600"'),
    ],
    ['escaped control characters', 'customization: {extraKernelArgs: ["\\u0000"]}', args('"\\0"')],
    ['explicit keys', '? customization\n: ? bootloader\n  : grub\n', GRUB],
    ['a list under its key', 'customization:\n  extraKernelArgs:\n  - a\n  -\n  - b', args('a', 'b')],
    ['comments', '# one\ncustomization: # two\n  # three\n  bootloader: grub # four\n', GRUB],
    ['a plain scalar on two lines', 'customization:\n  extraKernelArgs:\n  - a\n    b\n', args('a b')],
    ['folded text', 'customization:\n  extraKernelArgs:\n  - >-\n    a\n    b\n', args('a b')],
    ['quoted text on lines', 'customization: {extraKernelArgs: ["a\n  b\\\n  c"]}', args('a bc')],
    [
      'a tag of YAML',
      'customization: {meta: [{key: !!int "10"}]}',
      'customization:\n    meta:\n        - key: 10\n          value: ""\n',
    ],
    [
      'a declared tag',
      '%TAG !y! tag:yaml.org,2002:\n---\ncustomization: {extraKernelArgs: [!y!str 5]}',
      args('"5"'),
    ],
    ['a local tag', 'customization: {extraKernelArgs: [!local 5]}', args('"5"')],
    [
      'a question mark in flow context',
      'customization: {extraKernelArgs: [http://x/?y=z]}',
      args('http://x/?y=z'),
    ],
  ];
  for (const [name, input, expected] of accepted) {
    it(`may have ${name}`, () => assert.equal(canonical(input), expected));
  }

  const refused: readonly (readonly [string, string | Uint8Array, string])[] = [
    ['only blanks', ' \n \n', 'EOF'],
    [
      'invalid UTF-8',
      Buffer.from('owner: \xff', 'latin1'),
      'go-yaml load error in reader at L1.C8: invalid UTF-8 sequence',
    ],
    [
      'a control character',
      'owner: "\x01"',
      'go-yaml load error in reader at L1.C9: control characters are not allowed',
    ],
    ['DEL', 'owner: "\x7f"', 'go-yaml load error in reader at L1.C9: control characters are not allowed'],
    [
      'YAML 2',
      '%YAML 2.0\n---\n{}',
      'go-yaml load error in parser at L1.C1: found incompatible YAML document',
    ],
    [
      'half a surrogate pair',
      '{"owner": "\\ud83d"}',
      'go-yaml load error in scanner (while parsing a quoted scalar) at L1.C11-L1.C18: found invalid Unicode character escape code',
    ],
    [
      'an unknown escape',
      'owner: "\\q"',
      'go-yaml load error in scanner (while parsing a quoted scalar) at L1.C8-L1.C9: found unknown escape character',
    ],
    [
      'an open quote',
      'owner: "a',
      'go-yaml load error in scanner (while scanning a quoted scalar) at L1.C8-L1.C10: found unexpected end of stream',
    ],
    [
      'two keys on a line',
      'a: b: c',
      'go-yaml load error in scanner at L1.C5: mapping values are not allowed in this context',
    ],
    [
      'a merge of a text',
      'customization: {<<: x}',
      'yaml: map merge requires map or sequence of maps as the value',
    ],
    [
      'an undeclared tag',
      'owner: !e!x y',
      'go-yaml load error in parser (while parsing a node) at L1.C8: found undefined tag handle',
    ],
    ['bad base64', 'owner: !!binary x', 'yaml: line 1: !!binary value contains invalid base64 data'],
    ['a tag that does not fit', 'owner: !!int x', 'yaml: line 1: cannot construct !!str `x` as a !!int'],
    [
      'a long value of a wrong type',
      'customization: {meta: [{key: abcdefghijk}]}',
      'yaml: construct errors: line 1: cannot construct !!str `abcdefg...` into uint8',
    ],
    ['a list as a key', options('{a: {[x]: 1}}'), 'yaml: line 1: invalid map key: a sequence'],
    [
      '__proto__',
      '__proto__: {}',
      'yaml: construct errors: line 1: field __proto__ not found in type schematic.Schematic',
    ],
    ['an alias of what it is in', options('&a {b: *a}'), "yaml: anchor 'a' value contains itself"],
    ['a merge of what it is in', options('{x: &a {<<: *a}}'), "yaml: anchor 'a' value contains itself"],
  ];
  for (const [name, input, expected] of refused) {
    it(`may not have ${name}`, () => assert.equal(message(input), expected));
  }

  it('tells at most 32 errors', () => {
    const text = message(Array.from({ length: 1000 }, (_, i) => `k${i}: 1`).join('\n'));
    assert.ok(text.endsWith('line 32: field k31 not found in type schematic.Schematic; and 968 more'));
  });
});

describe('the fields of a schematic', () => {
  it('are those of the empty one when all are null', () => {
    const text =
      'owner: ~\noverlay: {image: ~, name: ~, options: ~}\ncustomization: {embeddedMachineConfiguration: ~, ' +
      'extraKernelArgs: [~], meta: [~], systemExtensions: {officialExtensions: ~}, bootloader: ~, ' +
      'secureboot: {enrollKeys: ~, includeWellKnownCertificates: ~}, diskImage: {sectorSize: ~}}';
    assert.deepEqual(decodeSchematic(Buffer.from(text)), emptySchematic());
    assert.deepEqual(decodeSchematic(Buffer.from('{overlay: ~, customization: ~}')), emptySchematic());
  });

  it('take `auto` for no bootloader', () => {
    assert.equal(canonical('customization: {bootloader: AUTO}'), DEFAULT);
  });

  it('keep a sector size of 64 bits', () => {
    const text = 'customization:\n    diskImage:\n        sectorSize: 18446744073709551615\n';
    assert.equal(canonical(text), text);
    assert.match(message(text.replace('615', '616')), /cannot construct !!float `1844674...` into uint$/);
  });

  it('keep bytes that are no text', () => {
    assert.equal(canonical('owner: !!binary aGVsbG8='), 'owner: hello\ncustomization: {}\n');
    assert.equal(canonical('owner: !!binary //79'), 'owner: !!binary //79\ncustomization: {}\n');
    const long = Buffer.alloc(120, 0xfe).toString('base64');
    const once = canonical(`owner: !!binary ${long}`);
    assert.match(once, /^owner: !!binary \|\n {4}[/v7+]{70}\n {4}[/v7+]{70}\n/);
    assert.equal(canonical(once), once);
  });
});

describe('options of an overlay', () => {
  for (const [input, ...lines] of [
    ['{1: a, true: b, 1.5: c, ~: d}', '"": d', '"1": a', '"1.5": c', '"true": b'],
    ['{a: {0x1: x, 1: y}}', 'a:', '    1: "y"'],
    [
      '{a: {2020-01-02: b, x: c, 2020-01-01: a}}',
      'a:',
      '    x: c',
      '    2020-01-01T00:00:00Z: a',
      '    2020-01-02T00:00:00Z: b',
    ],
    ['{a: !!float 3, b: !!str 3, c: !!null ""}', 'a: 3', 'b: "3"', 'c: null'],
    [
      '{x: &a {p: 1, q: 2}, z: {<<: [*a, {r: 3, q: 4}], p: 5}}',
      'x:',
      '    p: 1',
      '    q: 2',
      'z:',
      '    p: 5',
      '    q: 2',
      '    r: 3',
    ],
    ['{x: {<<: {<<: {a: 1, b: 1}, a: 2}, c: 3}}', 'x:', '    a: 2', '    b: 1', '    c: 3'],
    ['{a: "<<", "<<": b}', '"<<": b', 'a: "<<"'],
    ['{__proto__: 1, constructor: 2}', '__proto__: 1', 'constructor: 2'],
    ['[a, b]'.replace(/.*/, '{a: [b: c, ? d]}'), 'a:', '    - b: c', '    - d: null'],
  ] as const) {
    it(input, () => assert.equal(canonical(options(input)), optionLines(...lines)));
  }
});

describe('limits of decoding', () => {
  const deepest = (value: OptionValue | undefined): number => {
    let depth = 0;
    for (let at = value; at !== undefined && isOptionList(at); at = at[0]) depth++;
    return depth;
  };

  it('read 9000 levels of nesting, and write them', () => {
    const input = options(`{a: ${'['.repeat(9000)}${']'.repeat(9000)}}`);
    const schematic = decodeSchematic(Buffer.from(input));
    assert.equal(deepest(schematic.overlay.options.get('a')), 9000);
    const once = encodeSchematic(schematic);
    assert.equal(canonical(once), once);
  });

  for (const [name, input] of [
    ['flow lists', '['.repeat(1_000_000)],
    ['flow mappings', '{a: '.repeat(200_000)],
    ['block lists', '- '.repeat(200_000)],
    ['keys', '? '.repeat(200_000)],
  ] as const) {
    it(`refuse too deep ${name}`, () => assert.match(message(input), /exceeded max depth of 10000$/));
  }

  it('refuse alias bombs', () => {
    const level = (name: string, of: string): string => `${name}: &${name} [${Array(10).fill(of).join(',')}]`;
    const names = [...'abcdefgh'];
    const bomb = names.map((name, i) => level(name, i === 0 ? 'x' : `*${names[i - 1]}`)).join(', ');
    assert.equal(message(options(`{${bomb}}`)), 'yaml: document contains excessive aliasing');
    const merge = (name: string, of: string): string =>
      `${name}: &${name} {<<: [${Array(9).fill(of).join(',')}]}`;
    const merges = names.slice(1).map((name, i) => merge(name, `*${names[i]}`));
    assert.equal(
      message(options(`{a: &a {x: 1}, ${merges.join(', ')}}`)),
      'yaml: document contains excessive aliasing',
    );
  });

  it('refuse what becomes too large', () => {
    const text = 'x'.repeat(1 << 20);
    assert.match(message(options(`{a: &a ${text}, b: [${'*a,'.repeat(90)}]}`)), /would be longer than/);
    assert.match(message(options(`${'{a: '.repeat(9000)}1${'}'.repeat(9000)}`)), /would be longer than/);
  });

  const large: readonly (readonly [string, string, number])[] = [
    ['a text of 4 MiB', `owner: "${'x'.repeat(4 << 20)}"`, 4 << 20],
    ['a text of 4 MiB of digits', `owner: ${'1'.repeat(4 << 20)}`, 4 << 20],
    ['many words', `owner: ${'x '.repeat(500_000)}y`, 1_000_000],
    ['many escapes', `owner: "${'\\n\\u00e9'.repeat(100_000)}"`, 200_000],
    ['many colons', `owner: ${':x'.repeat(500_000)}`, 1_000_000],
    ['a block of 100000 lines', `owner: |\n${'  some: line\n'.repeat(100_000)}`, 1_200_000],
    ['100000 arguments', `customization: {extraKernelArgs: [${'abc,'.repeat(100_000)}]}`, 1_200_000],
    [
      '100000 arguments on lines',
      `customization:\n  extraKernelArgs:\n${'  - abc\n'.repeat(100_000)}`,
      1_200_000,
    ],
    ['300000 nulls', `customization: {extraKernelArgs: [${'~,'.repeat(300_000)}]}`, 0],
    [
      '20000 keys',
      options(`{${Array.from({ length: 20_000 }, (_, i) => `key${i}: ${i}`).join(', ')}}`),
      200_000,
    ],
    [
      'keys of many digits',
      options(`{${Array.from({ length: 20 }, (_, i) => `? k${'1'.repeat(20_000)}${i}: ${i}\n`).join(',')}}`),
      400_000,
    ],
  ];
  for (const [name, input, least] of large) {
    it(`read ${name}`, () => assert.ok(canonical(input).length > least));
  }
});
