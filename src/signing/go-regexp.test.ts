import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goRegExp } from './go-regexp.ts';

test('expressions of Go, and what they match', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    [
      '(@siderolabs\\.com$|^releasemgr-svc@talos-production\\.iam\\.gserviceaccount\\.com$)',
      ['someone@siderolabs.com', 'releasemgr-svc@talos-production.iam.gserviceaccount.com'],
      [
        'someone@siderolabsxcom',
        'x@siderolabs.com.example.org',
        'a-releasemgr-svc@talos-production.iam.gserviceaccount.com',
      ],
    ],
    ['b', ['abc'], ['ac']],
    ['(?i)^ABC$', ['abc', 'AbC'], ['abcd']],
    ['(?iU)a+', ['A'], ['b']],
    ['a(?i:b)c', ['aBc'], ['ABc']],
    ['(?P<user>[^@]+)@x', ['me@x'], ['@x']],
    ['(?<user>a)', ['a'], ['b']],
    ['\\Aab\\z', ['ab'], ['xab', 'abx']],
    ['^a\\@b\\-c\\/d\\"$', ['a@b-c/d"'], ['a@b']],
    ['^[a\\-z]$', ['-', 'z'], ['b']],
    ['^[]a]+$', [']a'], ['b', '']],
    ['^[^]a]$', ['b'], [']', 'a']],
    ['^[[a]+$', ['[a'], ['b']],
    ['^[[:alpha:]_]+[[:digit:]]$', ['ab_1'], ['1a']],
    ['^\\x41\\x{42}\\d\\w\\s$', ['AB1_ '], ['AB__ ']],
    ['^a{2,3}$', ['aa', 'aaa'], ['a', 'aaaa']],
    ['^{a}]$', ['{a}]'], ['a']],
    ['^a.*?b$', ['a--b'], ['a']],
    ['\\bword\\b', ['a word here'], ['swords']],
    ['', ['', 'anything'], []],
    ['^ü$', ['ü'], ['u']],
  ];
  for (const [pattern, matching, others] of cases) {
    const expression = goRegExp(pattern, 'setting');
    for (const text of matching) assert.ok(expression.test(text), `${pattern} matches ${text}`);
    for (const text of others) assert.ok(!expression.test(text), `${pattern} does not match ${text}`);
  }
});

test('what Go refuses, and what cannot be said, is refused with the name of the setting', () => {
  for (const pattern of [
    '(?=a)',
    '(?!a)',
    '(?<=a)b',
    '(?<!a)b',
    '(a)\\1',
    '(?<n>a)\\k<n>',
    'a(?i)b',
    '(?U:a)',
    '\\Qa.b\\E',
    '\\C',
    '\\pL',
    '\\p{Greek}',
    '\\u0041',
    '\\cA',
    '[\\b]',
    '[[:ascii:]]',
    '[[:^alpha:]]',
    '(',
    ')',
    '[',
    '*a',
    'a**',
    '\\',
    '[z-a]',
  ]) {
    assert.throws(
      () => goRegExp(pattern, 'containerSignature.issuerRegExp'),
      {
        kind: 'invalid',
        code: 'SIGNATURE_POLICY_INVALID',
        message: /^containerSignature\.issuerRegExp: regular expression ".*" cannot be used: ./s,
      },
      pattern,
    );
  }
});
