import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Environment } from './environment.ts';
import { loadConfig } from './load.ts';
import { type Config, defaultConfig, valueAt } from './schema.ts';
import { parseSources } from './sources.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'config-'));
});
after(() => rm(directory, { recursive: true }));

/** Loads files (name and text) after the environment. */
async function load(files: Readonly<Record<string, string>>, env: Environment = {}, extra = '') {
  const sources = [];
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(directory, name), text);
    sources.push(...parseSources(join(directory, name)));
  }
  if (extra !== '') sources.push(...parseSources(extra));
  return loadConfig(sources, env);
}

function at(config: Config, path: string): unknown {
  return valueAt(config, path.split('.'));
}

test('without settings there are the defaults', async () => {
  assert.deepEqual(await load({}), { config: defaultConfig(), unknown: [] });
  for (const empty of [{ 'e.yaml': '' }, { 'e.yaml': '# x\n---\n' }, { 'e.json': 'null' }, { 'e.env': '' }]) {
    assert.deepEqual((await load(empty)).config, defaultConfig());
  }
});

/** key, value of the file, expected */
const VALUES: readonly (readonly [string, string, unknown])[] = [
  ['build.minTalosVersion', '1.2', '1.2'],
  ['build.minTalosVersion', 'true', '1'],
  ['http.certFile', 'null', ''],
  ['http.certFile', '5', '5'],
  ['cache.s3.enabled', '1', true],
  ['cache.s3.enabled', '"T"', true],
  ['cache.s3.enabled', '""', false],
  ['cache.s3.enabled', 'false', false],
  ['build.maxConcurrency', '3.9', 3],
  ['build.maxConcurrency', 'true', 1],
  ['build.maxConcurrency', '"0x10"', 16],
  ['build.maxConcurrency', '"010"', 8],
  ['build.maxConcurrency', '"1_000"', 1000],
  ['build.maxConcurrency', '""', 0],
  ['build.maxConcurrency', '"-2"', -2],
  ['audit.file.maxAge', '65535', 65535],
  ['artifacts.refreshInterval', '1h30m', 5_400_000],
  ['artifacts.refreshInterval', '0', 0],
  ['http.allowedOrigins', '[a, b]', ['a', 'b']],
  ['http.allowedOrigins', '[]', []],
  ['http.allowedOrigins', '[1, true]', ['1', '1']],
  ['http.allowedOrigins', '"a,b"', ['a,b']],
  ['http.allowedOrigins', '""', []],
  ['http.allowedOrigins', '"[*]"', ['*']],
  ['http.allowedOrigins', '"[]"', []],
  ['http.allowedOrigins', '"[https://a https://b, c]"', ['https://a', 'https://b', 'c']],
  ['http.allowedOrigins', '7', ['7']],
  ['store.maxSize', '2Gi', 2 * 2 ** 30],
  ['store.maxSize', '4096', 4096],
];

