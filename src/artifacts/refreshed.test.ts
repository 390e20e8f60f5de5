import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../log.ts';
import { Refreshed } from './refreshed.ts';

class Source {
  now = 1_000_000;
  answers: PromiseWithResolvers<string>[] = [];
  readonly given: (string | undefined)[] = [];
  readonly warnings: string[] = [];
  readonly signals: AbortSignal[] = [];
  readonly value: Refreshed<string>;

  constructor(timeout = 60_000) {
    this.value = new Refreshed<string>({
      what: 'the value',
      interval: 1000,
      timeout,
      clock: { now: () => this.now },
      log: { ...silentLog, warn: (message) => void this.warnings.push(message) },
      load: (previous, signal) => {
        this.given.push(previous);
        this.signals.push(signal);
        const answer = Promise.withResolvers<string>();
        this.answers.push(answer);
        return answer.promise;
      },
    });
  }

  /** With a first value. */
  static async filled(): Promise<Source> {
    const source = new Source();
    const first = source.value.get();
    source.answers[0]?.resolve('first');
    await first;
    return source;
  }
}

/** Fires the pause after which a caller is content with the old value. */
async function losePatience(t: TestContext): Promise<void> {
  await new Promise(setImmediate);
  t.mock.timers.tick(5000);
}

test('a slow upstream costs patience, not the old value', async (t) => {
  const source = await Source.filled();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  source.now += 10_000;
  const slow = source.value.get();
  await losePatience(t);
  assert.equal(await slow, 'first');
  source.answers[1]?.resolve('second');
  await new Promise(setImmediate);
  assert.equal(await source.value.get(), 'second');
  assert.deepEqual(source.given, [undefined, 'first']);
});

test('who misses something in the old value waits for the new one, but not for ever', async (t) => {
  const source = await Source.filled();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  source.now += 1000;
  const missing = source.value.fresh();
  source.answers[1]?.resolve('second');
  assert.equal(await missing, 'second');
  assert.equal(await source.value.fresh(), 'second');
  source.now += 1000;
  const slow = source.value.fresh();
  await losePatience(t);
  assert.equal(await slow, 'second');
});

test('a load that never ends is given up, its signal aborts, and the next one is another', async () => {
  const source = new Source(20);
  await assert.rejects(source.value.get(), {
    code: 'ARTIFACT_TIMEOUT',
    kind: 'unavailable',
    message: 'the value: no answer within 0.02 s',
  });
  assert.equal(source.signals[0]?.aborted, true);
  const second = source.value.get();
  source.answers[1]?.resolve('second');
  assert.equal(await second, 'second');
});

test('a failure in the background is logged, not thrown', async () => {
  const source = await Source.filled();
  source.now += 1000;
  assert.equal(await source.value.get(), 'first');
  source.answers[1]?.reject(new Error('down'));
  await new Promise(setImmediate);
  assert.deepEqual(source.warnings, ['failed to refresh the value, using what is known']);
  assert.equal(source.value.last, 'first');
});
