import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { readAll } from '../blob/consume.ts';
import { directoryName } from './entry-directory.ts';
import { type LocalStoreOptions, type OpenLocalStore, openLocalStore } from './local-store.ts';
import type { StoredEntry } from './store.ts';

const never = async (): Promise<void> => assert.fail('made a second time');

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'store-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function opened(t: TestContext, options: Partial<LocalStoreOptions> = {}): Promise<OpenLocalStore> {
  const directory = options.directory ?? (await temporary(t));
  const store = await openLocalStore({ maxBytes: 1 << 30, ...options, directory });
  t.after(() => store[Symbol.asyncDispose]());
  return store;
}

const file =
  (text: string, name = 'a') =>
  (directory: string): Promise<void> =>
    writeFile(join(directory, name), text);

async function text(entry: StoredEntry, name = 'a'): Promise<string> {
  return Buffer.from(await readAll(entry.blob(name))).toString();
}

test('an entry is made once, found again and survives a restart', async (t) => {
  const directory = await temporary(t);
  const first = await openLocalStore({ directory, maxBytes: 1000 });
  assert.equal(first.lookup('k/1:x'), undefined);
  {
    using entry = await first.obtain('k/1:x', async (at) => {
      assert.deepEqual(await readdir(at), []);
      await mkdir(join(at, 'd'));
      await writeFile(join(at, 'd', 'b'), 'bytes');
      await writeFile(join(at, 'a'), '');
    });
    assert.deepEqual(entry.names(), ['a', 'd/b']);
    assert.equal(await text(entry, 'd/b'), 'bytes');
    assert.equal(entry.blob('d/b').key, 'k/1:x/d/b');
    assert.equal(entry.blob('d/b', 'packed').nature, 'packed');
    assert.ok(entry.has('a') && !entry.has('d') && !entry.has('c'));
    assert.throws(() => entry.path('../lock'), { code: 'STORE_FILE_MISSING' });
    assert.throws(() => entry.blob('c'), { code: 'STORE_FILE_MISSING' });
  }
  await first[Symbol.asyncDispose]();
  await assert.rejects(first.obtain('x', never), { code: 'STORE_CLOSED' });
  const second = await opened(t, { directory });
  using again = await second.obtain('k/1:x', never);
  assert.equal(await text(again, 'd/b'), 'bytes');
  assert.deepEqual(second.usage(), { bytes: 5, entries: 1, pinned: 1 });
});

test('a disposed entry cannot be used', async (t) => {
  const store = await opened(t);
  const entry = await store.obtain('k', file('x'));
  entry[Symbol.dispose]();
  entry[Symbol.dispose]();
  assert.throws(() => entry.path('a'), { code: 'STORE_ENTRY_DISPOSED' });
  assert.equal(store.usage().pinned, 0);
});

test('concurrent callers share one make, and one who leaves does not stop it', async (t) => {
  const store = await opened(t);
  const gate = Promise.withResolvers<void>();
  let made = 0;
  const make = async (directory: string, signal: AbortSignal): Promise<void> => {
    made++;
    await gate.promise;
    assert.equal(signal.aborted, false);
    await file('shared')(directory);
  };
  const leaver = new AbortController();
  const left = store.obtain('k', make, leaver.signal);
  const stayed = [store.obtain('k', make), store.obtain('k', make)];
  const reason = new Error('caller gone');
  leaver.abort(reason);
  await assert.rejects(left, reason);
  gate.resolve();
  for (const entry of await Promise.all(stayed)) assert.equal(await text(entry), 'shared');
  assert.equal(made, 1);
  assert.equal(store.usage().pinned, 1);
});

test('a make whose callers have all left is finished for the next', async (t) => {
  const store = await opened(t);
  const gate = Promise.withResolvers<void>();
  const leaver = new AbortController();
  const left = store.obtain('k', (d) => gate.promise.then(() => file('late')(d)), leaver.signal);
  leaver.abort();
  await assert.rejects(left, { name: 'AbortError' });
  const next = store.obtain('k', never);
  gate.resolve();
  assert.equal(await text(await next), 'late');
  await assert.rejects(store.obtain('other', never, AbortSignal.abort()), { name: 'AbortError' });
});

test('a failure reaches every caller, leaves nothing and is not remembered', async (t) => {
  const directory = await temporary(t);
  const store = await opened(t, { directory });
  const failing = async (at: string): Promise<void> => {
    await file('half')(at);
    throw new Error('broken');
  };
  const outcomes = await Promise.allSettled([store.obtain('k', failing), store.obtain('k', failing)]);
  for (const outcome of outcomes)
    assert.match(String(outcome.status === 'rejected' && outcome.reason), /broken/);
  assert.deepEqual(await readdir(join(directory, 'work')), []);
  assert.deepEqual(await readdir(join(directory, 'entries')), []);
  using entry = await store.obtain('k', file('whole'));
  assert.equal(await text(entry), 'whole');
});

