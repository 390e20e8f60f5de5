import assert from 'node:assert/strict';
import { createVerify, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Credential, credentialFinder } from './credentials.ts';
import { googleTokens, isGoogleHost } from './google-credentials.ts';
import { Transport } from './transport.ts';

const auth = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString('base64') });
const basic = (username: string, password: string): Credential => ({ kind: 'basic', username, password });
const anonymous: Credential = { kind: 'anonymous' };
const noGoogle = async (): Promise<undefined> => undefined;

async function scratch(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'credentials-'));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
    if (content.startsWith('#!')) await chmod(join(root, path), 0o755);
  }
  return root;
}

test('the file that counts', async (t) => {
  const one = (user: string) => JSON.stringify({ auths: { 'r.example': auth(`${user}:p`) } });
  const all = {
    '.docker/config.json': one('home'),
    'docker/config.json': one('docker'),
    'auth.json': one('file'),
    'run/containers/auth.json': one('run'),
    '.config/containers/auth.json': one('config'),
    'xdg/containers/auth.json': one('xdg'),
  };
  const env = (root: string) => ({
    DOCKER_CONFIG: join(root, 'docker'),
    REGISTRY_AUTH_FILE: join(root, 'auth.json'),
    XDG_RUNTIME_DIR: join(root, 'run'),
    XDG_CONFIG_HOME: join(root, 'xdg'),
  });
  const cases: readonly {
    without?: readonly (keyof typeof all)[];
    unset?: readonly (keyof ReturnType<typeof env>)[];
    user: string | undefined;
  }[] = [
    { user: 'docker' },
    { unset: ['DOCKER_CONFIG'], user: 'home' },
    // One of the two exists, so the file of the variable is the one: and it is absent.
    { without: ['docker/config.json'], user: undefined },
    { without: ['docker/config.json', '.docker/config.json'], user: 'file' },
    { without: ['.docker/config.json'], unset: ['DOCKER_CONFIG'], user: 'file' },
    { without: ['.docker/config.json'], unset: ['DOCKER_CONFIG', 'REGISTRY_AUTH_FILE'], user: 'run' },
    {
      without: ['.docker/config.json', 'run/containers/auth.json'],
      unset: ['DOCKER_CONFIG', 'REGISTRY_AUTH_FILE'],
      user: 'xdg',
    },
    {
      without: ['.docker/config.json'],
      unset: ['DOCKER_CONFIG', 'REGISTRY_AUTH_FILE', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'],
      user: 'config',
    },
  ];
  for (const [number, { without = [], unset = [], user }] of cases.entries()) {
    const files = Object.fromEntries(
      Object.entries(all).filter(([path]) => !without.some((one) => one === path)),
    );
    const home = await scratch(t, files);
    const variables: Record<string, string | undefined> = env(home);
    for (const name of unset) delete variables[name];
    const find = credentialFinder({ env: variables, home }, noGoogle);
    const expected: Credential = user === undefined ? anonymous : basic(user, 'p');
    assert.deepEqual(await find('r.example', 'a/b'), expected, `case ${number}`);
  }
});

test('the entry that counts', async (t) => {
  const home = await scratch(t, {
    '.docker/config.json': JSON.stringify({
      auths: {
        'r.example/a/b': auth('repository:p'),
        'r.example/a': auth('namespace:p'),
        'r.example': { username: 'host', password: 'p:q' },
        'https://slashes.example/v2/': auth('slashes:p'),
        'https://index.docker.io/v1/': auth('hub:p'),
        'identity.example': { ...auth('user:'), identitytoken: 'refresh' },
        'token.example': { registrytoken: 'bearer' },
        'empty.example': {},
        'helped.example': auth('not-asked:p'),
        'ghcr.io': auth('configured:p'),
      },
    }),
  });
  const find = credentialFinder({ env: { GITHUB_TOKEN: 'gh' }, home }, noGoogle);
  for (const [host, path, expected] of [
    ['r.example', 'a/b', basic('repository', 'p')],
    ['r.example', 'a/c', basic('namespace', 'p')],
    ['r.example', 'ab', basic('host', 'p:q')],
    ['slashes.example', 'x', basic('slashes', 'p')],
    ['index.docker.io', 'library/alpine', basic('hub', 'p')],
    ['identity.example', 'x', { kind: 'identity-token', token: 'refresh' }],
    ['token.example', 'x', { kind: 'registry-token', token: 'bearer' }],
    ['empty.example', 'x', anonymous],
    ['other.example', 'x', anonymous],
    ['ghcr.io', 'x', basic('configured', 'p')],
  ] as const) {
    assert.deepEqual(await find(host, path), expected, `${host}/${path}`);
  }
});

test('GITHUB_TOKEN is for ghcr.io alone', async () => {
  const find = credentialFinder({ env: { GITHUB_TOKEN: 'secret' } }, noGoogle);
  assert.deepEqual(await find('ghcr.io', 'a'), basic('unset', 'secret'));
  assert.deepEqual(await find('ghcr.io.example', 'a'), anonymous);
  const named = credentialFinder({ env: { GITHUB_TOKEN: 'secret', GITHUB_ACTOR: 'me' } }, noGoogle);
  assert.deepEqual(await named('ghcr.io', 'a'), basic('me', 'secret'));
  assert.deepEqual(
    await credentialFinder({ env: { GITHUB_TOKEN: '' } }, noGoogle)('ghcr.io', 'a'),
    anonymous,
  );
});

test('credential helpers are asked by their protocol', async (t) => {
  const script = (body: string) => `#!/bin/sh\n[ "$1" = get ] || exit 9\nread -r address\n${body}\n`;
  const home = await scratch(t, {
    '.docker/config.json': JSON.stringify({
      credsStore: 'store',
      credHelpers: {
        'r.example': 'echo',
        'token.example': 'token',
        'none.example': 'none',
        'bad.example': 'bad',
        'missing.example': 'missing',
        'evil.example': '../evil',
      },
      auths: { 'none.example': auth('file:p'), 'other.example': auth('file:p'), 'r.example': auth('file:p') },
    }),
    'bin/docker-credential-echo': script(
      'echo asked >> "$COUNT"; printf \'{"Username":"%s","Secret":"%s"}\' "$address" "$EXTRA"',
    ),
    'bin/docker-credential-token': script('echo \'{"Username":"<token>","Secret":"refresh"}\''),
    'bin/docker-credential-none': script('echo "credentials not found in native keychain"; exit 1'),
    'bin/docker-credential-bad': script('echo "hunter2"; exit 1'),
    'bin/docker-credential-store': script(
      '[ "$address" = other.example ] || { echo "credentials not found in native keychain"; exit 1; }; echo \'{"Username":"store","Secret":"s"}\'',
    ),
  });
  const find = credentialFinder(
    {
      env: { PATH: `${join(home, 'bin')}:/usr/bin:/bin`, EXTRA: 'passed', COUNT: join(home, 'count') },
      home,
    },
    noGoogle,
  );
  assert.deepEqual(await find('r.example', 'a'), basic('r.example', 'passed'));
  assert.deepEqual(await find('r.example', 'b'), basic('r.example', 'passed'));
  assert.equal(await readFile(join(home, 'count'), 'utf8'), 'asked\n');
  assert.deepEqual(await find('token.example', 'a'), { kind: 'identity-token', token: 'refresh' });
  assert.deepEqual(await find('none.example', 'a'), basic('file', 'p'));
  assert.deepEqual(await find('other.example', 'a'), basic('store', 's'));
  assert.deepEqual(await find('unknown.example', 'a'), anonymous);
  await assert.rejects(find('bad.example', 'a'), (error: Error & { code: string }) => {
    assert.match(error.message, /docker-credential-bad failed for bad\.example/);
    assert.doesNotMatch(error.message, /hunter2/);
    return error.code === 'OCI_CREDENTIALS_INVALID';
  });
  await assert.rejects(find('missing.example', 'a'), { code: 'PROGRAM_MISSING' });
  await assert.rejects(find('evil.example', 'a'), { code: 'OCI_CREDENTIALS_INVALID' });
});

test('a configuration that is damaged is named, its content is not', async (t) => {
  for (const content of [
    '{"auths": hunter2',
    '[]',
    JSON.stringify({ auths: { r: { auth: 'aHVudGVyMg==' } } }),
  ]) {
    const home = await scratch(t, { '.docker/config.json': content });
    await assert.rejects(
      credentialFinder({ env: {}, home }, noGoogle)('r', 'a'),
      (error: Error & { code: string }) => {
        assert.match(error.message, /config\.json/);
        assert.doesNotMatch(`${error.message}${error.stack}`, /hunter2|aHVudGVyMg/);
        return error.code === 'OCI_CREDENTIALS_INVALID';
      },
    );
  }
});

test("Google's tokens", async (t) => {
  assert.ok(
    isGoogleHost('eu.gcr.io') && isGoogleHost('europe-docker.pkg.dev') && !isGoogleHost('gcr.io.example'),
  );
  const requests: { url: string; form: URLSearchParams; flavor: unknown }[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString();
    requests.push({
      url: request.url ?? '',
      form: new URLSearchParams(body),
      flavor: request.headers['metadata-flavor'],
    });
    response.end('{"access_token":"ya29","expires_in":3599}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = new Transport();
  t.after(async () => {
    await transport.close();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const google = googleTokens(transport, { now: () => 1_700_000_000_000 });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const home = await scratch(t, {
    'account.json': JSON.stringify({
      type: 'service_account',
      client_email: 'me@example.com',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      token_uri: `http://${host}/token`,
    }),
    '.config/gcloud/application_default_credentials.json': JSON.stringify({
      type: 'authorized_user',
      client_id: 'id',
      client_secret: 'secret',
      refresh_token: 'refresh',
      token_uri: `http://${host}/token`,
    }),
    'other.json': JSON.stringify({ type: 'external_account' }),
    'bin/gcloud': '#!/bin/sh\n[ "$*" = "auth print-access-token --quiet" ] && echo from-gcloud\n',
  });
  const find = credentialFinder(
    { env: { GOOGLE_APPLICATION_CREDENTIALS: join(home, 'account.json') } },
    google,
  );
  assert.deepEqual(await find('gcr.io', 'a'), basic('oauth2accesstoken', 'ya29'));
  const [header, claims, signature] = (requests[0]?.form.get('assertion') ?? '').split('.');
  assert.ok(
    createVerify('RSA-SHA256')
      .update(`${header}.${claims}`)
      .verify(publicKey, signature ?? '', 'base64url'),
  );
  assert.deepEqual(JSON.parse(Buffer.from(claims ?? '', 'base64url').toString()), {
    iss: 'me@example.com',
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    aud: `http://${host}/token`,
    iat: 1_700_000_000,
    exp: 1_700_003_600,
  });
  assert.equal(await google({ env: {}, home }), 'ya29');
  assert.equal(requests[1]?.form.get('refresh_token'), 'refresh');
  assert.equal(await google({ env: { GCE_METADATA_HOST: host } }), 'ya29');
  assert.equal(requests[2]?.flavor, 'Google');
  assert.equal(await google({ env: { PATH: `${join(home, 'bin')}:/usr/bin:/bin` } }), 'from-gcloud');
  assert.equal(await google({ env: { PATH: join(home, 'none') } }), undefined);
  await assert.rejects(google({ env: { GOOGLE_APPLICATION_CREDENTIALS: join(home, 'other.json') } }), {
    code: 'OCI_CREDENTIALS_INVALID',
  });
});
