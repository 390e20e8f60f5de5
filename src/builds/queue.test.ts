import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { BuildQueue, type Lane, type Slot } from './queue.ts';

function queue(slots: number, limit: number) {
  const time = { now: 0 };
  return { made: new BuildQueue({ slots, limit, clock: { now: () => time.now } }), time };
}

/** Acquires under a name and notes the order in which that succeeds. */
function acquirer(made: BuildQueue) {
  const order: string[] = [];
  const slots = new Map<string, Slot>();
  const acquire = (name: string, lane: Lane = 'interactive', signal?: AbortSignal): void => {
    made.acquire(lane, signal).then(
      (slot) => {
        order.push(name);
        slots.set(name, slot);
      },
      (error) => void order.push(`${name}: ${error instanceof FactoryError ? error.code : error.message}`),
    );
  };
  const release = async (name: string): Promise<void> => {
    slots.get(name)?.[Symbol.dispose]();
    await turn();
  };
  return { order, acquire, release };
}

test('first come, first served, never more than the slots', async () => {
  const { made } = queue(2, 10);
  const { order, acquire, release } = acquirer(made);
  for (const name of ['a', 'b', 'c', 'd']) acquire(name);
  await turn();
  assert.deepEqual(order, ['a', 'b']);
  assert.equal(made.length, 2);
  await release('b');
  await release('b');
  assert.deepEqual(order, ['a', 'b', 'c']);
  await release('a');
  assert.deepEqual(order, ['a', 'b', 'c', 'd']);
  assert.equal(made.active, 2);
  await release('c');
  await release('d');
  assert.equal(made.active, 0);
});

test('interactive goes first, and background moves on', async () => {
  const { made } = queue(1, 100);
  const { order, acquire, release } = acquirer(made);
  acquire('first');
  acquire('b', 'background');
  for (let i = 0; i < 10; i++) acquire(`i${i}`);
  await turn();
  await release('first');
  for (let i = 0; i < 8; i++) await release(`i${i}`);
  assert.equal(order.at(-1), 'b');
  await release('b');
  assert.equal(order.at(-1), 'i8');
});

test('background leaves one slot for who waits', async () => {
  const { made } = queue(2, 1);
  const { order, acquire, release } = acquirer(made);
  acquire('b1', 'background');
  acquire('b2', 'background');
  acquire('i1');
  await turn();
  assert.deepEqual(order, ['b1', 'i1']);
  await release('b1');
  assert.deepEqual(order, ['b1', 'i1', 'b2']);
});

test('a full queue refuses, and says when to come back', async () => {
  const { made, time } = queue(1, 1);
  const { order, acquire, release } = acquirer(made);
  acquire('a');
  acquire('b');
  acquire('c');
  await turn();
  assert.deepEqual(order, ['a', 'c: BUILD_QUEUE_FULL']);
  const before = made.full().retryAfter ?? 0;
  assert.equal(before, 20);
  time.now = 400_000;
  await release('a');
  assert.ok((made.full().retryAfter ?? 0) > before);
  const none = queue(1, 0);
  using _slot = await none.made.acquire('interactive');
  await assert.rejects(none.made.acquire('interactive'), { kind: 'unavailable', retryAfter: 10 });
});

test('who leaves frees the place', async () => {
  const { made } = queue(1, 1);
  const { order, acquire, release } = acquirer(made);
  const leaver = new AbortController();
  acquire('a');
  acquire('b', 'interactive', leaver.signal);
  leaver.abort(new Error('left'));
  acquire('c');
  await turn();
  await release('a');
  assert.deepEqual(order, ['a', 'b: left', 'c']);
  await assert.rejects(made.acquire('interactive', leaver.signal), /left/);
});

test('the wait is measured', async () => {
  const { made, time } = queue(1, 1);
  const first = await made.acquire('interactive');
  assert.equal(first.waitedMs, 0);
  const second = made.acquire('interactive');
  time.now = 250;
  first[Symbol.dispose]();
  assert.equal((await second).waitedMs, 250);
});

test('whatever happens, slots are neither lost nor exceeded and all who stay are served', async () => {
  const events = fc.array(fc.record({ what: fc.constantFrom('i', 'b', 'release', 'leave'), at: fc.nat() }), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), events, async (slots, steps) => {
      const { made } = queue(slots, 1000);
      const held: Slot[] = [];
      const leavers: AbortController[] = [];
      let asked = 0;
      let served = 0;
      let left = 0;
      for (const { what, at } of steps) {
        if (what === 'i' || what === 'b') {
          const leaver = new AbortController();
          leavers.push(leaver);
          asked++;
          made.acquire(what === 'i' ? 'interactive' : 'background', leaver.signal).then(
            (slot) => {
              served++;
              held.push(slot);
            },
            () => left++,
          );
        } else if (what === 'leave') leavers[at % (leavers.length || 1)]?.abort();
        else held.splice(at % (held.length || 1), 1)[0]?.[Symbol.dispose]();
        await turn();
        assert.equal(made.active, held.length);
        assert.ok(held.length <= slots);
        assert.ok(made.length === 0 || held.length >= Math.max(1, slots - 1));
      }
      while (held.length > 0) {
        held.pop()?.[Symbol.dispose]();
        await turn();
      }
      assert.equal(served + left, asked);
      assert.equal(made.length, 0);
    }),
    { numRuns: 50 },
  );
});