test('links are refused', async (t) => {
  const store = await opened(t);
  const make = (directory: string): Promise<void> => symlink('/etc/passwd', join(directory, 'a'));
  await assert.rejects(store.obtain('k', make), { code: 'STORE_ENTRY_INVALID' });
});

test('the least recently used entries go first, and held ones never', async (t) => {
  let now = 1_000_000;
  const clock = { now: () => now++ };
  const directory = await temporary(t);
  const store = await opened(t, { directory, clock, maxBytes: 30 });
  const held = await store.obtain('held', file('x'.repeat(10)));
  for (const key of ['b', 'c']) (await store.obtain(key, file('x'.repeat(10))))[Symbol.dispose]();
  store.lookup('b')?.[Symbol.dispose]();
  (await store.obtain('d', file('x'.repeat(10))))[Symbol.dispose]();
  assert.equal(store.lookup('c'), undefined);
  using stillB = store.lookup('b');
  assert.ok(stillB !== undefined);
  assert.equal((await text(held)).length, 10);
  // More than fits: kept while it is held, gone when it is not.
  const large = await store.obtain('large', file('x'.repeat(100)));
  assert.equal((await text(large)).length, 100);
  assert.equal(store.lookup('d'), undefined);
  large[Symbol.dispose]();
  assert.equal(store.lookup('large'), undefined);
  assert.deepEqual(store.usage(), { bytes: 20, entries: 2, pinned: 2 });
});

test('what was evicted can be made again at once', async (t) => {
  const store = await opened(t, { maxBytes: 5 });
  for (let round = 0; round < 5; round++) {
    using entry = await store.obtain('k', file(`round ${round}`));
    assert.equal(await text(entry), `round ${round}`);
  }
});

test('the order of use survives a restart', async (t) => {
  const directory = await temporary(t);
  let now = Date.now();
  const clock = { now: () => now };
  const first = await openLocalStore({ directory, clock, maxBytes: 1000 });
  for (const key of ['a', 'b', 'c']) (await first.obtain(key, file('0123456789')))[Symbol.dispose]();
  for (const key of ['a', 'c']) {
    now += 3_600_000;
    first.lookup(key)?.[Symbol.dispose]();
  }
  await first[Symbol.asyncDispose]();
  const second = await opened(t, { directory, clock, maxBytes: 10 });
  assert.equal(second.lookup('a'), undefined);
  assert.equal(second.lookup('b'), undefined);
  using kept = second.lookup('c');
  assert.ok(kept !== undefined);
});

