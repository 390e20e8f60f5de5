import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FactoryError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { noFacts } from '../store/facts.ts';
import { compareVersions, formatVersion, parseTalosVersion, versionTag } from '../talos/version.ts';
import { selectVersions, VersionList } from './versions.ts';

const minimum = parseTalosVersion('1.2.0');
const select = (tags: string, broken: readonly string[] = []): string =>
  selectVersions(tags.split(' '), { minimum, broken: broken.map(parseTalosVersion) })
    .map(versionTag)
    .join(' ');

test('the versions that tags offer', () => {
  for (const [tags, expected, broken] of [
    // The worked example of spec/artifacts.md §3.1.
    [
      'v1.1.9 v1.2.0 v1.12.0 v1.13.0-alpha.1 v1.13.0-alpha.1-3-gdead v1.13.0-beta.0 v1.12.1-rc.0 latest sha256-aa.sig',
      'v1.2.0 v1.12.0 v1.13.0-alpha.1 v1.13.0-beta.0',
    ],
    ['v1.14.0-rc.1 v1.14.0-rc v1.14.0-alpha.0-12-gabcdef', 'v1.14.0-rc.1'],
    // Pre-releases of an older minor are gone once any of the newer one exists.
    ['v1.13.0-rc.0 v1.14.0-alpha.0', 'v1.14.0-alpha.0'],
    // Those of the newest minor stay after its release.
    ['v1.13.0-rc.0 v1.13.0 v1.13.1', 'v1.13.0-rc.0 v1.13.0 v1.13.1'],
    // A stray development tag of the next minor hides nothing.
    ['v1.14.0-alpha.1 v1.15.0-alpha.0-3-gabc', 'v1.14.0-alpha.1'],
    ['v1.14.0-alpha.1 v1.15.0-dirty', 'v1.14.0-alpha.1'],
    // What is broken or below the minimum still tells what is newest.
    ['v1.13.0-rc.0 v1.14.0', '', ['1.14.0']],
    ['v1.13.0 v1.14.0-rc.0 v1.14.0', 'v1.13.0 v1.14.0-rc.0', ['1.14.0']],
    ['v1.14.0-rc.0 v1.14.0', 'v1.14.0', ['1.14.0-rc.0']],
    // Tolerant reading, each version once, by precedence and not by text.
    ['1.5 v1.5.0 v1.5 1.05.0 v1.10.0 v1.9.0', 'v1.5.0 v1.9.0 v1.10.0'],
    [
      'v1.10.0-rc.10 v1.10.0-rc.9 v1.10.0-alpha.3 v1.10.0-beta.0',
      'v1.10.0-alpha.3 v1.10.0-beta.0 v1.10.0-rc.9 v1.10.0-rc.10',
    ],
    ['v1.10.0-gamma.1 v1.10.0-alpha.x v1.10.0-alpha.1.2', ''],
    ['latest sha256-0123456789abcdef.sig sha256-0123', ''],
    ['v1.1.9', ''],
  ] as const) {
    assert.equal(select(tags, broken), expected, tags);
  }
});

test('the order of tags does not matter, and the result is ascending without repetition', () => {
  const tag = fc.oneof(
    fc.tuple(fc.nat(2), fc.nat(12), fc.nat(3)).map((parts) => `v${parts.join('.')}`),
    fc
      .tuple(fc.nat(14), fc.constantFrom('alpha', 'beta', 'rc', 'dev'), fc.nat(3))
      .map(([minor, stage, number]) => `v1.${minor}.0-${stage}.${number}`),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(tag), fc.array(tag), (first, second) => {
      const rules = { minimum, broken: [] };
      const versions = selectVersions([...first, ...second], rules);
      assert.deepEqual(
        versions.map(formatVersion),
        selectVersions([...second, ...first, ...first], rules).map(formatVersion),
      );
      for (let i = 1; i < versions.length; i++)
        assert.ok(compareVersions(versions[i - 1]!, versions[i]!) < 0);
    }),
  );
});

class Upstream {
  tags: readonly string[] | Error = ['v1.10.0'];
  asked = 0;
  now = 1_000_000_000;
  readonly warnings: string[] = [];
  readonly list = new VersionList({
    minimum,
    broken: [],
    source: 'registry.example.com/siderolabs/imager',
    interval: 900_000,
    clock: { now: () => this.now },
    facts: noFacts,
    log: { ...silentLog, warn: (message) => void this.warnings.push(message) },
    tags: async () => {
      this.asked++;
      await new Promise(setImmediate);
      if (this.tags instanceof Error) throw this.tags;
      return this.tags;
    },
  });

