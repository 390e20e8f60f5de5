import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { generateSigningKeyPem, signingKey } from '../signing/signing-key.ts';
import { openSigningKey } from './signing-key-file.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'signing-key-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test('the data directory gets a key, once, for its owner only', async (t) => {
  const dataDir = join(await scratch(t), 'data');
  const keys = await Promise.all([1, 2, 3].map(() => openSigningKey({ path: '', dataDir })));
  const [first, ...others] = keys.map((key) => key?.publicKeyPem);
  assert.match(first ?? '', /^-----BEGIN PUBLIC KEY-----/);
  assert.deepEqual(others, [first, first]);
  assert.deepEqual(await readdir(dataDir), ['signing-key.pem']);
  assert.equal((await stat(join(dataDir, 'signing-key.pem'))).mode & 0o777, 0o600);
});

test('a configured key comes first', async (t) => {
  const dataDir = await scratch(t);
  const path = join(dataDir, 'own.pem');
  const pem = generateSigningKeyPem();
  await writeFile(path, pem);
  assert.equal((await openSigningKey({ path, dataDir }))?.publicKeyPem, signingKey(pem).publicKeyPem);
  assert.deepEqual(await readdir(dataDir), ['own.pem']);
});

test('without a place there is no key, and an unreadable one is an error that names it', async (t) => {
  assert.equal(await openSigningKey({ path: '', dataDir: undefined }), undefined);
  const dataDir = await scratch(t);
  const path = join(dataDir, 'absent.pem');
  await assert.rejects(openSigningKey({ path, dataDir }), {
    code: 'SIGNING_KEY_UNREADABLE',
    message: `signing key ${path} cannot be read: ENOENT`,
  });
  await writeFile(path, 'SECRET');
  await assert.rejects(openSigningKey({ path, dataDir }), (error: Error) => {
    assert.match(error.message, /not an unencrypted PEM private key/);
    assert.ok(error.message.includes(path) && !error.message.includes('SECRET'));
    return true;
  });
  await writeFile(join(dataDir, 'signing-key.pem'), 'broken');
  await assert.rejects(openSigningKey({ path: '', dataDir }), { code: 'SIGNATURE_KEY_INVALID' });
});
