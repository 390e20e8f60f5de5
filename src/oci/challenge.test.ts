import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from './challenge.ts';

const vectors: readonly (readonly [string, readonly (readonly [string, Record<string, string>])[]])[] = [
  ['', []],
  ['Basic', [['basic', {}]]],
  ['Basic realm="x"', [['basic', { realm: 'x' }]]],
  ['BASIC realm=x', [['basic', { realm: 'x' }]]],
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    [
      [
        'bearer',
        {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      ],
    ],
  ],
  ['Bearer realm = "a" , service="q\\"uo\\\\te"', [['bearer', { realm: 'a', service: 'q"uo\\te' }]]],
  // Two in one header (RFC 9110 §11.6.1), one without parameters, one with a token68.
  [
    'Negotiate, Basic realm="a", charset="UTF-8", Bearer realm="b"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'a', charset: 'UTF-8' }],
      ['bearer', { realm: 'b' }],
    ],
  ],
  [
    'NTLM TlRMTVNTUAAC==, Bearer Realm=x',
    [
      ['ntlm', {}],
      ['bearer', { realm: 'x' }],
    ],
  ],
  // The first of a name counts; what is broken ends the list.
  ['Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]]],
  ['Bearer realm="a",service="open', [['bearer', { realm: 'a' }]]],
  ['"', []],
  [`Bearer realm="${'a'.repeat(20_000)}"`, []],
];

test('challenges', () => {
  for (const [header, expected] of vectors) {
    const parsed = parseChallenges(header).map(({ scheme, parameters }) => [
      scheme,
      Object.fromEntries(parameters),
    ]);
    assert.deepEqual(parsed, expected, header.slice(0, 100));
  }
});

test('whatever comes, parsing ends', () => {
  const text = fc
    .array(fc.constantFrom('Bearer', 'realm', '=', '"', ',', ' ', '\\', 'a', '=='))
    .map((parts) => parts.join(''));
  fc.assert(fc.property(text, (header) => parseChallenges(header).length <= header.length));
});