test('values are converted, alike in YAML and JSON', async () => {
  for (const [path, written, expected] of VALUES) {
    const [section = '', ...rest] = path.split('.');
    const yaml = `${section}: ${rest.map((key) => `{${key}: `).join('')}${written}${rest.map(() => '}').join('')}`;
    assert.deepEqual(at((await load({ 'v.yaml': yaml })).config, path), expected, yaml);
    let json: unknown;
    try {
      json = JSON.parse(written);
    } catch {
      continue;
    }
    const tree = path.split('.').reduceRight<unknown>((below, key) => ({ [key]: below }), json);
    const loaded = await load({ 'v.json': JSON.stringify(tree) });
    assert.deepEqual(at(loaded.config, path), expected, written);
  }
});

const PROBLEMS: readonly (readonly [string, string])[] = [
  [
    '{build: {maxConcurrency: x}}',
    "'build.maxConcurrency' cannot parse value as 'int': strconv.ParseInt: invalid syntax",
  ],
  [
    '{audit: {file: {maxAge: 65536}}}',
    "'audit.file.maxAge' cannot parse value as 'uint': strconv.ParseUint: value out of range",
  ],
  [
    '{cache: {schematic: {capacity: -1}}}',
    "'cache.schematic.capacity' cannot parse value as 'uint': strconv.ParseUint: value out of range",
  ],
  [
    '{cache: {schematic: {capacity: "+1"}}}',
    "'cache.schematic.capacity' cannot parse value as 'uint': strconv.ParseUint: invalid syntax",
  ],
  [
    '{build: {maxConcurrency: .inf}}',
    "'build.maxConcurrency' cannot parse value as 'int': strconv.ParseInt: invalid syntax",
  ],
  [
    '{build: {maxConcurrency: []}}',
    "'build.maxConcurrency' expected type 'int', got unconvertible type 'slice'",
  ],
  [
    '{cache: {s3: {enabled: yes}}}',
    "'cache.s3.enabled' cannot parse value as 'bool': strconv.ParseBool: invalid syntax",
  ],
  ['{artifacts: {refreshinterval: ""}}', "'artifacts.refreshInterval' time: invalid duration"],
  ['{artifacts: {refreshInterval: 300}}', "'artifacts.refreshInterval' time: missing unit in duration"],
  ['{artifacts: {refreshInterval: 3 parsecs}}', "'artifacts.refreshInterval' time: unknown unit"],
  ['{http: {certFile: {a: b}}}', "'http.certFile' expected type 'string', got unconvertible type 'map'"],
  ['{http: x}', '\'http\' expected a map or struct, got "string"'],
  ['{cache: {oci: 7}}', '\'cache.oci\' expected a map or struct, got "int"'],
  ['{cache: !!binary aGVsbG8=}', '\'cache\' expected a map or struct, got "string"'],
  ['{cache: {oci: [a]}}', '\'cache.oci\' expected a map or struct, got "slice"'],
  [
    '{http: {allowedOrigins: {a: b}}}',
    "'http.allowedOrigins' expected type '[]string', got unconvertible type 'map'",
  ],
  [
    '{store: {maxSize: much}}',
    "'store.maxSize' invalid size: write it in bytes or with a unit, for example 20GiB or 500MB",
  ],
];

test('what cannot be converted is named by its canonical path', async () => {
  const prefix = 'failed to initialize config: decoding failed due to the following error(s):\n\n';
  for (const [yaml, problem] of PROBLEMS) {
    await assert.rejects(load({ 'p.yaml': yaml }), { kind: 'invalid', message: prefix + problem }, yaml);
  }
  const both = { IF_BUILD_MAXCONCURRENCY: 'x', IF_ARTIFACTS_REFRESHINTERVAL: '1x' };
  await assert.rejects(load({}, both), {
    message: `${prefix}'build.maxConcurrency' cannot parse value as 'int': strconv.ParseInt: invalid syntax\n'artifacts.refreshInterval' time: unknown unit`,
  });
});

test('the later source wins, however it spells the key', async () => {
  const env = {
    IF_HTTP_EXTERNALURL: 'https://env',
    IF_CACHE_S3_BUCKET: 'env',
    X_HTTP_EXTERNALURL: 'https://x',
  };
  const camel = { 'c.yaml': 'http: {externalURL: "https://file"}\ncontainerSignature: {issuer: a}' };
  const lower = { 'd.json': '{"HTTP": {"externalurl": "https://lower"}}' };
  const after = async (...args: Parameters<typeof load>) => (await load(...args)).config.http.externalURL;
  assert.equal(await after({}, env), 'https://env');
  assert.equal(await after(camel, env), 'https://file');
  assert.equal(await after(camel, env, 'env=X_'), 'https://x');
  assert.equal(await after({ ...camel, ...lower }, env), 'https://lower');
  assert.equal(await after({ ...lower, ...camel }, env), 'https://file');
  const sections = await load(camel, { IF_CONTAINERSIGNATURE_PUBLICKEYFILE: '/k', IF_CACHE_S3_BUCKET: 'b' });
  assert.equal(sections.config.containerSignature.publicKeyFile, '/k');
  assert.equal(sections.config.containerSignature.issuer, 'a');
  assert.equal(sections.config.cache.s3.bucket, 'b');
});

test('lists are replaced, maps are merged, null says nothing', async () => {
  const files = {
    'a.yaml': 'http: {allowedOrigins: [a, b], certFile: c}\nbuild: {brokenTalosVersions: [1.0.0]}',
    'b.yaml': 'http: {allowedOrigins: [x], certFile: null, keyFile: k}\nbuild: ~',
  };
  const { config } = await load(files);
  assert.deepEqual(config.http.allowedOrigins, ['x']);
  assert.equal(config.http.certFile, 'c');
  assert.equal(config.http.keyFile, 'k');
  assert.deepEqual(config.build.brokenTalosVersions, ['1.0.0']);
});

test('variables hold lists and maps as JSON', async () => {
  const { config } = await load(
    {},
    {
      IF_: 'ignored',
      IF_HTTP: ' {"externalURL":"https://x","allowedOrigins":["a"]}',
      IF_HTTP_CERTFILE: '{"not":"for a text"}',
      IF_HTTP_ALLOWEDORIGINS: '["*","foo"]',
      IF_BUILD_BROKENTALOSVERSIONS: '[1.3.0',
    },
  );
  assert.equal(config.http.externalURL, 'https://x');
  assert.deepEqual(config.http.allowedOrigins, ['*', 'foo']);
  assert.equal(config.http.certFile, '{"not":"for a text"}');
  assert.deepEqual(config.build.brokenTalosVersions, ['[1.3.0']);
  const printed = await load({}, { IF_HTTP_ALLOWEDORIGINS: '[*]' });
  assert.deepEqual(printed.config.http.allowedOrigins, ['*']);
});

test('a repository as one string sets all four values; refinements come after it', async () => {
  const short = { registry: 'r.example:5000', namespace: 'a/b', repository: 'c', insecure: false };
  const env = { IF_CACHE_OCI_INSECURE: 'true', IF_CACHE_OCI: 'r.example:5000/a/b/c' };
  assert.deepEqual((await load({}, env)).config.cache.oci, { ...short, insecure: true });
  const reset = await load(
    { 'r.yaml': 'cache: {oci: r.example:5000/a/b/c}' },
    { IF_CACHE_OCI_INSECURE: '1' },
  );
  assert.deepEqual(reset.config.cache.oci, short);
  const empty = await load({ 'r.yaml': 'cache: {oci: ""}' });
  assert.deepEqual(empty.config.cache.oci, { registry: '', namespace: '', repository: '', insecure: false });
  const refined = await load(
    { 'r.yaml': 'cache: {oci: {insecure: true}}' },
    { IF_CACHE_OCI: 'r.example:5000/a/b/c' },
  );
  assert.deepEqual(refined.config.cache.oci, { ...short, insecure: true });
});

test('unknown keys are told, except those of a whole environment', async () => {
  const env = {
    PATH: '/bin',
    HTTP_PROXY: 'http://proxy',
    CACHE: 'x',
    BUILD: '7',
    METRICS: '{"a":1}',
    HTTP_CERTFILE: '/cert',
    IF_HTTP_TYPO: '1',
    IF_HTTP_CERTFILE_X: '1',
  };
  const yaml = 'enterprise: {vex: {cacheTTL: 1h}}\ncache: {oci: {enabled: true}}\n__proto__: {a: 1}\n1: x';
  const { config, unknown } = await load({ 'u.yaml': yaml }, env, 'env=');
  assert.equal(config.http.certFile, '/cert');
  assert.equal(config.metrics.addr, ':2122');
  const source = join(directory, 'u.yaml');
  assert.deepEqual(unknown, [
    { source: 'environment', key: 'IF_HTTP_TYPO' },
    { source: 'environment', key: 'IF_HTTP_CERTFILE_X' },
    { source, key: '1' },
    { source, key: 'enterprise.vex.cacheTTL' },
    { source, key: 'cache.oci.enabled' },
    { source, key: '__proto__' },
  ]);
  await assert.rejects(load({}, { IF_CACHE: 'x' }), /'cache' expected a map or struct, got "string"/);
});

test('a dotenv file is an environment', async () => {
  const { config, unknown } = await load({
    '.env':
      'IF_HTTP_EXTERNALURL=https://a\ncache_s3_bucket=b\nhttp.certFile=/c\nIF_CACHE_OCI_INSECURE=1\nIF_CACHE_OCI=x.y/z\nNOPE=1\n',
  });
  assert.equal(config.http.externalURL, 'https://a');
  assert.equal(config.cache.s3.bucket, 'b');
  assert.equal(config.http.certFile, '/c');
  assert.deepEqual(config.cache.oci, { registry: 'x.y', namespace: '', repository: 'z', insecure: true });
  assert.deepEqual(unknown, [{ source: join(directory, '.env'), key: 'NOPE' }]);
});

test('a file that cannot be read or understood ends it, without showing what it says', async () => {
  const prefix = 'failed to initialize config: ';
  const path = (name: string): string => join(directory, name);
  await assert.rejects(loadConfig(parseSources(path('none.yaml')), {}), {
    kind: 'invalid',
    code: 'CONFIG_UNREADABLE',
    message: `${prefix}open ${path('none.yaml')}: no such file or directory`,
  });
  const folder = await mkdtemp(path('d-'));
  const { mkdir } = await import('node:fs/promises');
  await mkdir(join(folder, 'x.json'));
  await assert.rejects(loadConfig(parseSources(join(folder, 'x.json')), {}), {
    message: `${prefix}read ${join(folder, 'x.json')}: is a directory`,
  });
  for (const [name, text, problem] of [
    ['a.json', '{"http": "topsecret"', /^json: invalid syntax/],
    ['a.json', '', /^json: unexpected end of JSON input$/],
    ['a.json', '[topsecret]', /^json: invalid syntax/],
    ['a.json', '["topsecret"]', /^expected a map at the top$/],
    ['b.yaml', 'a: 1\nb: "topsecret\n', /^yaml: line \d+: /],
    ['b.yaml', 'a: 1\na: topsecret\n', /^yaml: line \d: duplicate key$/],
    ['b.yaml', 'a: *topsecret', /^yaml: aliases cannot be resolved$/],
    ['b.yaml', 'topsecret', /^expected a map at the top$/],
    ['b.yaml', 'http: {}\n---\nhttp: {keyFile: topsecret}', /^yaml: more than one document$/],
    ['c.env', 'topsecret', /^dotenv: line 1: expected KEY=value$/],
    ['d.yaml', `# ${' '.repeat(4 << 20)}`, /^is larger than 4194304 bytes$/],
  ] as const) {
    await assert.rejects(load({ [name]: text }), (error: Error) => {
      const start = `${prefix}${path(name)}: `;
      assert.ok(error.message.startsWith(start), error.message);
      assert.match(error.message.slice(start.length), problem);
      assert.doesNotMatch(error.message, /topsecret/);
      return true;
    });
  }
});

test('aliases that multiply are refused', async () => {
  const levels = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let i = 1; i < 9; i++) {
    levels.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(',')}]`);
  }
  await assert.rejects(load({ 'bomb.yaml': levels.join('\n') }), /aliases cannot be resolved/);
});
