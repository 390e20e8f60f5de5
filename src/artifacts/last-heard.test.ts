import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FactoryError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { type Facts, openFacts } from '../store/facts.ts';
import { lastHeard } from './last-heard.ts';

const down = (): Promise<string> => Promise.reject(new FactoryError('unavailable', 'X', 'registry is down'));
const options = (facts: Facts, hasPrevious = false) => ({
  facts,
  key: 'k',
  what: 'x',
  hasPrevious,
  log: silentLog,
});

test('what was heard is used after a restart, when nobody answers', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'facts-'));
  t.after(() => rm(dir, { recursive: true }));
  const before = await openFacts(dir);
  await assert.rejects(lastHeard(options(before), down), /registry is down/);
  for (const answer of ['one', 'two']) {
    assert.equal(await lastHeard(options(before), async () => answer), answer);
  }
  const after = await openFacts(dir);
  assert.equal(await lastHeard(options(after), down), 'two');
  await assert.rejects(
    lastHeard(options(after, true), down),
    /registry is down/,
    'what is newer is not replaced',
  );
  const ours = (): Promise<string> => Promise.reject(new Error('a mistake of ours'));
  await assert.rejects(lastHeard(options(after), ours), /a mistake of ours/);
  await assert.rejects(lastHeard({ ...options(after), key: 'other' }, down), /registry is down/);
  assert.equal((await readdir(dir)).length, 1, 'nothing is left behind');
});

test('an answer that cannot be kept is used all the same', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'facts-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const facts = await openFacts(join(dir, 'a'));
  await rm(join(dir, 'a'), { recursive: true });
  await writeFile(join(dir, 'a'), 'in the way');
  assert.equal(await lastHeard(options(facts), async () => 'one'), 'one');
});
