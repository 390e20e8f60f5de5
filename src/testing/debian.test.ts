import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetchDebian } from './debian.ts';

test('packages in the cache are used as they are, and a fetch that fails leaves nothing', async (t) => {
  const cache = await mkdtemp(join(tmpdir(), 'debian-test-'));
  t.after(() => rm(cache, { recursive: true }));
  // No archive has this suite: whoever asks one fails.
  const request = { cache, suite: 'no-such-suite', arch: 'amd64', packages: ['hello'] } as const;
  await assert.rejects(fetchDebian(request), { code: 'PROGRAM_FAILED' });
  assert.deepEqual(await readdir(cache), []);

  const place = join(cache, `no-such-suite-amd64-2cf24dba`);
  await mkdir(join(place, 'root'), { recursive: true });
  await writeFile(join(place, 'packages.json'), '["hello_1_amd64.deb"]');
  assert.deepEqual(await fetchDebian(request), {
    root: join(place, 'root'),
    packages: ['hello_1_amd64.deb'],
  });
});
