import assert from 'node:assert/strict';
import { test } from 'node:test';
import { negotiate } from './accept.ts';

const OFFERS = ['text/plain', 'application/problem+json', 'application/json', 'text/html'] as const;

const vectors: readonly [string | undefined, (typeof OFFERS)[number]][] = [
  [undefined, 'text/plain'],
  ['', 'text/plain'],
  ['*/*', 'text/plain'],
  ['application/json', 'application/json'],
  ['Application/JSON', 'application/json'],
  ['application/problem+json', 'application/problem+json'],
  ['application/json, */*', 'application/json'],
  ['application/json;q=0.1, text/plain', 'text/plain'],
  ['application/json, text/plain, */*', 'text/plain'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/html'],
  ['text/*;q=0.5, application/*', 'application/problem+json'],
  ['*/*, text/plain;q=0', 'application/problem+json'],
  ['image/png', 'text/plain'],
  ['garbage', 'text/plain'],
  ['application/json;q=x', 'application/json'],
  ['application/json;q=0', 'text/plain'],
];

for (const [field, expected] of vectors) {
  test(`Accept: ${field}`, () => assert.equal(negotiate(field, OFFERS), expected));
}
