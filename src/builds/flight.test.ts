import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FactoryError } from '../errors.ts';
import { Flight } from './flight.ts';

function flight(options: { deadlineMs?: number; rememberInvalidMs?: number } = {}) {
  const time = { now: 0 };
  const landed: string[] = [];
  const made = new Flight<string, string>(
    {
      clock: { now: () => time.now },
      deadlineMs: options.deadlineMs ?? 60_000,
      rememberInvalidMs: options.rememberInvalidMs ?? 0,
    },
    (result) => `${result}!`,
    (result) => void landed.push(result),
  );
  return { made, landed, time };
}

test('who asks at the same time shares one work; who asks later starts another', async () => {
  const { made, landed } = flight();
  let works = 0;
  const work = async (): Promise<string> => `r${++works}`;
  assert.deepEqual(await Promise.all([made.run('k', work), made.run('k', work), made.run('l', work)]), [
    'r1!',
    'r1!',
    'r2!',
  ]);
  assert.equal(made.size, 0);
  assert.equal(await made.run('k', work), 'r3!');
  assert.deepEqual(landed, ['r1', 'r2', 'r3']);
});

test('who leaves does not stop the work, and may come back to it', async () => {
  const { made, landed } = flight();
  const end = Promise.withResolvers<string>();
  let aborted = false;
  const work = (signal: AbortSignal): Promise<string> => {
    signal.addEventListener('abort', () => {
      aborted = true;
    });
    return end.promise;
  };
  const leaver = new AbortController();
  const left = made.run('k', work, leaver.signal);
  const reason = new Error('gone');
  leaver.abort(reason);
  await assert.rejects(left, reason);
  assert.ok(made.has('k'));
  assert.equal(aborted, false);
  const back = made.run('k', () => assert.fail('a second work'));
  end.resolve('r');
  assert.equal(await back, 'r!');
  assert.deepEqual(landed, ['r']);
  await assert.rejects(made.run('k', work, leaver.signal), reason);
});

test('errors reach all who wait, and are forgotten', async () => {
  const { made } = flight();
  const fail = () => Promise.reject(new Error('no'));
  const throwing = (): Promise<string> => {
    throw new Error('at once');
  };
  const [a, b] = await Promise.allSettled([made.run('k', fail), made.run('k', fail)]);
  assert.equal(a.status, 'rejected');
  assert.equal(b.status, 'rejected');
  await assert.rejects(made.run('k', throwing), /at once/);
  assert.equal(await made.run('k', async () => 'r'), 'r!');
});

test('only refusals of the caller are remembered, and only for a while', async () => {
  const { made, time } = flight({ rememberInvalidMs: 1000 });
  let works = 0;
  const refuse = (kind: 'invalid' | 'upstream') => async (): Promise<string> => {
    works++;
    throw new FactoryError(kind, 'X', 'x');
  };
  await assert.rejects(made.run('k', refuse('upstream')), { code: 'X' });
  await assert.rejects(made.run('k', refuse('invalid')), { code: 'X' });
  assert.equal(works, 2);
  time.now = 999;
  await assert.rejects(made.run('k', refuse('invalid')), { code: 'X' });
  assert.equal(works, 2);
  time.now = 1000;
  assert.equal(await made.run('k', async () => 'r'), 'r!');
});

test('remembered refusals are bounded', async () => {
  const { made } = flight({ rememberInvalidMs: 1000 });
  let works = 0;
  const refuse = async (): Promise<string> => {
    works++;
    throw new FactoryError('invalid', 'X', 'x');
  };
  for (let i = 0; i <= 1000; i++) await made.run(`k${i}`, refuse).catch(() => {});
  await made.run('k1000', refuse).catch(() => {});
  assert.equal(works, 1001);
  await made.run('k0', refuse).catch(() => {});
  assert.equal(works, 1002);
});

test('at the deadline who waits is released, even when the work does not listen', async () => {
  const { made, landed } = flight({ deadlineMs: 5 });
  const end = Promise.withResolvers<string>();
  await assert.rejects(
    made.run('k', () => end.promise),
    { kind: 'internal', code: 'BUILD_DEADLINE' },
  );
  assert.equal(made.size, 0);
  end.resolve('late');
  await turn();
  assert.deepEqual(landed, ['late']);
});

test('all work can be aborted', async () => {
  const { made } = flight();
  const reason = new Error('end');
  const waiting = made.run(
    'k',
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  const early = made.run('l', () => assert.fail('started after the end'));
  made.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(early, reason);
  assert.equal(made.size, 0);
});
