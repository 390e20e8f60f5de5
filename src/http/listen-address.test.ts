import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ListenAddress, parseListenAddress } from './listen-address.ts';

const vectors: readonly [string, ListenAddress | undefined][] = [
  [':8080', { port: 8080 }],
  [':0', { port: 0 }],
  [':', { port: 0 }],
  [':http', { port: 80 }],
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ['localhost:443', { host: 'localhost', port: 443 }],
  ['[::1]:80', { host: '::1', port: 80 }],
  ['[fe80::1%eth0]:80', { host: 'fe80::1%eth0', port: 80 }],
  ['0.0.0.0:65535', { host: '0.0.0.0', port: 65535 }],
  ['', undefined],
  ['8080', undefined],
  ['host', undefined],
  ['::1:80', undefined],
  [':65536', undefined],
  [':-1', undefined],
  [':nosuch', undefined],
  ['a:b:80', undefined],
];

for (const [text, expected] of vectors) {
  test(JSON.stringify(text), () => {
    if (expected === undefined) {
      assert.throws(() => parseListenAddress(text), { kind: 'invalid', code: 'LISTEN_ADDRESS_INVALID' });
    } else {
      assert.deepEqual(parseListenAddress(text), expected);
    }
  });
}