test('make has a deadline of its own, also when it does not heed it', async (t) => {
  const directory = await temporary(t);
  const hasty = await openLocalStore({ directory, maxBytes: 1000, makeTimeout: 20 });
  const heeding = (_: string, signal: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  await assert.rejects(hasty.obtain('k', heeding), { code: 'STORE_MAKE_TIMEOUT', kind: 'unavailable' });
  const gate = Promise.withResolvers<void>();
  const deaf = (at: string): Promise<void> => gate.promise.then(() => file('too late')(at));
  await assert.rejects(hasty.obtain('k', deaf), { code: 'STORE_MAKE_TIMEOUT' });
  gate.resolve();
  await hasty[Symbol.asyncDispose]();
  assert.deepEqual(await readdir(join(directory, 'work')), []);
  const patient = await opened(t, { directory });
  using entry = await patient.obtain('k', file('then'));
  assert.equal(await text(entry), 'then');
});

test('closing stops what is being made', async (t) => {
  const directory = await temporary(t);
  const store = await openLocalStore({ directory, maxBytes: 1000 });
  const heeding = (_: string, signal: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  const rejected = assert.rejects(store.obtain('k', heeding), { code: 'STORE_CLOSED' });
  await store[Symbol.asyncDispose]();
  await rejected;
  assert.deepEqual(await readdir(join(directory, 'work')), []);
});

test('a full disk empties the store of what nobody holds, and fails clearly when that is not enough', async (t) => {
  const directory = await temporary(t);
  const store = await opened(t, { directory });
  using held = await store.obtain('held', file('held'));
  (await store.obtain('idle', file('idle')))[Symbol.dispose]();
  let tries = 0;
  // /dev/full answers every write with ENOSPC (full(4)).
  using second = await store.obtain('k', async (at) => {
    await file('half')(at);
    if (++tries === 1) await writeFile('/dev/full', 'x');
  });
  assert.equal(await text(second), 'half');
  assert.equal(store.lookup('idle'), undefined);
  assert.equal(await text(held), 'held');
  const full = store.obtain('full', async (at) => {
    await file('half')(at);
    await writeFile('/dev/full', 'x').catch((cause: unknown) => {
      throw new Error('could not extract', { cause });
    });
  });
  await assert.rejects(full, (error: Error & { code?: string; kind?: string }) => {
    assert.equal(error.code, 'STORE_DISK_FULL');
    assert.equal(error.kind, 'unavailable');
    assert.ok(error.message.includes(directory));
    return true;
  });
  assert.deepEqual(await readdir(join(directory, 'work')), []);
  assert.equal((await readdir(join(directory, 'entries'))).length, 2);
});

test('scratch directories are private, empty and gone afterwards', async (t) => {
  const directory = await temporary(t);
  const store = await opened(t, { directory });
  {
    await using one = await store.scratch();
    await using two = await store.scratch();
    assert.notEqual(one.path, two.path);
    await writeFile(join(one.path, 'x'), 'x');
    assert.deepEqual(await readdir(two.path), []);
  }
  assert.deepEqual(await readdir(join(directory, 'work')), []);
});

test('damaged entries are removed when the store opens', async (t) => {
  const directory = await temporary(t);
  const first = await openLocalStore({ directory, maxBytes: 1000 });
  for (const key of ['whole', 'short', 'missing', 'torn']) {
    (await first.obtain(key, file('0123456789')))[Symbol.dispose]();
  }
  await first[Symbol.asyncDispose]();
  const at = (key: string): string => join(directory, 'entries', directoryName(key));
  await truncate(join(at('short'), 'files/a'), 5);
  await rm(join(at('missing'), 'files/a'));
  await truncate(join(at('torn'), 'entry.json'), 12);
  await writeFile(join(directory, 'entries', 'stray'), '');
  await mkdir(join(directory, 'work', 'left-behind'));
  const second = await opened(t, { directory });
  assert.deepEqual(second.usage(), { bytes: 10, entries: 1, pinned: 0 });
  assert.deepEqual(await readdir(join(directory, 'entries')), [directoryName('whole')]);
  assert.deepEqual(await readdir(join(directory, 'work')), []);
});

test('whatever is asked for, what is held is whole, and the rest fits', async (t) => {
  const maxBytes = 100;
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    does: fc.constantFrom('obtain', 'obtain', 'lookup', 'release'),
  });
  const sizes: Readonly<Record<string, number>> = { a: 10, b: 30, c: 50, d: 70, e: 100, f: 130 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      await using store = await openLocalStore({ directory: await temporary(t), maxBytes });
      const held: StoredEntry[] = [];
      for (const { key, does } of steps) {
        if (does === 'release') held.shift()?.[Symbol.dispose]();
        const taken = does === 'obtain' ? await store.obtain(key, file(key.repeat(sizes[key]!))) : undefined;
        const found = does === 'lookup' ? store.lookup(key) : taken;
        if (found !== undefined) held.push(found);
        for (const entry of held) assert.equal(await text(entry), entry.key.repeat(sizes[entry.key]!));
        const keys = new Set(held.map((entry) => entry.key));
        const needed = [...keys].reduce((sum, one) => sum + sizes[one]!, 0);
        const usage = store.usage();
        assert.equal(usage.pinned, keys.size);
        assert.ok(usage.bytes <= Math.max(maxBytes, needed), `${usage.bytes} bytes, ${needed} needed`);
      }
      for (const entry of held) entry[Symbol.dispose]();
      assert.ok(store.usage().bytes <= maxBytes);
    }),
    { numRuns: 20 },
  );
});

test('a directory that cannot be used is named', async (t) => {
  const directory = join(await temporary(t), 'file');
  await writeFile(directory, '');
  await assert.rejects(openLocalStore({ directory, maxBytes: 1 }), {
    code: 'STORE_UNUSABLE',
    message: new RegExp(`^store directory ${directory} cannot be used: ENOTDIR`),
  });
});

const child = fileURLToPath(new URL('local-store-child.testing.ts', import.meta.url));

test('a directory in use is refused, left alone, and free again after kill -9', async (t) => {
  const directory = await temporary(t);
  const other = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => other.kill('SIGKILL'));
  const exited = once(other, 'exit');
  let keys = 0;
  for await (const chunk of other.stdout.iterator({ destroyOnReturn: false })) {
    keys += String(chunk).split('\n').length - 1;
    if (keys >= 3) break;
  }
  await assert.rejects(
    openLocalStore({ directory, maxBytes: 1 << 30 }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'STORE_IN_USE');
      assert.ok(error.message.includes(directory));
      return true;
    },
  );
  assert.notDeepEqual(await readdir(join(directory, 'work')), []);
  other.kill('SIGKILL');
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  const store = await opened(t, { directory });
  assert.deepEqual(await readdir(join(directory, 'work')), []);
  const entries = await readdir(join(directory, 'entries'));
  assert.ok(entries.length >= 3, `${entries.length} entries`);
  assert.equal(store.usage().entries, entries.length);
  for (let i = 0; i < keys; i++) {
    using entry = store.lookup(`entry-${i}`);
    assert.ok(entry !== undefined, `entry-${i} was announced`);
    for (const name of entry.names()) {
      const bytes = await readAll(entry.blob(name));
      assert.equal(bytes.length, 200_000);
      assert.ok(
        bytes.every((byte) => byte === i % 256),
        `entry-${i} is whole`,
      );
    }
  }
});
