import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { FactoryError } from '../errors.ts';
import { BOOTLOADERS } from '../talos/bootloader.ts';
import { type CanonicalSchematic, canonicalize } from './canonicalize.ts';
import { decodeSchematic } from './decode.ts';
import { encodeSchematic } from './encode.ts';
import { emptySchematic, type OptionScalar, type OptionValue, type Schematic } from './schematic.ts';

/** Texts where quoting goes wrong: indicators, white space, breaks, what looks like another type. */
const PIECES = [
  ...' \t\n\r:#-?,[]{}&*!|>\'"%@`=~\\',
  ...['a', 'é', '日本', '😀', '\u0085', '\u00a0', '\u2028', '\ufeff', '\0', '\x7f', '\u200b', '\ufffd'],
  ...[
    '---',
    '...',
    'null',
    'yes',
    '0x1',
    '1_0',
    '1e3',
    '.5',
    '1:30',
    '<<',
    '2020-01-01',
    'true',
    ': ',
    ' #',
    '\n\n',
  ],
];
const text = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.array(fc.string({ maxLength: 20 }), { maxLength: 4 }).map((lines) => lines.join('\n')),
  fc.integer({ min: 120, max: 140 }).map((length) => 'k'.repeat(length)),
);
/** Most texts without what has no canonical form that reads back (`spec/schematic.md` §3.5). */
const readable = fc.oneof(
  { arbitrary: text.map((value) => (value.includes('\n') ? `k${value}` : value)), weight: 30 },
  { arbitrary: text, weight: 1 },
);
const scalar: fc.Arbitrary<OptionScalar> = fc.oneof(
  readable,
  fc.boolean(),
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.double(),
);
const options = fc.letrec<{ value: OptionValue; map: ReadonlyMap<OptionScalar, OptionValue> }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('map')),
  map: fc.array(fc.tuple(readable, tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
})).map;
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });
const schematic: fc.Arbitrary<Schematic> = record({
  owner: readable,
  overlay: record({ image: readable, name: readable, options }),
  customization: record({
    embeddedMachineConfiguration: readable,
    extraKernelArgs: fc.array(readable, { maxLength: 4 }),
    meta: fc.array(record({ key: fc.nat(255), value: readable }), { maxLength: 3 }),
    systemExtensions: record({ officialExtensions: fc.array(readable, { maxLength: 2 }) }),
    bootloader: fc.constantFrom(...BOOTLOADERS),
    secureboot: record({ enrollKeys: readable, includeWellKnownCertificates: fc.boolean() }),
    diskImage: record({ sectorSize: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  }),
});

/** `undefined` for what has no canonical form that reads back. */
function canonicalOf(value: Schematic): CanonicalSchematic | undefined {
  try {
    return canonicalize(value);
  } catch (error) {
    assert.ok(error instanceof FactoryError && error.code === 'SCHEMATIC_INVALID', String(error));
    return undefined;
  }
}

describe('canonical YAML', () => {
  it('reads back as what it was made of', () => {
    let kept = 0;
    fc.assert(
      fc.property(schematic, (value) => {
        const canonical = canonicalOf(value);
        if (canonical === undefined) return;
        kept++;
        const again = decodeSchematic(Buffer.from(canonical.canonical));
        assert.equal(encodeSchematic(again), canonical.canonical);
        assert.deepEqual(again.customization, value.customization);
        assert.equal(canonical.canonical.endsWith('\n'), true);
      }),
      { numRuns: 400 },
    );
    // Most do: what fails begins a text of several lines with white space.
    assert.ok(kept > 100, `${kept} of 400`);
  });

  it('is what an independent YAML reader takes for the same texts', () => {
    // Line separators break lines in YAML 1.1 only; a text with a byte order mark inside is refused there.
    const shared = text.filter((value) => !/[\u2028\u2029\ufeff]/.test(value));
    fc.assert(
      fc.property(fc.array(shared, { maxLength: 6 }), shared, (extraKernelArgs, name) => {
        const empty = emptySchematic();
        const value: Schematic = {
          ...empty,
          overlay: { image: 'x', name, options: new Map([['o', extraKernelArgs]]) },
          customization: { ...empty.customization, extraKernelArgs },
        };
        const canonical = canonicalOf(value);
        if (canonical === undefined) return;
        const read: unknown = parse(canonical.canonical, { version: '1.2', maxAliasCount: 0 });
        assert.deepEqual(read, {
          overlay: { image: 'x', name, options: { o: extraKernelArgs } },
          customization: extraKernelArgs.length === 0 ? {} : { extraKernelArgs },
        });
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on the order of options', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: fc.constantFrom(...'ab09-'), maxLength: 3 })), (keys) => {
        const encode = (order: readonly string[]): string =>
          encodeSchematic({
            ...emptySchematic(),
            overlay: { image: '', name: '', options: new Map(order.map((key) => [key, key])) },
          });
        assert.equal(encode(keys), encode(keys.toReversed()));
      }),
    );
  });

  const unreadable: readonly (readonly [string, Partial<Schematic['customization']>])[] = [
    ['a META value that begins with a blank', { meta: [{ key: 10, value: ' a\nb' }] }],
    ['an argument that begins with a blank', { extraKernelArgs: [' a\nb'] }],
    ['a configuration that begins with a tab', { embeddedMachineConfiguration: '\ta\nb' }],
  ];
  for (const [name, customization] of unreadable) {
    it(`is refused for ${name}`, () => {
      const empty = emptySchematic();
      assert.throws(
        () => canonicalize({ ...empty, customization: { ...empty.customization, ...customization } }),
        (error) =>
          error instanceof FactoryError &&
          error.kind === 'invalid' &&
          error.code === 'SCHEMATIC_INVALID' &&
          /cannot be read back/.test(error.message),
      );
    });
  }
});

describe('decoding of anything', () => {
  const seeds = readFileSync(new URL('testdata/vectors.jsonl', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => Buffer.from((JSON.parse(line) as { readonly in: string }).in));

  function tries(bytes: Uint8Array): void {
    try {
      encodeSchematic(decodeSchematic(bytes));
    } catch (error) {
      assert.ok(error instanceof FactoryError && error.code === 'SCHEMATIC_INVALID', String(error));
    }
  }

  it('of mutated schematics gives a schematic or an error of its own', () => {
    const inserted = fc.oneof(
      fc
        .constantFrom(...PIECES, '&a ', '*a', '<<: ', '? ', '- ', '!!binary ', '!!int ', '%YAML', '\ud800')
        .map((piece) => Buffer.from(piece)),
      fc.uint8Array({ maxLength: 3 }),
    );
    const mutation = fc.record({ at: fc.nat(), remove: fc.nat(6), insert: inserted });
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        (seed, mutations) => {
          let bytes: Buffer = seed;
          for (const { at, remove, insert } of mutations) {
            const cut = at % (bytes.length + 1);
            bytes = Buffer.concat([bytes.subarray(0, cut), insert, bytes.subarray(cut + remove)]);
          }
          tries(bytes);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('of a mixture of indicators gives a schematic or an error of its own', () => {
    const indicator = fc.constantFrom(
      ...PIECES,
      'customization:',
      'overlay:',
      'options:',
      '&a',
      '*a',
      '<<:',
      '- ',
      '? ',
      ': ',
      '\n  ',
    );
    fc.assert(
      fc.property(fc.array(indicator, { maxLength: 40 }), (pieces) => tries(Buffer.from(pieces.join('')))),
      { numRuns: 3000 },
    );
  });

  it('of cut schematics gives a schematic or an error of its own', () => {
    for (const seed of seeds.slice(0, 40)) {
      for (let length = 0; length < seed.length; length += 7) tries(seed.subarray(0, length));
    }
  });
});
