import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cors, corsHeaders, isPreflight, preflightHeaders } from './cors.ts';

const of = (fields: Readonly<Record<string, string>>) => (name: string) => fields[name];

const origins: readonly [readonly string[], string | undefined, string | undefined][] = [
  [['*'], 'https://foo.com', '*'],
  [['https://bar.com', '*'], 'https://foo.com', '*'],
  [[], 'https://foo.com', '*'],
  [['*'], undefined, undefined],
  [['*'], '', undefined],
  [['https://foo.com'], 'https://foo.com', 'https://foo.com'],
  [['https://FOO.com'], 'https://foo.com', 'https://foo.com'],
  [['https://foo.com'], 'HTTPS://Foo.com', 'HTTPS://Foo.com'],
  [['https://foo.com'], 'https://foo.com.evil.org', undefined],
  [['https://*.foo.com'], 'https://a.foo.com', 'https://a.foo.com'],
  [['https://*.foo.com'], 'https://foo.com', undefined],
  [['https://*.foo.com'], 'https://evil.org/.foo.com', 'https://evil.org/.foo.com'],
  [['https://ab*ba'], 'https://aba', undefined],
];

for (const [allowed, origin, expected] of origins) {
  test(`${origin} under ${JSON.stringify(allowed)}`, () =>
    assert.equal(cors(allowed).allowOrigin(origin), expected));
}

const VARY = { Vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' };
const preflights: readonly [string, string, string | undefined, Readonly<Record<string, string>>][] = [
  [
    'https://foo.com',
    'GET',
    'cache-control',
    {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Methods': 'GET',
      'Access-Control-Allow-Headers': 'cache-control',
    },
  ],
  [
    'https://foo.com',
    'HEAD',
    undefined,
    { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Methods': 'HEAD' },
  ],
  ['https://foo.com', 'POST', undefined, {}],
  ['https://foo.com', 'GET', 'authorization', {}],
  ['https://foo.com', 'GET', 'authorization,cache-control', {}],
  ['https://foo.com', 'GET', 'Cache-Control', {}],
  ['https://foo.com', 'get', undefined, {}],
  ['', 'GET', undefined, {}],
];

for (const [origin, method, requested, expected] of preflights) {
  test(`preflight for ${method} ${requested ?? ''} from ${origin}`, () => {
    const header = of({
      origin,
      'access-control-request-method': method,
      ...(requested === undefined ? {} : { 'access-control-request-headers': requested }),
    });
    assert.equal(isPreflight('OPTIONS', header), true);
    assert.deepEqual(preflightHeaders(cors(['*']), header), { ...VARY, ...expected });
  });
}

test('OPTIONS without a requested method is no preflight', () => {
  assert.equal(isPreflight('OPTIONS', of({})), false);
  assert.equal(isPreflight('GET', of({ 'access-control-request-method': 'GET' })), false);
});

test('only answers to GET, HEAD and OPTIONS may be read by other origins', () => {
  const header = of({ origin: 'https://foo.com' });
  const expected = {
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Expose-Headers': 'Content-Disposition, Content-Length, Content-Type',
  };
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    assert.deepEqual(corsHeaders(cors(['*']), method, header), expected);
  }
  assert.deepEqual(corsHeaders(cors(['*']), 'POST', header), {});
  assert.deepEqual(corsHeaders(cors(['*']), 'GET', of({})), {});
});