  async versions(): Promise<string> {
    return (await this.list.versions()).map(versionTag).join(' ');
  }

  /** Waits until what was started in the background is over. */
  async settle(): Promise<void> {
    for (let i = 0; i < 4; i++) await new Promise(setImmediate);
  }
}

const down = new FactoryError('unavailable', 'OCI_UNREACHABLE', 'registry cannot be reached');

test('the list is asked for once by all callers, and again after the interval, in the background', async () => {
  const upstream = new Upstream();
  assert.equal(upstream.list.known, false);
  await Promise.all([upstream.versions(), upstream.versions(), upstream.versions()]);
  assert.equal(upstream.asked, 1);
  assert.equal(upstream.list.known, true);
  upstream.tags = ['v1.10.0', 'v1.11.0'];
  upstream.now += 899_999;
  assert.equal(await upstream.versions(), 'v1.10.0');
  assert.equal(upstream.asked, 1);
  upstream.now += 1;
  assert.equal(await upstream.versions(), 'v1.10.0');
  await upstream.settle();
  assert.equal(await upstream.versions(), 'v1.10.0 v1.11.0');
  assert.equal(upstream.asked, 2);
});

test('a list that nobody asked for in a long time is renewed before it is given', async () => {
  const upstream = new Upstream();
  await upstream.versions();
  upstream.tags = ['v1.10.0', 'v1.11.0'];
  upstream.now += 86_400_000;
  assert.equal(await upstream.versions(), 'v1.10.0 v1.11.0');
});

test('the old list is served while the registry fails, which is asked again after growing pauses', async () => {
  const upstream = new Upstream();
  await upstream.versions();
  upstream.tags = down;
  upstream.now += 86_400_000;
  assert.equal(await upstream.versions(), 'v1.10.0');
  assert.equal(upstream.asked, 2);
  assert.deepEqual(upstream.warnings, [
    'failed to refresh the list of Talos versions from registry.example.com/siderolabs/imager, using what is known',
  ]);
  for (const [pause, asked] of [
    [4_999, 2],
    [1, 3],
    [9_999, 3],
    [1, 4],
  ] as const) {
    upstream.now += pause;
    assert.equal(await upstream.versions(), 'v1.10.0');
    await upstream.settle();
    assert.equal(upstream.asked, asked);
  }
  upstream.tags = ['v1.11.0'];
  upstream.now += 900_000;
  assert.equal(await upstream.versions(), 'v1.11.0');
});

test('a registry that has lost its tags does not empty the list', async () => {
  const upstream = new Upstream();
  await upstream.versions();
  upstream.tags = ['latest'];
  upstream.now += 86_400_000;
  assert.equal(await upstream.versions(), 'v1.10.0');
});

test('without a list the error is the answer, and is not remembered', async () => {
  const upstream = new Upstream();
  upstream.tags = down;
  await assert.rejects(upstream.versions(), { code: 'OCI_UNREACHABLE', kind: 'unavailable' });
  upstream.tags = [];
  await assert.rejects(upstream.versions(), {
    code: 'VERSIONS_UNAVAILABLE',
    kind: 'unavailable',
    retryAfter: 60,
    message: 'no Talos versions found among the tags of registry.example.com/siderolabs/imager',
  });
  upstream.tags = ['v1.0.0'];
  assert.equal(await upstream.versions(), '');
});

test('a version that is not listed is looked for again when the list is old, and only then', async () => {
  const upstream = new Upstream();
  await upstream.list.require(parseTalosVersion('v1.10.0'));
  await assert.rejects(upstream.list.require(parseTalosVersion('1.11.0-alpha.0')), {
    kind: 'not-found',
    message: 'version 1.11.0-alpha.0 is not available',
  });
  upstream.tags = ['v1.10.0', 'v1.11.0'];
  await assert.rejects(upstream.list.require(parseTalosVersion('1.11.0')), { kind: 'not-found' });
  assert.equal(upstream.asked, 1);
  upstream.now += 900_000;
  await upstream.list.require(parseTalosVersion('1.11.0'));
  assert.equal(upstream.asked, 2);
});

test('a caller that leaves does not stop the listing', async () => {
  const upstream = new Upstream();
  const leaver = new AbortController();
  const left = upstream.list.versions(leaver.signal);
  const stayed = upstream.versions();
  leaver.abort();
  await assert.rejects(left, { name: 'AbortError' });
  assert.equal(await stayed, 'v1.10.0');
  assert.equal(upstream.asked, 1);
});
