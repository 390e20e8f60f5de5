import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { textBlob } from '../blob/bytes.ts';
import { toPortable } from '../blob/portable.ts';
import type { TaskRunner } from '../imager/task-runner.ts';
import type { ImagerTasks } from '../imager/tasks/registry.ts';
import type { tasks } from './workers.fixture.ts';
import { WorkerPool } from './workers.ts';

function pool(t: TestContext, options: { size?: number; idleMs?: number; memory?: number } = {}) {
  const made = new WorkerPool<typeof tasks>({
    registry: new URL('workers.fixture.ts', import.meta.url),
    size: options.size ?? 1,
    ...(options.idleMs === undefined ? {} : { idleMs: options.idleMs }),
    ...(options.memory === undefined ? {} : { limits: { maxOldGenerationSizeMb: options.memory } }),
  });
  t.after(() => made.close());
  return made;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test('tasks run one after the other in a thread that is kept', async (t) => {
  const workers = pool(t);
  assert.equal(workers.threads, 0);
  const all = await Promise.all([1, 2, 3].map((n) => workers.runTask('double', { n })));
  assert.deepEqual(
    all.map(({ n }) => n),
    [2, 4, 6],
  );
  assert.equal(new Set(all.map(({ thread }) => thread)).size, 1);
  assert.equal(workers.threads, 1);
});

test('several threads work side by side, and no more than allowed', async (t) => {
  const workers = pool(t, { size: 2 });
  const stuck = workers.runTask('never', undefined).catch((error: { code: string }) => error.code);
  const [a, b] = await Promise.all([1, 2].map((n) => workers.runTask('double', { n })));
  assert.equal(a?.thread, b?.thread);
  assert.equal(workers.threads, 2);
  await workers.close();
  assert.equal(await stuck, 'WORKERS_CLOSED');
});

test('buffers are handed over in both directions', async (t) => {
  const workers = pool(t);
  const bytes = new Uint8Array(16);
  const filled = await workers.run('fill', { bytes });
  assert.deepEqual(filled, new Uint8Array(16).fill(7));
  assert.deepEqual(bytes, new Uint8Array(16));
  await workers.runTask('fill', { bytes }, { transfer: [bytes.buffer] });
  assert.equal(bytes.length, 0);
});

test('a task sees nothing of the process', async (t) => {
  assert.deepEqual(await pool(t).runTask('environment', undefined), { env: {}, argv: [] });
});

test('errors keep what they are, and the thread lives on', async (t) => {
  const workers = pool(t);
  const first = (await workers.runTask('double', { n: 1 })).thread;
  await assert.rejects(workers.runTask('openNothing', undefined), { name: 'Error', code: 'ENOENT' });
  await assert.rejects(workers.runTask('refuse', { retryAfter: 7 }), {
    name: 'FactoryError',
    kind: 'unavailable',
    code: 'REFUSED',
    message: 'refused',
    retryAfter: 7,
  });
  await assert.rejects(workers.runTask('throwType', undefined), { name: 'TypeError', message: 'wrong type' });
  await assert.rejects(workers.runTask('throwText', undefined), { message: 'just a text' });
  await assert.rejects(workers.runTask('uncloneable', undefined), { name: 'DataCloneError' });
  await assert.rejects(workers.run('broken', undefined), { message: 'cannot be imported' });
  await assert.rejects(workers.run('toString', undefined), { message: 'there is no task "toString"' });
  await assert.rejects(
    workers.run('double', () => 1),
    { name: 'DataCloneError' },
  );
  assert.equal((await workers.runTask('double', { n: 1 })).thread, first);
});

test('a crash costs its own task only', async (t) => {
  const workers = pool(t, { memory: 32 });
  for (const [name, code] of [
    ['exit', 'TASK_CRASHED'],
    ['crashLater', 'TASK_CRASHED'],
    ['devour', 'TASK_OUT_OF_MEMORY'],
  ] as const) {
    const crash = workers.runTask(name, undefined);
    const after = workers.runTask('double', { n: 4 });
    await assert.rejects(crash as Promise<unknown>, { kind: 'internal', code }, name);
    assert.equal((await after).n, 8, name);
  }
});

test('a task that is late or aborted loses its thread, even in an endless loop', async (t) => {
  const workers = pool(t);
  await assert.rejects(workers.runTask('spin', undefined, { timeout: 20 }), { code: 'TASK_TIMEOUT' });
  const abort = new AbortController();
  const aborted = workers.runTask('spin', undefined, { signal: abort.signal });
  const waiting = workers.runTask('double', { n: 1 }, { signal: abort.signal });
  const after = workers.runTask('double', { n: 2 });
  const reason = new Error('left');
  abort.abort(reason);
  await assert.rejects(aborted as Promise<unknown>, reason);
  await assert.rejects(waiting, reason);
  assert.equal((await after).n, 4);
  await assert.rejects(workers.runTask('double', { n: 1 }, { signal: abort.signal }), reason);
});

test('a task hears that it shall stop', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'workers-'));
  t.after(() => rm(directory, { recursive: true }));
  const workers = pool(t);
  const file = join(directory, 'polite');
  const abort = new AbortController();
  const task = workers.runTask('polite', { file }, { signal: abort.signal });
  await until(() => existsSync(`${file}.started`));
  abort.abort();
  await assert.rejects(task, { name: 'AbortError' });
  await until(() => existsSync(file) && readFileSync(file, 'utf8') === 'stopped');
  await until(() => workers.threads === 0);
});

test('programs of an aborted task end with it', async (t) => {
  const workers = pool(t);
  const seconds = `3600.${process.pid}`;
  const running = (): boolean =>
    spawnSync('ps', ['-eo', 'args']).stdout.toString().includes(`sleep ${seconds}`);
  const abort = new AbortController();
  const task = workers.runTask('sleepProgram', { seconds }, { signal: abort.signal });
  await until(running);
  abort.abort();
  await assert.rejects(task, { name: 'AbortError' });
  await until(() => !running());
});

test('idle threads end, and others start when they are needed', async (t) => {
  const workers = pool(t, { idleMs: 1 });
  await workers.runTask('double', { n: 1 });
  await until(() => workers.threads === 0);
  assert.equal((await workers.runTask('double', { n: 3 })).n, 6);
});

test('a closed pool takes nothing', async (t) => {
  const workers = pool(t);
  const running = workers.runTask('never', undefined);
  const waiting = workers.runTask('double', { n: 1 });
  const rejected = Promise.all([
    assert.rejects(running, { code: 'WORKERS_CLOSED' }),
    assert.rejects(waiting, { code: 'WORKERS_CLOSED' }),
  ]);
  await workers.close();
  await rejected;
  assert.equal(workers.threads, 0);
  await assert.rejects(workers.runTask('double', { n: 1 }), { kind: 'unavailable', code: 'WORKERS_CLOSED' });
});

test('the pool runs the tasks of the imager', async (t) => {
  const workers = new WorkerPool<ImagerTasks>({
    registry: new URL('../imager/tasks/registry.ts', import.meta.url),
    size: 1,
  });
  t.after(() => workers.close());
  const runner: TaskRunner = workers;
  const blob = await toPortable(textBlob('abc'));
  assert.equal(
    await runner.runTask('digest', { blob, algorithm: 'sha256' }),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});
