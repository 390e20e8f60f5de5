import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { ADV_CAPACITY, ADV_PARTITION_SIZE, type AdvValue, advBytes, readAdv } from './adv.ts';

const text = (tag: number, value: string): AdvValue => ({ tag, value: Buffer.from(value) });

function partition(values: readonly AdvValue[]): Buffer {
  const bytes = Buffer.alloc(ADV_PARTITION_SIZE);
  bytes.set(advBytes(values));
  return bytes;
}

// spec/outputs-disk.md §5
const VECTORS = [
  {
    values: [text(0x11, 'dual-boot')],
    digest: '6d0596ed48c85c53cc78720a976e9a7b4bcd961008c286c98c08b1d37df47c89',
    partition: '06e3d2ed4b42cb23159b6dd3a8ef54020b78207138a62f366fdb1465ab138438',
  },
  {
    values: [text(0x0a, 'foo')],
    digest: '0974af06e9457710d1abb21c12a59893c13f6918b114be059da051b0f40ffd6b',
    partition: 'b2257bb93d338c539bb75e3f6ee0dd97520287c3c5f3720096d4df945cf207ac',
  },
  {
    values: [text(0x0a, 'foo'), text(0x0b, 'bar')],
    digest: '65241b8d9600aca86ed1f1f2db15445a99796952cf215e3a211f65c70a44a37e',
    partition: 'fad94e99f2b26e6e209f3c62961736dc50ea5bebc2ac9d0e38e51fd008868324',
  },
] as const;

for (const vector of VECTORS) {
  test(`META of ${vector.values.map(({ tag }) => `0x${tag.toString(16)}`).join(', ')}`, () => {
    const bytes = partition(vector.values);
    assert.equal(bytes.toString('hex', 262108, 262140), vector.digest);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), vector.partition);
  });
}

test('first bytes as the specification has them', () => {
  const start = '5a4b3c2d00000011000000096475616c2d626f6f7400';
  assert.equal(partition([text(0x11, 'dual-boot')]).toString('hex', 0, 22), start);
});

test('no values, no bytes', () => {
  assert.equal(advBytes([]).length, 0);
  assert.deepEqual(readAdv(partition([])), []);
});

test('a key that comes again takes the place of the earlier one', () => {
  const read = readAdv(partition([text(10, 'a'), text(11, 'b'), text(10, 'c')]));
  assert.deepEqual(
    read.map(({ tag, value }) => [tag, String(value)]),
    [
      [10, 'c'],
      [11, 'b'],
    ],
  );
});

test('as much as fits, and no byte more', () => {
  const largest = ADV_CAPACITY - 8;
  assert.equal(readAdv(partition([text(12, 'x'.repeat(largest))]))[0]?.value.length, largest);
  assert.throws(
    () => advBytes([text(12, 'x'.repeat(largest + 1))]),
    (error) => error instanceof FactoryError && error.kind === 'invalid' && error.code === 'META_TOO_LARGE',
  );
});

test('keys that could not be read back are refused', () => {
  for (const tag of [0, -1, 256, 1.5, Number.NaN])
    assert.throws(() => advBytes([text(tag, '')]), { code: 'META_INVALID' });
});

test('the second copy counts when the first is damaged; two damaged ones are an error', () => {
  const bytes = partition([text(10, 'foo')]);
  bytes[20] = 1;
  assert.equal(String(readAdv(bytes)[0]?.value), 'foo');
  bytes[262144 + 20] = 1;
  assert.throws(() => readAdv(bytes), { code: 'META_INVALID' });
});

test('what is written is read', () => {
  const values = fc.uniqueArray(
    fc.record({ tag: fc.integer({ min: 1, max: 255 }), value: fc.uint8Array({ maxLength: 300 }) }),
    { selector: ({ tag }) => tag, maxLength: 20 },
  );
  fc.assert(
    fc.property(values, (list) => {
      const plain = ({ tag, value }: AdvValue) => [tag, Buffer.from(value).toString('hex')];
      assert.deepEqual(readAdv(partition(list)).map(plain), list.map(plain));
    }),
    { numRuns: 30 },
  );
});
