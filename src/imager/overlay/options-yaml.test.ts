import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { decodeSchematic } from '../../schematics/decode.ts';
import { encodeSchematic } from '../../schematics/encode.ts';
import { emptySchematic, type OptionMap, type OptionValue } from '../../schematics/schematic.ts';
import { installRequestYaml, overlayOptionsYaml } from './options-yaml.ts';

const NOTHING: OptionMap = new Map();

test('options have their canonical form at column 0', () => {
  const cases: readonly (readonly [OptionMap, string])[] = [
    [NOTHING, '{}\n'],
    [new Map([['a', 1n]]), 'a: 1\n'],
    [
      new Map<string, OptionValue>([
        ['configTxtAppend', 'x=1'],
        ['configTxt', 'gpu_mem=128\n\n  indented\ndtparam=i2c_arm=on\n'],
        ['b', new Map([['c', ['y', true, null]]])],
      ]),
      'b:\n    c:\n        - "y"\n        - true\n        - null\n' +
        'configTxt: |\n    gpu_mem=128\n\n      indented\n    dtparam=i2c_arm=on\nconfigTxtAppend: x=1\n',
    ],
  ];
  for (const [options, yaml] of cases) assert.equal(overlayOptionsYaml(options), yaml);
});

test('an install request', () => {
  const paths = { disk: '/work/disk.img', root: '/work/root', artifacts: '/overlay/artifacts' };
  const head =
    'installDisk: "/work/disk.img"\nmountPrefix: "/work/root"\nartifactsPath: "/overlay/artifacts"\n';
  assert.equal(installRequestYaml(paths, NOTHING), head);
  assert.equal(
    installRequestYaml(paths, new Map([['a', 'x\n\ny\n']])),
    `${head}extraOptions:\n    a: |\n        x\n\n        y\n`,
  );
  const odd = { ...paths, disk: '/a "b"\\\n: #' };
  assert.equal(parse(installRequestYaml(odd, NOTHING)).installDisk, odd.disk);
});

const value: fc.Arbitrary<OptionValue> = fc.letrec<{ value: OptionValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.string({ unit: fc.constantFrom('a', ' ', '\n', '\t', ':', '#', '-'), maxLength: 12 }),
    fc.boolean(),
    fc.bigInt({ min: -5n, max: 1n << 60n }),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(fc.string({ maxLength: 5 }), tie('value')), { maxLength: 3 }).map((e) => new Map(e)),
  ),
})).value;

test('whatever the options are, they are read as from the schematic', () => {
  const entries = fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 8 }), value), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(entries, (given) => {
      const options: OptionMap = new Map(given);
      const canonical = encodeSchematic({
        ...emptySchematic(),
        overlay: { image: '', name: '', options },
      });
      // Some block scalars that begin with white space are canonical, and yet do not read back as they were.
      fc.pre(isFaithful(canonical));
      const request = installRequestYaml({ disk: 'd', root: 'r', artifacts: 'a' }, options).split('\n');
      const documents = [
        ['overlay:', '  options:', overlayOptionsYaml(options).replace(/^(?=.)/gm, '    ')],
        ['overlay:', '  options:', ...request.slice(4)],
      ];
      for (const lines of documents) {
        assert.equal(encodeSchematic(decodeSchematic(Buffer.from(lines.join('\n')))), canonical);
      }
    }),
  );
});

function isFaithful(canonical: string): boolean {
  try {
    return encodeSchematic(decodeSchematic(Buffer.from(canonical))) === canonical;
  } catch {
    return false;
  }
}
