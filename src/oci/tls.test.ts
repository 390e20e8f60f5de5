import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytesBlob } from '../blob/bytes.ts';
import { runProgram } from '../process/run.ts';
import { startRegistry, type TestRegistry } from '../testing/registry.ts';
import { digestOf } from './digest.ts';
import { openRegistryClient, type RegistryClientOptions } from './registry-client.ts';

let registry: TestRegistry;
let cert: string;
const bytes = Buffer.from('content');
const digest = digestOf(bytes);

before(async () => {
  const root = await mkdtemp(join(tmpdir(), 'tls-'));
  try {
    await runProgram({
      program: 'openssl',
      args: [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...['-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'],
        ...['-keyout', join(root, 'key.pem'), '-out', join(root, 'cert.pem')],
      ],
    });
    cert = await readFile(join(root, 'cert.pem'), 'utf8');
    registry = await startRegistry({ tls: { key: await readFile(join(root, 'key.pem'), 'utf8'), cert } });
  } finally {
    await rm(root, { recursive: true });
  }
  await registry.storage('a').pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
});
after(() => registry.close());

async function size(options: Partial<RegistryClientOptions>, insecure: boolean): Promise<number | undefined> {
  await using client = openRegistryClient({
    credentials: { env: {} },
    retry: { sleep: async () => {} },
    ...options,
  });
  return await client.repository(registry.name('a'), { insecure }).blobSize(digest);
}

test('a certificate that is not trusted is refused, and what to do is said', async () => {
  await assert.rejects(size({}, false), {
    code: 'OCI_TLS_UNTRUSTED',
    kind: 'upstream',
    message:
      /certificate of 127\.0\.0\.1:\d+ is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\): add its certificate authority/,
  });
});

test('an authority of one’s own is trusted', async () => {
  assert.equal(await size({ transport: { authorities: [cert] } }, false), bytes.length);
});

test('insecure accepts any certificate', async () => {
  assert.equal(await size({}, true), bytes.length);
});

test('one client keeps the two apart', async () => {
  await using client = openRegistryClient({ credentials: { env: {} }, retry: { sleep: async () => {} } });
  assert.equal(
    await client.repository(registry.name('a'), { insecure: true }).blobSize(digest),
    bytes.length,
  );
  await assert.rejects(client.repository(registry.name('a')).blobSize(digest), { code: 'OCI_TLS_UNTRUSTED' });
});
