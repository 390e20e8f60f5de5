import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema, defaultConfig } from './schema.ts';
import { checkParts, validateConfig } from './validate.ts';

const key32 = Buffer.alloc(32, 1).toString('base64');
const auth0 = { domain: 'd', audience: 'a', clientID: 'c', clientSecret: 's' };
const withAuth0 = (more: object) => ({
  authentication: { enabled: true, provider: 'auth0', auth0: { ...auth0, ...more } },
});
const withTtl = (downloadTokenTTL: object) => ({
  authentication: { enabled: true, htpasswdPath: '/h', downloadTokenTTL },
});

test('configurations that are fine', () => {
  for (const input of [
    {},
    { http: { externalURL: 'HTTP://a.b:8080/x?y', externalPXEURL: 'http://[::1]:80' } },
    { registry: { jobs: 8 } },
    { authentication: { enabled: false, provider: 'x' } },
    { authentication: { enabled: true, htpasswdPath: '/h' } },
    withAuth0({ sessionKey: ` ${key32}\n` }),
    { audit: { mode: 'log' } },
  ]) {
    validateConfig(configSchema.parse(input));
    checkParts(configSchema.parse(input));
  }
});

const INVALID: readonly (readonly [object, string])[] = [
  [{ http: { externalURL: '' } }, 'http.externalURL is required'],
  [
    { http: { externalURL: 'factory.sidero.dev' } },
    'http.externalURL must have http or https scheme, got ""',
  ],
  [{ http: { externalURL: 'ftp://x' } }, 'http.externalURL must have http or https scheme, got "ftp"'],
  [
    { http: { externalURL: 'localhost:80' } },
    'http.externalURL must have http or https scheme, got "localhost"',
  ],
  [{ http: { externalURL: 'http:///path' } }, 'http.externalURL must have a host, got "http:///path"'],
  [{ http: { externalURL: 'https:x' } }, 'http.externalURL must have a host, got "https:x"'],
  [{ http: { externalURL: 'https://:80/' } }, 'http.externalURL must have a host, got "https://:80/"'],
  [{ http: { externalURL: 'https://user@/' } }, 'http.externalURL must have a host, got "https://user@/"'],
  [{ http: { externalURL: '://x' } }, 'http.externalURL is not a valid URL: missing protocol scheme'],
  [
    { http: { externalURL: '127.0.0.1:80' } },
    'http.externalURL is not a valid URL: first path segment in URL cannot contain colon',
  ],
  [{ http: { externalURL: 'http://a b/' } }, 'http.externalURL is not a valid URL: it contains blanks'],
  [
    { http: { externalURL: 'http://a:port/' } },
    'http.externalURL is not a valid URL: its host or port is malformed',
  ],
  [{ http: { externalPXEURL: 'x' } }, 'http.externalPXEURL must have http or https scheme, got ""'],
  [{ registry: { jobs: -1 } }, 'registry.jobs must be >= 0, got -1'],
  [{ audit: { mode: 'x' } }, 'audit.mode must be one of [ file log], got "x"'],
  [
    { authentication: { enabled: true, provider: 'x' } },
    'authentication.provider must be one of [htpasswd auth0], got "x"',
  ],
  [
    { authentication: { enabled: true } },
    'authentication.htpasswdPath is required when authentication.provider is "htpasswd"',
  ],
  ...['domain', 'audience', 'clientID', 'clientSecret'].map(
    (key) =>
      [
        withAuth0({ [key]: '' }),
        `authentication.auth0.${key} is required when authentication.provider is "auth0"`,
      ] as const,
  ),
  [
    withAuth0({ sessionKey: '!' }),
    'authentication.auth0.sessionKey must be base64-encoded: illegal base64 data',
  ],
  [
    withAuth0({ sessionKey: Buffer.alloc(16).toString('base64') }),
    'authentication.auth0.sessionKey must decode to 32 bytes, got 16',
  ],
  [withAuth0({ maxNodeAppsPerOrg: 0 }), 'authentication.auth0.maxNodeAppsPerOrg must be positive, got 0'],
  [withTtl({ min: '0s' }), 'authentication.downloadTokenTTL.min must be positive, got 0s'],
  [withTtl({ min: '1h', max: '1m' }), 'authentication.downloadTokenTTL.max 1m0s is below .min 1h0m0s'],
  [withTtl({ default: '24h' }), 'authentication.downloadTokenTTL.default 24h0m0s is outside [30s, 8h0m0s]'],
  [{ build: { maxConcurrency: 0 } }, 'build.maxConcurrency must be >= 1, got 0'],
  [{ build: { queueLimit: -1 } }, 'build.queueLimit must be >= 0, got -1'],
  [{ artifacts: { refreshInterval: '0s' } }, 'artifacts.refreshInterval must be positive, got 0s'],
  [
    { artifacts: { talosVersionRecheckInterval: '-1s' } },
    'artifacts.talosVersionRecheckInterval must be positive, got -1s',
  ],
  [{ store: { maxSize: 0 } }, 'store.maxSize must be >= 1, got 0'],
];

test('what is wrong is told', () => {
  for (const [input, problem] of INVALID) {
    const config = configSchema.parse(input as never);
    const expected = { kind: 'invalid', message: `invalid configuration: ${problem}` };
    assert.throws(() => validateConfig(config), expected, problem);
  }
});

test('only the first failure is told, in the order of the reference', () => {
  const config = configSchema.parse({
    audit: { mode: 'x' },
    registry: { jobs: -1 },
    http: { externalURL: '' },
  });
  assert.throws(() => validateConfig(config), /externalURL is required$/);
});

test('checks of single parts', () => {
  for (const [input, problem] of [
    [
      { containerSignature: { publicKeyFile: '/k', publicKeyHashAlgo: 'md5' } },
      'unknown digest algorithm: md5',
    ],
    [{ build: { minTalosVersion: 'v1.2.0' } }, /^failed to parse minimum Talos version: "v1\.2\.0" /],
    [{ build: { minTalosVersion: '1.2' } }, /^failed to parse minimum Talos version: "1\.2" /],
    [{ build: { brokenTalosVersions: ['1.2.3', 'x'] } }, /^failed to parse broken Talos version "x": /],
    [{ cache: { cdn: { enabled: true } } }, 'failed to initialize CDN cache: CDN host must be specified'],
    [
      { cache: { cdn: { enabled: true, host: 'h' } } },
      'failed to initialize CDN cache: CDN trim prefix must be specified',
    ],
    [
      { enterprise: { scanner: { databaseUpdateAt: '24:00' } } },
      /^invalid time of day "24:00", expected "HH:MM": /,
    ],
  ] as const) {
    const config = configSchema.parse(input as never);
    assert.throws(() => checkParts(config), { kind: 'invalid', message: problem });
  }
  const fine = { containerSignature: { publicKeyFile: '/k', publicKeyHashAlgo: ' SHA512 ' } };
  checkParts(configSchema.parse(fine));
  checkParts(defaultConfig());
});
