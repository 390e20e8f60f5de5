import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytesBlob } from '../../src/blob/bytes.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseTag, type Tag } from '../../src/oci/names.ts';
import type { Descriptor, Repository } from '../../src/oci/repository.ts';
import { simpleSigningPayload } from '../../src/signing/simple-signing.ts';
import { signStatement } from '../../src/signing/statement.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { type SigningRequest, SigstoreInstance } from '../../src/testing/sigstore/instance.ts';
import { send } from './client.ts';
import { type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// Catalogs of a release that are signed with certificates, each in another way, behind a factory without a key.

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const sigstore = new SigstoreInstance();

let directory: string;
let sandbox: SandboxRegistry;
let factory: LocalFactory;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyless-'));
  const trustedRootFile = join(directory, 'trusted_root.json');
  await writeFile(trustedRootFile, JSON.stringify(sigstore.trustedRoot()));
  sandbox = await startSandbox();
  const extensions = sandbox.registry.storage('siderolabs/extensions');
  await signBundle(extensions, parseTag('v1.13.0'));
  await signBundle(extensions, parseTag('v1.11.2'), { subjects: [{ email: 'somebody@example.org' }] });
  await signLegacy(sandbox.registry.storage('siderolabs/overlays'), parseTag('v1.13.0'));
  factory = await startLocalFactory({
    sandbox,
    config: {
      containerSignature: {
        publicKeyFile: '',
        subjectRegExp: '^release@example\\.com$',
        issuer: 'https://accounts.example.com',
        trustedRootFile,
      },
    },
  });
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
  await rm(directory, { recursive: true });
});

test('what the right one has signed is used: as a bundle, and the legacy way', async () => {
  const extensions = await send(factory.url, '/version/v1.13.0/extensions/official');
  assert.equal(extensions.status, 200, extensions.text);
  assert.ok(JSON.parse(extensions.text).length > 0);
  const overlays = await send(factory.url, '/version/v1.13.0/overlays/official');
  assert.equal(overlays.status, 200, overlays.text);
});

test('what somebody else has signed is not, nor what only a key has', async () => {
  const foreign = await send(factory.url, '/version/v1.11.2/extensions/official');
  assert.equal(foreign.status, 502, foreign.text);
  assert.match(foreign.text, /certificate subject "somebody@example\.org" does not match/);
  const keyed = await send(factory.url, '/version/v1.10.1/extensions/official');
  assert.equal(keyed.status, 502, keyed.text);
  assert.match(keyed.text, /failed to verify image signature for /);
});

async function resolved(repository: Repository, tag: Tag): Promise<Descriptor> {
  const descriptor = await repository.resolve(tag);
  assert.ok(descriptor !== undefined, `${repository.name}:${tag} is in the sandbox`);
  return descriptor;
}

async function push(repository: Repository, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, bytesBlob(bytes));
  return descriptor;
}

async function signBundle(repository: Repository, tag: Tag, request: SigningRequest = {}): Promise<void> {
  const { mediaType, digest, size } = await resolved(repository, tag);
  const bundle = Buffer.from(JSON.stringify(sigstore.bundle(signStatement(digest), request)));
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: BUNDLE,
    config: await push(repository, 'application/vnd.oci.empty.v1+json', Buffer.from('{}')),
    layers: [await push(repository, BUNDLE, bundle)],
    subject: { mediaType, digest, size },
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await repository.pushManifest(digestOf(bytes), MANIFEST, bytes);
}

async function signLegacy(repository: Repository, tag: Tag): Promise<void> {
  const { digest } = await resolved(repository, tag);
  const payload = simpleSigningPayload(repository.name, digest);
  const layer = await push(repository, 'application/vnd.dev.cosign.simplesigning.v1+json', payload);
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: await push(repository, 'application/vnd.oci.image.config.v1+json', Buffer.from('{}')),
    layers: [{ ...layer, annotations: sigstore.annotations(payload) }],
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await repository.pushManifest(parseTag(`${digest.replace(':', '-')}.sig`), MANIFEST, bytes);
}
