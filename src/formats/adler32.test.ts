import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { adler32 } from './adler32.ts';

/** As a zlib stream ends with it. */
const byZlib = (bytes: Uint8Array): number => deflateSync(bytes).subarray(-4).readUInt32BE();

test('Adler-32 is that of zlib, in one piece and in two', () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(65536).fill(0xff), Buffer.from('Wikipedia')]) {
    assert.equal(adler32(bytes), byZlib(bytes));
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), fc.nat(), (bytes, at) => {
      const cut = at % (bytes.length + 1);
      assert.equal(adler32(bytes.subarray(cut), adler32(bytes.subarray(0, cut))), byZlib(bytes));
    }),
  );
});
