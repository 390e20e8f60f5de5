import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { KeyedQueue } from './keyed-queue.ts';
import { TransferLimiter } from './limiter.ts';

test('never more than the limit at a time, everyone gets a turn, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.nat(3), { maxLength: 20 }),
      async (limit, works) => {
        const limiter = new TransferLimiter(limit);
        let running = 0;
        let most = 0;
        const started: number[] = [];
        await Promise.all(
          works.map((turns, number) =>
            limiter.run(async () => {
              started.push(number);
              most = Math.max(most, ++running);
              for (let turn = 0; turn <= turns; turn++) await setImmediate();
              running--;
            }),
          ),
        );
        assert.equal(most, Math.min(limit, works.length));
        assert.deepEqual(
          started,
          works.map((_, number) => number),
        );
        assert.equal(limiter.running, 0);
      },
    ),
  );
});

test('who aborts while waiting gives up its place, who fails gives back its slot', async () => {
  const limiter = new TransferLimiter(1);
  const hold = Promise.withResolvers<void>();
  const first = limiter.run(() => hold.promise);
  const controller = new AbortController();
  const second = limiter.run(async () => assert.fail('it was aborted'), controller.signal);
  const third = limiter.run(async () => {
    throw new Error('failed');
  });
  const fourth = limiter.run(async () => 4);
  controller.abort(new Error('enough'));
  await assert.rejects(second, /enough/);
  hold.resolve();
  await first;
  await assert.rejects(third, /failed/);
  assert.equal(await fourth, 4);
  assert.equal(limiter.running, 0);
  await assert.rejects(
    limiter.run(async () => 5, AbortSignal.abort(new Error('before'))),
    /before/,
  );
  assert.equal(limiter.running, 0);
  assert.throws(() => new TransferLimiter(0), RangeError);
});

test('a keyed queue keeps the order of a key, whatever fails', async () => {
  const queue = new KeyedQueue();
  const order: string[] = [];
  const step = (text: string, turns: number) => async () => {
    for (let turn = 0; turn <= turns; turn++) await setImmediate();
    order.push(text);
    if (text.endsWith('!')) throw new Error(text);
  };
  const ended = await Promise.allSettled([
    queue.run('a', step('a1', 50)),
    queue.run('a', step('a2!', 20)),
    queue.run('b', step('b1', 1)),
    queue.run('a', step('a3', 0)),
  ]);
  assert.deepEqual(order, ['b1', 'a1', 'a2!', 'a3']);
  assert.deepEqual(
    ended.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
});
