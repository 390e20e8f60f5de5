import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../log.ts';
import { SigstoreInstance } from '../testing/sigstore/instance.ts';
import { TufRepository } from '../testing/sigstore/tuf-repository.ts';
import type { TrustedRootSource } from './trusted-root.ts';
import { type TufSettings, tufTrustedRoot } from './tuf-root.ts';

const HOUR = 60 * 60_000;
const [first, second] = [new SigstoreInstance(), new SigstoreInstance()];

interface Scene {
  readonly repository: TufRepository;
  readonly settings: TufSettings;
  readonly directory: string;
  /** Milliseconds. */
  now: number;
  readonly warnings: string[];
  /** What a factory has that starts now. */
  start(changed?: Partial<TufSettings>): Promise<TrustedRootSource>;
}

async function scene(t: TestContext): Promise<Scene> {
  const directory = await mkdtemp(join(tmpdir(), 'tuf-'));
  const repository = await TufRepository.start(first.trustedRoot());
  t.after(async () => {
    await repository[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const rootFile = join(directory, 'root.json');
  await writeFile(rootFile, repository.root);
  const settings = { mirror: `${repository.url}/`, cacheDirectory: join(directory, 'cache'), rootFile };
  const made: Scene = {
    repository,
    settings,
    directory,
    now: 0,
    warnings: [],
    start: (changed = {}) =>
      tufTrustedRoot(
        { ...settings, ...changed },
        {
          clock: { now: () => made.now },
          log: {
            ...silentLog,
            warn: (text, fields) => void made.warnings.push(`${text}: ${fields?.reason}`),
          },
        },
      ),
  };
  return made;
}

async function trusts(source: TrustedRootSource, instance: SigstoreInstance): Promise<boolean> {
  const { tlogs } = await source.load();
  return tlogs.some(({ logID }) => logID.equals(instance.rekor.logId));
}

const unavailable = { kind: 'unavailable', code: 'SIGNATURE_TRUSTED_ROOT_UNAVAILABLE', retryAfter: 30 };

test('the root is fetched at first use, once, and again after a day', async (t) => {
  const made = await scene(t);
  const { repository, directory } = made;
  const source = await made.start();
  assert.deepEqual(repository.requests, []);
  assert.deepEqual(await readdir(directory), ['root.json']);
  const [one, two] = await Promise.all([source.load(), source.load()]);
  assert.equal(one, two);
  assert.equal(repository.requests.filter((path) => path === 'timestamp.json').length, 1);
  repository.publish(second.trustedRoot());
  made.now += 23 * HOUR;
  assert.ok(await trusts(source, first));
  made.now += 2 * HOUR;
  assert.ok(await trusts(source, second));
  assert.ok(!(await trusts(source, first)));
  assert.deepEqual(made.warnings, []);
});

test('a mirror that is down, and nothing cached: the error says what to do, and the next one is not asked at once', async (t) => {
  const made = await scene(t);
  made.repository.down = true;
  const source = await made.start();
  await assert.rejects(source.load(), {
    ...unavailable,
    message:
      /^failed to get the Sigstore trusted root from http:\/\/127\.0\.0\.1:\d+ \(cache [^)]+\): .*; set containerSignature\.trustedRootFile .* TUF_MIRROR and TUF_ROOT_JSON .* containerSignature\.publicKeyFile alone$/,
  });
  const asked = made.repository.requests.length;
  made.repository.down = false;
  await assert.rejects(source.load(), unavailable);
  assert.equal(made.repository.requests.length, asked);
  made.now += 31_000;
  assert.ok(await trusts(source, first));
});

test('a cached root goes on being used while the mirror is down, also after a restart', async (t) => {
  const made = await scene(t);
  const source = await made.start();
  assert.ok(await trusts(source, first));
  made.repository.publish(second.trustedRoot());
  made.repository.down = true;
  made.now += 25 * HOUR;
  assert.ok(await trusts(source, first));
  assert.ok(await trusts(source, first));
  const restarted = await made.start();
  assert.ok(await trusts(restarted, first));
  assert.equal(made.warnings.length, 2);
  assert.match(
    made.warnings[0] ?? '',
    /^Sigstore trusted root cannot be refreshed, the cached one is used: .*Failed to download/,
  );
  made.repository.down = false;
  made.now += 2 * HOUR;
  assert.ok(await trusts(source, second));
  assert.ok(await trusts(restarted, second));
});

test('what the keys of the first root have not signed is not used', async (t) => {
  const made = await scene(t);
  const foreign = await TufRepository.start(second.trustedRoot());
  t.after(() => foreign[Symbol.asyncDispose]());
  const damages: readonly (readonly [string, (files: Map<string, Buffer>) => void])[] = [
    ['metadata by other keys', (files) => files.set('timestamp.json', foreign.files.get('timestamp.json')!)],
    ['targets by other keys', (files) => files.set('1.targets.json', foreign.files.get('1.targets.json')!)],
    [
      'another root file',
      (files) => {
        const path = [...files.keys()].find((name) => name.startsWith('targets/'))!;
        files.set(path, Buffer.from(JSON.stringify(second.trustedRoot())));
      },
    ],
  ];
  const good = new Map(made.repository.files);
  for (const [name, damage] of damages) {
    for (const [path, bytes] of good) made.repository.files.set(path, bytes);
    damage(made.repository.files);
    const source = await made.start({ cacheDirectory: join(made.directory, name.replaceAll(' ', '-')) });
    await assert.rejects(source.load(), unavailable, name);
  }
});

test('a damaged cache is not used, nor that of another first root', async (t) => {
  const made = await scene(t);
  assert.ok(await trusts(await made.start(), first));
  made.repository.down = true;
  const other = join(made.directory, 'other-root.json');
  const foreign = await TufRepository.start(second.trustedRoot());
  t.after(() => foreign[Symbol.asyncDispose]());
  await writeFile(other, foreign.root);
  await assert.rejects((await made.start({ rootFile: other })).load(), unavailable);
  const cached = (await readdir(made.settings.cacheDirectory, { recursive: true })).find((path) =>
    path.endsWith('targets/trusted_root.json'),
  );
  assert.ok(cached !== undefined);
  await writeFile(join(made.settings.cacheDirectory, cached), JSON.stringify(second.trustedRoot()));
  await assert.rejects((await made.start()).load(), unavailable);
});

test('mirrors that cannot be', async (t) => {
  const made = await scene(t);
  for (const [changed, message] of [
    [{ mirror: 'tuf' }, /^TUF_MIRROR must be an http or https URL/],
    [{ mirror: 'file:///tuf' }, /^TUF_MIRROR must be/],
    [{ mirror: 'https://user:secret@tuf.example.com' }, /^TUF_MIRROR must be [^:]*$/],
    [{ rootFile: '' }, /^TUF_MIRROR http:[^ ]+ needs TUF_ROOT_JSON/],
    [{ rootFile: join(made.directory, 'absent') }, /^TUF_ROOT_JSON [^ ]+ cannot be read: ENOENT/],
  ] as const) {
    await assert.rejects(made.start(changed), { kind: 'invalid', code: 'SIGNATURE_POLICY_INVALID', message });
  }
});
