import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorKind, FactoryError, withContext } from '../errors.ts';
import { errorChain, errorMessage, publicError } from './error-response.ts';

const kinds: readonly [ErrorKind, number, string | undefined][] = [
  ['invalid', 400, undefined],
  ['unauthorized', 401, undefined],
  ['not-enabled', 402, undefined],
  ['forbidden', 403, undefined],
  ['not-found', 404, undefined],
  ['too-large', 413, undefined],
  ['not-implemented', 501, undefined],
  ['upstream', 502, '10'],
  ['unavailable', 503, '10'],
];

for (const [kind, status, retryAfter] of kinds) {
  test(`${kind} is ${status}`, () => {
    const message = errorMessage(publicError(new FactoryError(kind, 'X_Y', 'what to do')), 'id', undefined);
    assert.equal(message.status, status);
    assert.equal(message.body, 'what to do\n');
    assert.equal(message.headers?.['Retry-After'], retryAfter);
    assert.equal(message.headers?.['Cache-Control'], 'no-store');
    assert.equal(message.headers?.['WWW-Authenticate'] !== undefined, status === 401);
  });
}

const internal: readonly unknown[] = [
  new Error('password=hunter2'),
  new FactoryError('internal', 'PROGRAM_FAILED', 'mkfs said password=hunter2'),
  new RangeError('x'),
  'password=hunter2',
  undefined,
];

for (const error of internal) {
  test(`${String(error)} says nothing of its cause in any form`, () => {
    for (const accept of [undefined, 'application/json', 'application/problem+json', 'text/html']) {
      const message = errorMessage(publicError(error), 'id-1', accept);
      assert.equal(message.status, 500);
      assert.doesNotMatch(String(message.body), /hunter2|mkfs/);
      assert.match(String(message.body), /internal server error/);
      if (accept !== undefined) assert.match(String(message.body), /id-1/);
    }
  });
}

test('a wrapped error keeps kind, code and the whole message', () => {
  const inner = new FactoryError('not-found', 'OCI_NOT_FOUND', 'missing');
  const shown = publicError(withContext('outer', withContext('inner', inner)));
  assert.equal(shown.status, 404);
  assert.equal(shown.message, 'outer: inner: missing');
  assert.equal(shown.code, 'OCI_NOT_FOUND');
  assert.equal(shown.stage, 'fetch');
});

test('Retry-After is a whole number of seconds', () => {
  const error = new FactoryError('unavailable', 'BUILD_QUEUE_FULL', 'full', { retryAfter: 0.2 });
  assert.equal(errorMessage(publicError(error), 'id', undefined).headers?.['Retry-After'], '1');
});

test('a timeout that is not the caller’s is 503', () => {
  assert.equal(
    publicError(AbortSignal.timeout(0).reason ?? new DOMException('t', 'TimeoutError')).status,
    503,
  );
});

test('forms', () => {
  const error = publicError(new FactoryError('invalid', 'PATH_INVALID', 'bad <path> & "x"'));
  assert.deepEqual(JSON.parse(String(errorMessage(error, 'r', 'application/json').body)), {
    error: { code: 'PATH_INVALID', message: 'bad <path> & "x"', requestId: 'r' },
  });
  const problem = errorMessage(error, 'r', 'application/problem+json');
  assert.equal(problem.headers?.['Content-Type'], 'application/problem+json');
  assert.deepEqual(JSON.parse(String(problem.body)), {
    type: 'about:blank',
    title: 'Bad Request',
    status: 400,
    detail: 'bad <path> & "x"',
    code: 'PATH_INVALID',
    stage: 'request',
    requestId: 'r',
    retryable: false,
  });
  const page = String(errorMessage(error, 'r', 'text/html').body);
  assert.match(page, /bad &lt;path&gt; &amp; &quot;x&quot;/);
  assert.doesNotMatch(page, /<path>/);
});

test('the log has the whole chain once', () => {
  const root = new Error('root');
  const middle = new FactoryError('upstream', 'X', 'middle', { cause: root });
  assert.equal(errorChain(withContext('outer', middle)), 'outer: middle: root');
  const loop = new Error('loop');
  loop.cause = loop;
  assert.equal(errorChain(loop), 'loop');
});
