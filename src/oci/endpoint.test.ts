import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointOf, isInternalAddress, isPlainHttpHost } from './endpoint.ts';
import { parseRepositoryName } from './names.ts';
import { nextPage } from './pagination.ts';
import { parseRetryAfter } from './retry.ts';

test('names on the wire', () => {
  for (const [name, host, path] of [
    ['ghcr.io/siderolabs/imager', 'ghcr.io', 'siderolabs/imager'],
    ['docker.io/alpine', 'index.docker.io', 'library/alpine'],
    ['registry-1.docker.io/a/b', 'index.docker.io', 'a/b'],
    ['GHCR.io:443/a', 'ghcr.io:443', 'a'],
    ['[::1]:5000/a', '[::1]:5000', 'a'],
  ] as const) {
    assert.deepEqual(endpointOf(parseRepositoryName(name)), { host, path });
  }
});

test('hosts that may be spoken to over plain HTTP', () => {
  const plain = [
    'localhost',
    'localhost:5000',
    'a.localhost:1',
    'registry.local:5000',
    '127.0.0.1:80',
    '127.9.9.9',
    '[::1]:5000',
    '10.5.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1:5000',
  ];
  const secure = [
    'ghcr.io',
    'local',
    'localhost.example.com',
    '172.32.0.1',
    '172.15.0.1',
    '11.0.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '[fe80::1]',
    '[fc00::1]:5000',
    '10.example.com',
    '127.0.0.1.example.com',
  ];
  for (const host of plain) assert.ok(isPlainHttpHost(host), host);
  for (const host of secure) assert.ok(!isPlainHttpHost(host), host);
});

test('addresses that mean something inside only', () => {
  for (const address of [
    '127.0.0.1',
    '::1',
    '10.1.1.1',
    '169.254.169.254',
    'fe80::1',
    'fd00::1',
    '0.0.0.0',
    '::ffff:10.0.0.1',
    '100.64.1.1',
  ]) {
    assert.ok(isInternalAddress(address), address);
  }
  for (const address of ['8.8.8.8', '2001:db8::1', 'example.com', ''])
    assert.ok(!isInternalAddress(address), address);
});

test('the next page', () => {
  const base = new URL('https://r.example/v2/a/tags/list?n=1');
  for (const [header, next] of [
    [undefined, undefined],
    ['', undefined],
    ['</v2/a/tags/list?n=1&last=x>; rel="next"', 'https://r.example/v2/a/tags/list?n=1&last=x'],
    ['<?last=y>;rel=next', 'https://r.example/v2/a/tags/list?last=y'],
    ['<https://r.example/z>; rel="next"', 'https://r.example/z'],
    ['<http://r.example/z>; rel="next"', 'https://r.example/z'],
    ['</first>; rel="first", </second>; title="x"; rel="next"', 'https://r.example/second'],
    ['</v2/x>; rel="prev"', undefined],
    ['/v2/x; rel="next"', undefined],
  ] as const) {
    assert.equal(nextPage(header, base)?.href, next, header);
  }
  for (const header of [
    '<https://other.example/z>; rel="next"',
    '<https://r.example:8443/z>; rel="next"',
    '<//other.example/z>; rel=next',
  ]) {
    assert.throws(() => nextPage(header, base), { code: 'OCI_REDIRECT_REFUSED' }, header);
  }
});

test('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  for (const [value, seconds] of [
    [undefined, undefined],
    ['0', 0],
    [' 120 ', 120],
    ['Thu, 01 Jan 2026 00:01:30 GMT', 90],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', undefined],
    ['-5x', undefined],
  ] as const) {
    assert.equal(parseRetryAfter(value, now), seconds, value);
  }
});
