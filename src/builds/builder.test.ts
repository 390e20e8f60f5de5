import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { FactoryError } from '../errors.ts';
import { AssetBuilder, type BuildContext } from './builder.ts';
import { BuildQueue } from './queue.ts';

class Asset {
  readonly name: string;
  disposed = 0;

  constructor(name: string) {
    this.name = name;
  }

  [Symbol.dispose](): void {
    this.disposed++;
  }
}

interface Limits {
  readonly slots?: number;
  readonly limit?: number;
  readonly maxAssets?: number;
  readonly deadlineMs?: number;
  readonly keepMs?: number;
}

function builder(options: Limits = {}) {
  const time = { now: 0 };
  const clock = { now: () => time.now };
  const events: string[] = [];
  const queue = new BuildQueue({ slots: options.slots ?? 2, limit: options.limit ?? 4, clock });
  const made = new AssetBuilder<Asset, string>({
    queue,
    clock,
    maxAssets: options.maxAssets ?? 10,
    keepMs: options.keepMs ?? 60_000,
    deadlineMs: options.deadlineMs ?? 60_000,
    hooks: {
      known: (about) => void events.push(`known ${about}`),
      waited: (ms, about) => void events.push(`waited ${ms} ${about}`),
      built: (ms, about) => void events.push(`built ${ms} ${about}`),
      failed: (error, about) => void events.push(`failed ${(error as Error).message} ${about}`),
    },
  });
  return { made, queue, time, events };
}

const build = (asset: Asset) => async (): Promise<Asset> => asset;

test('an asset is built once, then known', async () => {
  const { made, events, time } = builder();
  const asset = new Asset('a');
  const work = ({ slot }: BuildContext): Promise<Asset> =>
    slot(async () => {
      time.now += 70;
      return asset;
    });
  const request = { key: 'k', about: 'x', build: work };
  const [first, second] = await Promise.all([made.open(request), made.open(request)]);
  const third = await made.open({ ...request, build: () => assert.fail('built again') });
  for (const lease of [first, second, third]) assert.equal(lease.asset, asset);
  assert.deepEqual([first.known, second.known, third.known], [false, false, true]);
  assert.deepEqual(events, ['waited 0 x', 'built 70 x', 'known x']);
  assert.equal(made.size, 1);
});

test('an asset is disposed when it is forgotten and nobody reads it', async () => {
  const { made } = builder({ maxAssets: 1 });
  const [a, b] = [new Asset('a'), new Asset('b')];
  const reading = await made.open({ key: 'a', about: '', build: build(a) });
  const again = await made.open({ key: 'a', about: '', build: build(a) });
  again[Symbol.dispose]();
  again[Symbol.dispose]();
  (await made.open({ key: 'b', about: '', build: build(b) }))[Symbol.dispose]();
  assert.deepEqual([a.disposed, b.disposed], [0, 0]);
  reading[Symbol.dispose]();
  assert.deepEqual([a.disposed, b.disposed], [1, 0]);
  made.close();
  assert.deepEqual([a.disposed, b.disposed], [1, 1]);
});

test('an asset that nobody asks for is forgotten after a while', async () => {
  const { made } = builder({ keepMs: 2 });
  const asset = new Asset('a');
  (await made.open({ key: 'a', about: '', build: build(asset) }))[Symbol.dispose]();
  while (asset.disposed === 0) await sleep(1);
  assert.equal(made.size, 0);
});

test('when everybody left, the asset is there for those who come back', async () => {
  const { made } = builder();
  const end = Promise.withResolvers<Asset>();
  const leaver = new AbortController();
  const left = made.open({ key: 'k', about: '', build: () => end.promise, signal: leaver.signal });
  await turn();
  leaver.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  const asset = new Asset('a');
  end.resolve(asset);
  await turn();
  assert.equal((await made.open({ key: 'k', about: '', build: () => assert.fail() })).known, true);
  assert.equal(asset.disposed, 0);
});

test('failures are told and not kept', async () => {
  const { made, events } = builder();
  const fail = () => Promise.reject(new FactoryError('upstream', 'X', 'no'));
  await assert.rejects(made.open({ key: 'k', about: 'x', build: fail }), { code: 'X' });
  assert.deepEqual(events, ['failed no x']);
  assert.equal((await made.open({ key: 'k', about: 'x', build: build(new Asset('a')) })).known, false);
});

test('a slot is free again after a failure inside of it', async () => {
  const { made, queue } = builder({ slots: 1 });
  const fail = ({ slot }: BuildContext): Promise<Asset> => slot(() => Promise.reject(new Error('no')));
  await assert.rejects(made.open({ key: 'k', about: '', build: fail }), /no/);
  assert.equal(queue.active, 0);
});

test('fetching takes no slot', async () => {
  const { made, queue } = builder({ slots: 1 });
  const fetched = Promise.withResolvers<void>();
  const slow = made.open({
    key: 'slow',
    about: '',
    build: async ({ slot }) => {
      await fetched.promise;
      return slot(build(new Asset('slow')));
    },
  });
  await turn();
  assert.equal(queue.active, 0);
  const quick = await made.open({
    key: 'quick',
    about: '',
    build: ({ slot }) => slot(build(new Asset('quick'))),
  });
  assert.equal(quick.asset.name, 'quick');
  fetched.resolve();
  assert.equal((await slow).asset.name, 'slow');
});

test('more builds than slots and queue are refused at once; those that run can be joined', async () => {
  const { made } = builder({ slots: 1, limit: 1 });
  const end = Promise.withResolvers<Asset>();
  const open = (key: string) => made.open({ key, about: '', build: () => end.promise });
  const running = [open('a'), open('b')];
  await assert.rejects(open('c'), { kind: 'unavailable', code: 'BUILD_QUEUE_FULL' });
  running.push(open('a'));
  end.resolve(new Asset('x'));
  assert.equal((await Promise.all(running)).length, 3);
});

test('a build that misses its deadline is given up, and kept if it ends after all', async () => {
  const { made } = builder({ deadlineMs: 5 });
  const end = Promise.withResolvers<Asset>();
  await assert.rejects(made.open({ key: 'k', about: '', build: () => end.promise }), {
    code: 'BUILD_DEADLINE',
  });
  end.resolve(new Asset('late'));
  await turn();
  assert.equal((await made.open({ key: 'k', about: '', build: () => assert.fail() })).asset.name, 'late');
});

test('the end aborts builds, forgets assets and takes nothing more', async () => {
  const { made } = builder();
  const kept = new Asset('kept');
  const lease = await made.open({ key: 'kept', about: '', build: build(kept) });
  const end = Promise.withResolvers<Asset>();
  const running = made.open({ key: 'k', about: '', build: () => end.promise });
  await turn();
  made.close();
  await assert.rejects(running, { code: 'BUILDS_CLOSED' });
  await assert.rejects(made.open({ key: 'kept', about: '', build: build(kept) }), { code: 'BUILDS_CLOSED' });
  const late = new Asset('late');
  end.resolve(late);
  await turn();
  assert.equal(late.disposed, 1);
  assert.equal(kept.disposed, 0);
  lease[Symbol.dispose]();
  assert.equal(kept.disposed, 1);
});
