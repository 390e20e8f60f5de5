import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Method, Route } from './route.ts';
import { createRouter, type Match } from './router.ts';

const route = (method: Method, path: string): Route => ({
  method,
  path,
  id: 'x',
  class: 'public',
  tag: 'x',
  summary: 'x',
  responses: [],
  errors: [],
  handle: () => ({ kind: 'message', status: 200 }),
});

const router = createRouter([
  route('GET', '/'),
  route('GET', '/v2'),
  route('GET', '/v2/*path'),
  route('GET', '/versions'),
  route('POST', '/schematics'),
  route('GET', '/schematics/:schematic'),
  route('GET', '/image/:schematic/:version/:path'),
  route('GET', '/talosctl/:version'),
  route('GET', '/talosctl/:version/:path'),
  route('GET', '/version/:version/extensions/official'),
  route('POST', '/ui/wizard'),
]);

function show(match: Match): string {
  switch (match.kind) {
    case 'route':
      return `${match.route.path} ${JSON.stringify(match.params)}`;
    case 'redirect':
      return `${match.status} ${match.path}`;
    case 'options':
      return `200 ${match.allow}`;
    case 'method-not-allowed':
      return `405 ${match.allow}`;
    case 'not-found':
      return '404';
  }
}

const vectors: readonly [string, string, string][] = [
  ['GET', '/', '/ {}'],
  ['GET', '/versions', '/versions {}'],
  ['HEAD', '/versions', '/versions {}'],
  ['GET', '/v2', '/v2 {}'],
  ['GET', '/v2/', '/v2/*path {"path":"/"}'],
  ['GET', '/v2/a/manifests/b', '/v2/*path {"path":"/a/manifests/b"}'],
  ['GET', '/image/a/b/c', '/image/:schematic/:version/:path {"schematic":"a","version":"b","path":"c"}'],
  ['GET', '/talosctl/v1/..', '/talosctl/:version/:path {"version":"v1","path":".."}'],
  ['GET', '/schematics', '405 OPTIONS, POST'],
  ['GET', '/schematics/', '404'],
  ['POST', '/schematics/', '307 /schematics'],
  ['POST', '/versions', '405 GET, HEAD, OPTIONS'],
  ['DELETE', '/ui/wizard', '405 OPTIONS, POST'],
  ['OPTIONS', '/versions', '200 GET, HEAD, OPTIONS'],
  ['OPTIONS', '/schematics', '200 OPTIONS, POST'],
  ['OPTIONS', '/nope', '404'],
  ['GET', '/versions/', '301 /versions'],
  ['HEAD', '/versions/', '307 /versions'],
  ['GET', '/Versions', '301 /versions'],
  ['GET', '/VERSIONS/', '301 /versions'],
  ['GET', '/IMAGE/A/b/c', '301 /image/A/b/c'],
  ['GET', '/image/A/b/c/', '301 /image/A/b/c'],
  ['GET', '//versions', '301 /versions'],
  ['GET', '/a/../versions', '301 /versions'],
  ['GET', '/./versions', '301 /versions'],
  ['GET', '/../../versions', '301 /versions'],
  ['GET', '//image//a/b/c', '301 /image/a/b/c'],
  ['GET', '/image/a/b', '404'],
  ['GET', '/image/a//c', '404'],
  ['GET', '/Image/ä/b/\\evil.org', '301 /image/%C3%A4/b/%5Cevil.org'],
  ['GET', '//evil.org/x', '404'],
  ['GET', '/nope', '404'],
  ['GET', '/version/v1/extensions/Official', '301 /version/v1/extensions/official'],
];

for (const [method, path, expected] of vectors) {
  test(`${method} ${path}`, () => assert.equal(show(router.match(method, path)), expected));
}

test('literals win over parameters, whatever the order of the table', () => {
  for (const paths of [
    ['/a/:x', '/a/b'],
    ['/a/b', '/a/:x'],
  ]) {
    const match = createRouter(paths.map((path) => route('GET', path))).match('GET', '/a/b');
    assert.ok(match.kind === 'route');
    assert.equal(match.route.path, '/a/b');
  }
});

test('the same route twice is a mistake', () => {
  assert.throws(() => createRouter([route('GET', '/a'), route('GET', '/a')]), /twice/);
});

test('a redirect never leaves this host and leads to a route', () => {
  const piece = fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    'versions',
    'IMAGE',
    'a',
    '\\',
    '%',
    'ä',
    '@evil.org',
    ':',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const match = router.match('GET', `/${pieces.join('')}`);
      if (match.kind !== 'redirect') return;
      const url = new URL(match.path, 'https://factory.example');
      assert.equal(url.origin, 'https://factory.example');
      assert.match(match.path, /^\/(?!\/)/);
      assert.equal(router.match('GET', decodeURIComponent(match.path)).kind, 'route');
    }),
    { numRuns: 2000 },
  );
});
