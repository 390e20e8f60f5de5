import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from './load.ts';
import { keysWithoutEffect } from './not-yet.ts';
import { renderConfig } from './render.ts';
import { type Config, configRoot, configSchema, defaultConfig, fieldsOf } from './schema.ts';
import { parseSources } from './sources.ts';

/** `spec/configuration.md` §9, one section of it as the users' documents print it. */
const HTTP_DEFAULTS = `http:
    allowedOrigins:
        - '*'
    certFile: ""
    externalPXEURL: ""
    externalURL: https://localhost/
    httpListenAddr: :8080
    keyFile: ""
`;

test('defaults in YAML are sorted, with four blanks, in Go notation', () => {
  const yaml = renderConfig(defaultConfig(), 'yaml');
  assert.ok(yaml.includes(`\n${HTTP_DEFAULTS}`));
  for (const line of [
    'artifacts:\n    core:\n        components:\n            extensionManifest: siderolabs/extensions\n',
    '    refreshInterval: 5m0s\n',
    '        databaseUpdateAt: "07:00"\n',
    '    brokenTalosVersions: []\n',
    '    subjectRegExp: (@siderolabs\\.com$|^releasemgr-svc@talos-production\\.iam\\.gserviceaccount\\.com$)\n',
  ]) {
    assert.ok(yaml.includes(line), line);
  }
});

test('defaults as variables are sorted, lists are JSON, empty texts are empty', () => {
  const lines = renderConfig(defaultConfig(), 'env').trimEnd().split('\n');
  assert.deepEqual(lines, lines.toSorted());
  assert.equal(lines.length, [...fieldsOf(configRoot)].length);
  for (const line of [
    'IF_HTTP_ALLOWEDORIGINS=["*"]',
    'IF_BUILD_BROKENTALOSVERSIONS=[]',
    'IF_HTTP_CERTFILE=',
    'IF_CACHE_S3_PRESIGNEDURLTTL=1h0m0s',
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test('a printed configuration loads as itself, in every format', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'config-'));
  t.after(() => rm(directory, { recursive: true }));
  const words = fc.string({ unit: fc.constantFrom(...'ab1:-#\'"[]{}$\\ \n*~') });
  const configs = fc
    .record({
      http: fc.record({ externalURL: words, allowedOrigins: fc.array(words, { maxLength: 3 }) }),
      build: fc.record({ maxConcurrency: fc.integer() }),
      cache: fc.record({ oci: fc.record({ namespace: words, insecure: fc.boolean() }) }),
      artifacts: fc.record({ refreshInterval: fc.nat(10 ** 9).map((n) => `${n}ms`) }),
      store: fc.record({ maxSize: fc.nat() }),
    })
    .map((input): Config => configSchema.parse(input as never));
  await fc.assert(
    fc.asyncProperty(configs, async (config) => {
      for (const [format, extension] of [
        ['yaml', 'yaml'],
        ['env', 'env'],
        ['json', 'json'],
      ] as const) {
        const path = join(directory, `c.${extension}`);
        await writeFile(path, renderConfig(config, format));
        const loaded = await loadConfig(parseSources(path), {});
        assert.deepEqual(loaded, { config, unknown: [] }, format);
      }
    }),
    { numRuns: 100 },
  );
});

test('secrets are not printed', () => {
  const config = configSchema.parse({
    authentication: { auth0: { clientSecret: 'topsecret', sessionKey: 'topsecret' } },
  });
  for (const format of ['yaml', 'env', 'json'] as const) {
    assert.doesNotMatch(renderConfig(config, format), /topsecret/);
  }
});

test('keys without effect are named when they are set', () => {
  assert.deepEqual(keysWithoutEffect(defaultConfig()), []);
  const config = configSchema.parse({
    secureBoot: { enabled: true },
    containerSignature: { subjectRegExp: '', issuer: 'x' },
    cache: { s3: { bucket: 'image-factory' }, oci: { insecure: true } },
    http: { externalURL: 'http://x' },
    artifacts: { schematic: { insecure: true } },
  } as never);
  assert.deepEqual(keysWithoutEffect(config), ['cache.oci.insecure', 'secureBoot.enabled']);
});
