import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { FactoryError } from '../errors.ts';
import { encodeMeta } from './meta.ts';
import { parseTalosVersion } from './version.ts';

const OLD = parseTalosVersion('1.6.2');
const NEW = parseTalosVersion('1.6.3');
const LONG = [
  { key: 10, value: 'foobar'.repeat(256) },
  { key: 11, value: 'baz'.repeat(256) },
];

describe('encodeMeta', () => {
  it('gives nothing for nothing', () => assert.equal(encodeMeta([], NEW), ''));

  it('encodes short values plainly', () => {
    const values = [
      { key: 10, value: 'foo' },
      { key: 11, value: 'bar' },
    ];
    assert.equal(encodeMeta(values, NEW), 'MHhhPWZvbzsweGI9YmFy');
    assert.equal(encodeMeta(values, OLD), 'MHhhPWZvbzsweGI9YmFy');
  });

  it('compresses long values from 1.6.3 on', () => {
    assert.equal(encodeMeta(LONG, OLD).length, 3084);
    const encoded = encodeMeta(LONG, NEW);
    // Any gzip is right (`spec/initramfs.md` §10); it has to be worth it.
    assert.ok(encoded.length <= 80);
    const bytes = Buffer.from(encoded, 'base64');
    // RFC 1952: no time, best compression, unknown system.
    assert.deepEqual([...bytes.subarray(0, 10)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    assert.equal(gunzipSync(bytes).toString('base64'), encodeMeta(LONG, OLD));
  });

  it('compresses above 256 bytes, counted as UTF-8', () => {
    const at = (value: string): boolean =>
      Buffer.from(encodeMeta([{ key: 255, value }], NEW), 'base64')[0] === 0x1f;
    assert.equal(at('a'.repeat(251)), false);
    assert.equal(at('a'.repeat(252)), true);
    assert.equal(at('é'.repeat(126)), true);
  });

  it('refuses what a node could not read back', () => {
    for (const value of [
      { key: 10, value: 'a;b' },
      { key: 256, value: '' },
      { key: -1, value: '' },
      { key: 1.5, value: '' },
    ]) {
      assert.throws(
        () => encodeMeta([value], NEW),
        (error) => error instanceof FactoryError && error.kind === 'invalid' && error.code === 'META_INVALID',
      );
    }
  });
});
