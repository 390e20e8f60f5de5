import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FactoryError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { digestOf } from '../oci/digest.ts';
import { type Digest, parseDigest, parseRepositoryName } from '../oci/names.ts';
import type { Descriptor } from '../oci/repository.ts';
import { runProgram } from '../process/run.ts';
import { bundleSignature, legacySignature } from '../testing/sandbox/signatures.ts';
import { createBundle, type MessageSigner, parseBundle } from './bundle.ts';
import { preAuthEncoding } from './dsse.ts';
import { type MemoryRepository, memoryRepository } from './memory-repository.testing.ts';
import { policyFingerprint, type SignatureSettings, verificationPolicy } from './policy.ts';
import { type HashAlgorithm, keyHash, parseHashAlgorithm, signatureKey } from './public-key.ts';
import { signBundle, signLegacy } from './sign.ts';
import { generateSigningKeyPem, signingKey } from './signing-key.ts';
import { SIMPLE_SIGNING_MEDIA_TYPE, simpleSigningPayload } from './simple-signing.ts';
import { imageVerifier } from './verifier.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const own = signingKey(generateSigningKeyPem());
const other = signingKey(generateSigningKeyPem());
const verifier = imageVerifier({ type: 'key', key: signatureKey(own.publicKeyPem, 'sha256') });

async function pushImage(repository: MemoryRepository, text = 'image'): Promise<Digest> {
  const config = Buffer.from(JSON.stringify({ text }));
  const digest = digestOf(config);
  repository.blobs.set(digest, config);
  const manifest = {
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: config.length },
    layers: [],
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return (await repository.pushManifest(digestOf(bytes), MANIFEST, bytes)).digest;
}

const reason = async (work: Promise<unknown>): Promise<string> => {
  const outcome = await work.then(
    (value) => `accepted: ${value}`,
    (error: unknown) => error,
  );
  if (!(outcome instanceof FactoryError)) return String(outcome);
  assert.equal(outcome.kind, 'upstream');
  assert.ok((outcome.retryAfter ?? 0) > 0);
  return outcome.message.replace(/^failed to verify image signature for [a-z./]+@sha256:[0-9a-f]{64}: /, '');
};

test('an unsigned image is refused with the reasons of both ways', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  await assert.rejects(verifier.verify(repository, digest), {
    kind: 'upstream',
    code: 'SIGNATURE_MISSING',
    message: `failed to verify image signature for ${repository.name}@${digest}: no valid bundles exist in registry\nno signatures found`,
  });
});

test('what we sign verifies, by its own way and no other key', async () => {
  for (const [method, signImage] of [
    ['bundled: public key', signBundle],
    ['legacy: public key', signLegacy],
  ] as const) {
    const repository = memoryRepository();
    const digest = await pushImage(repository);
    await signImage(repository, digest, own);
    assert.equal(await verifier.verify(repository, digest), method);
    const stranger = imageVerifier({ type: 'key', key: signatureKey(other.publicKeyPem, 'sha256') });
    assert.match(await reason(stranger.verify(repository, digest)), /was not signed with the configured key/);
  }
});

test('signatures that others make verify too', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const verifies = imageVerifier({ type: 'key', key: signatureKey(pem(publicKey), 'sha256') });
  for (const build of [
    (subject: Descriptor) => bundleSignature(subject, privateKey),
    // It names the original's repository, as the signature of a mirrored image does.
    (subject: Descriptor) => legacySignature('siderolabs/other', subject, privateKey),
  ]) {
    const repository = memoryRepository();
    const digest = await pushImage(repository);
    const { manifest, blobs, tag } = build(repository.manifests.get(digest)!.descriptor);
    for (const { descriptor, bytes } of blobs) repository.blobs.set(descriptor.digest, bytes);
    await repository.pushManifest(tag ?? manifest.descriptor.digest, MANIFEST, manifest.bytes);
    assert.match(await verifies.verify(repository, digest), tag === undefined ? /^bundled/ : /^legacy/);
  }
});

test('a bundle counts beside others that do not', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  await signBundle(repository, digest, other);
  await signBundle(repository, digest, own);
  await signBundle(repository, digest, other);
  assert.equal(await verifier.verify(repository, digest), 'bundled: public key');
});

test('a signature of another image does not count, though its key is right', async () => {
  const repository = memoryRepository();
  const [mine, foreign] = [await pushImage(repository, 'mine'), await pushImage(repository, 'foreign')];
  await signLegacy(repository, foreign, own);
  const tag = (digest: Digest): string => `${digest.replace(':', '-')}.sig`;
  repository.manifests.set(tag(mine), repository.manifests.get(tag(foreign))!);
  assert.match(await reason(verifier.verify(repository, mine)), /\nsignature is of another image$/);
  // The bundle of the other image, as a referrer of this one.
  await pushBundle(repository, mine, await createBundle(foreign, own));
  assert.match(await reason(verifier.verify(repository, mine)), /^bundle signs another image\n/);
});

async function pushBundle(
  repository: MemoryRepository,
  subject: Digest,
  bundle: Uint8Array,
  mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json',
): Promise<void> {
  const layer = { mediaType, digest: digestOf(bundle), size: bundle.length };
  repository.blobs.set(layer.digest, bundle);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      artifactType: mediaType,
      config: {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: digestOf(Buffer.from('{}')),
        size: 2,
      },
      layers: [layer],
      subject: repository.manifests.get(subject)!.descriptor,
    }),
  );
  await repository.pushManifest(digestOf(bytes), MANIFEST, bytes);
}

interface Crafted {
  readonly payload?: unknown;
  readonly payloadType?: string;
  readonly mediaType?: string;
  readonly signer?: MessageSigner;
  readonly signatures?: number;
}

async function craftBundle(digest: Digest, crafted: Crafted): Promise<Uint8Array> {
  const payload = Buffer.from(JSON.stringify(crafted.payload ?? statement(digest, {})));
  const payloadType = crafted.payloadType ?? 'application/vnd.in-toto+json';
  const sig = Buffer.from(await (crafted.signer ?? own).sign(preAuthEncoding(payloadType, payload)));
  return Buffer.from(
    JSON.stringify({
      mediaType: crafted.mediaType ?? 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: '' } },
      dsseEnvelope: {
        payload: payload.toString('base64'),
        payloadType,
        signatures: Array.from({ length: crafted.signatures ?? 1 }, () => ({ sig: sig.toString('base64') })),
      },
    }),
  );
}

const statement = (digest: Digest, changed: object): object => ({
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ digest: { sha256: digest.slice(7) } }],
  predicateType: 'https://sigstore.dev/cosign/sign/v1',
  predicate: {},
  ...changed,
});

test('bundles are refused for what they say and how they say it', async () => {
  const none = /^no valid bundles exist in registry\n/;
  const cases: readonly (readonly [string, (digest: Digest) => Crafted, RegExp])[] = [
    ['as it should be', () => ({}), /^accepted: bundled: public key$/],
    [
      'version as a parameter',
      () => ({ mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.3' }),
      /^accepted/,
    ],
    ['newer', () => ({ mediaType: 'application/vnd.dev.sigstore.bundle.v0.4+json' }), /^accepted/],
    ['older', () => ({ mediaType: 'application/vnd.dev.sigstore.bundle.v0.2+json' }), none],
    ['another document', () => ({ mediaType: 'application/vnd.dev.sigstore.bundle' }), none],
    ['no signature', () => ({ signatures: 0 }), none],
    ['two signatures', () => ({ signatures: 2 }), none],
    [
      'not in-toto',
      () => ({ payloadType: 'text/plain' }),
      /^bundle does not hold a signed in-toto statement\n/,
    ],
    ['another key', () => ({ signer: other }), /^bundle was not signed with the configured key\n/],
    [
      'an SBOM',
      (d) => ({ payload: statement(d, { predicateType: 'https://spdx.dev/Document' }) }),
      /^bundle states "https:\/\/spdx.dev\/Document", not a signature\n/,
    ],
    [
      'an old statement',
      (d) => ({ payload: statement(d, { _type: 'https://in-toto.io/Statement/v0.1' }) }),
      /^bundle does not hold an in-toto statement v1\n/,
    ],
    ['no subject', (d) => ({ payload: statement(d, { subject: [] }) }), /^bundle signs another image\n/],
    [
      'another hash of the subject',
      (d) => ({ payload: statement(d, { subject: [{ digest: { sha512: d.slice(7) } }] }) }),
      /^bundle signs another image\n/,
    ],
    [
      'several subjects',
      (d) => ({
        payload: statement(d, { subject: [{ digest: { sha256: 'x' } }, { digest: { sha256: d.slice(7) } }] }),
      }),
      /^accepted/,
    ],
    ['no statement', () => ({ payload: 'text' }), /^bundle does not hold an in-toto statement v1\n/],
  ];
  for (const [name, crafted, expected] of cases) {
    const repository = memoryRepository();
    const digest = await pushImage(repository);
    await pushBundle(repository, digest, await craftBundle(digest, crafted(digest)));
    assert.match(await reason(verifier.verify(repository, digest)), expected, name);
  }
});

test('a changed payload does not verify', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  const bundle = JSON.parse(Buffer.from(await createBundle(digest, own)).toString());
  bundle.dsseEnvelope.payload = Buffer.from(JSON.stringify(statement(digest, { more: 1 }))).toString(
    'base64',
  );
  await pushBundle(repository, digest, Buffer.from(JSON.stringify(bundle)));
  assert.match(
    await reason(verifier.verify(repository, digest)),
    /^bundle was not signed with the configured key/,
  );
});

test('manifests that refer to the image and are no bundle are skipped', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  await pushBundle(repository, digest, await createBundle(digest, own), 'application/spdx+json');
  await pushBundle(repository, digest, Buffer.from('not json'));
  await pushBundle(repository, digest, Buffer.from([0xff, 0xfe, 0x7b]));
  assert.match(await reason(verifier.verify(repository, digest)), /^no valid bundles exist in registry\n/);
});

test('damaged and oversized signatures are refused', async () => {
  const payload = (digest: Digest): Uint8Array => simpleSigningPayload(memoryRepository().name, digest);
  const cases: readonly (readonly [string, (layer: LegacyLayer) => LegacyLayer, RegExp])[] = [
    ['as it should be', (layer) => layer, /^accepted: legacy: public key$/],
    ['no base64', (layer) => ({ ...layer, signature: '*' }), /holds a malformed signature$/],
    ['not a signature', (layer) => ({ ...layer, signature: 'AAAA' }), /not signed with the configured key$/],
    ['empty', (layer) => ({ ...layer, signature: '' }), /not signed with the configured key$/],
    ['no annotation', ({ signature: _, ...layer }) => layer, /no signatures found$/],
    ['another media type', (layer) => ({ ...layer, mediaType: 'text/plain' }), /no signatures found$/],
    [
      'a huge payload',
      (layer) => ({ ...layer, size: 300_000 }),
      /blob sha256:[0-9a-f]+ of 300000 bytes is larger than 262144$/,
    ],
    ['a wrong size', (layer) => ({ ...layer, size: 12 }), /is not of the 12 bytes it should have$/],
    ['missing', (layer) => ({ ...layer, stored: false }), /signature blob sha256:[0-9a-f]+ is missing$/],
    ['truncated', (layer) => ({ ...layer, stored: layer.payload.subarray(1) }), /expected digest sha256:/],
  ];
  for (const [name, change, expected] of cases) {
    const repository = memoryRepository();
    const digest = await pushImage(repository);
    const bytes = payload(digest);
    const signature = Buffer.from(await own.sign(bytes)).toString('base64');
    await pushLegacy(repository, digest, [change({ payload: bytes, signature })]);
    assert.match(await reason(verifier.verify(repository, digest)), expected, name);
  }
});

interface LegacyLayer {
  readonly payload: Uint8Array;
  readonly signature?: string;
  readonly mediaType?: string;
  readonly size?: number;
  readonly stored?: Uint8Array | false;
}

async function pushLegacy(
  repository: MemoryRepository,
  digest: Digest,
  signatures: readonly LegacyLayer[],
): Promise<void> {
  const layers = signatures.map(({ payload, signature, mediaType, size, stored }) => {
    if (stored !== false) repository.blobs.set(digestOf(payload), stored ?? payload);
    return {
      mediaType: mediaType ?? SIMPLE_SIGNING_MEDIA_TYPE,
      digest: digestOf(payload),
      size: size ?? payload.length,
      ...(signature === undefined
        ? {}
        : { annotations: { 'dev.cosignproject.cosign/signature': signature } }),
    };
  });
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 2 };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers }));
  await repository.pushManifest(`${digest.replace(':', '-')}.sig` as never, MANIFEST, bytes);
}

test('one good signature among others is enough, and at most 1000 are looked at', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  const payload = simpleSigningPayload(repository.name, digest);
  const signed = async (signer: MessageSigner): Promise<LegacyLayer> => ({
    payload,
    signature: Buffer.from(await signer.sign(payload)).toString('base64'),
  });
  await pushLegacy(repository, digest, [
    await signed(other),
    { payload },
    { payload: Buffer.from('lost'), signature: 'AAAA', stored: false },
    await signed(own),
  ]);
  assert.equal(await verifier.verify(repository, digest), 'legacy: public key');
  await pushLegacy(
    repository,
    digest,
    Array.from({ length: 1001 }, () => ({ payload })),
  );
  assert.match(await reason(verifier.verify(repository, digest)), /layers: .*1000/);
  await pushLegacy(repository, digest, []);
  assert.match(await reason(verifier.verify(repository, digest)), /\nno signatures found$/);
});

test('a registry that does not answer is no verdict on the signature', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  repository.failure = new FactoryError('unavailable', 'OCI_UNREACHABLE', 'registry cannot be reached', {
    retryAfter: 30,
  });
  await assert.rejects(verifier.verify(repository, digest), {
    kind: 'unavailable',
    code: 'OCI_UNREACHABLE',
    retryAfter: 30,
  });
});

test('aborting is not a verdict either', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  repository.failure = new DOMException('gone', 'AbortError');
  await assert.rejects(verifier.verify(repository, digest, AbortSignal.abort()), { name: 'AbortError' });
});

function pem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

test('keys of every supported kind verify with every hash', async () => {
  const message = Buffer.from('message');
  const pairs = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ];
  for (const { privateKey, publicKey } of pairs) {
    for (const hash of ['sha224', 'sha256', 'sha384', 'sha512'] as const) {
      const key = signatureKey(pem(publicKey), hash);
      const signature = sign(hash, message, { key: privateKey, dsaEncoding: 'der' });
      assert.ok(key.verifies(message, signature), `${privateKey.asymmetricKeyType} ${hash}`);
      assert.ok(!key.verifies(Buffer.from('massage'), signature));
      const otherHash: HashAlgorithm = hash === 'sha256' ? 'sha512' : 'sha256';
      assert.ok(!signatureKey(pem(publicKey), otherHash).verifies(message, signature));
    }
  }
  const ed = generateKeyPairSync('ed25519');
  const key = signatureKey(pem(ed.publicKey), 'sha512');
  assert.ok(key.verifies(message, sign(null, message, ed.privateKey)));
  assert.ok(!key.verifies(message, new Uint8Array(64)));
});

test('keys that cannot be used are refused when they are read', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const x25519 = generateKeyPairSync('x25519');
  for (const [text, message] of [
    ['', 'not a PEM public key'],
    ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', 'not a PEM public key'],
    [pem(small.publicKey), 'RSA keys need at least 2048 bits'],
    [pem(x25519.publicKey), 'keys of type x25519 are not supported: use ECDSA, RSA or Ed25519'],
    [generateSigningKeyPem(), 'a private key was given instead of a public key'],
  ] as const) {
    assert.throws(() => signatureKey(text, 'sha256'), { code: 'SIGNATURE_KEY_INVALID', message });
  }
  assert.throws(
    () => signingKey('secret'),
    (error: Error) => !error.message.includes('secret'),
  );
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  assert.throws(() => signingKey(rsa.export({ type: 'pkcs8', format: 'pem' }).toString()), /type rsa/);
});

test('hash algorithm names', () => {
  for (const [text, algorithm] of [
    ['', 'sha256'],
    [' SHA384 ', 'sha384'],
    ['Sha224', 'sha224'],
    ['sha512', 'sha512'],
  ]) {
    assert.equal(parseHashAlgorithm(text!), algorithm);
  }
  assert.throws(() => parseHashAlgorithm('md5'), {
    kind: 'invalid',
    message: 'unknown digest algorithm: md5',
  });
});

const settings: SignatureSettings = {
  disabled: false,
  publicKeyFile: '',
  publicKeyHashAlgo: 'sha256',
  subjectRegExp: '@example.com$',
  issuer: 'https://accounts.example.com',
  issuerRegExp: '',
  trustedRootFile: '',
};
/** Nothing of it is contacted, or made, by a policy. */
const tuf = { mirror: '', cacheDirectory: '/nonexistent', rootFile: '' };

async function keyFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'signing-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'key.pub');
  await writeFile(path, own.publicKeyPem);
  return path;
}

test('the configuration decides the policy', async (t) => {
  const path = await keyFile(t);
  const lines: string[] = [];
  const log = {
    ...silentLog,
    info: (text: string) => void lines.push(`info ${text}`),
    warn: (text: string) => void lines.push(`warn ${text}`),
    error: (text: string) => void lines.push(`error ${text}`),
  };
  const typed = async (changed: Partial<SignatureSettings>): Promise<string> =>
    (await verificationPolicy({ ...settings, ...changed }, tuf, log)).type;
  assert.equal(await typed({ disabled: true }), 'disabled');
  assert.equal(await typed({ publicKeyFile: ` ${path}\n` }), 'key');
  assert.equal(await typed({ publicKeyFile: path, subjectRegExp: '' }), 'key');
  assert.equal(await typed({}), 'keyless');
  assert.deepEqual(
    lines.map((line) => line.slice(0, 40)),
    ['warn container signature verification is'].map((line) => line.slice(0, 40)),
  );
  await assert.rejects(typed({ subjectRegExp: '' }), {
    kind: 'invalid',
    message: /^no verification options provided/,
  });
  await assert.rejects(typed({ publicKeyFile: `${path}.absent` }), {
    kind: 'invalid',
    message: new RegExp(`^failed to get signature verifier for key ${path}.absent: ENOENT`),
  });
  await assert.rejects(typed({ publicKeyFile: path, publicKeyHashAlgo: 'x' }), {
    message: 'unknown digest algorithm: x',
  });
});

test('every policy has a fingerprint of its own', async (t) => {
  const publicKeyFile = await keyFile(t);
  const policies = [
    await verificationPolicy({ ...settings, disabled: true }, tuf),
    await verificationPolicy(settings, tuf),
    await verificationPolicy({ ...settings, publicKeyFile }, tuf),
    await verificationPolicy({ ...settings, publicKeyFile, publicKeyHashAlgo: 'sha512' }, tuf),
    { type: 'key', key: signatureKey(other.publicKeyPem, 'sha256') } as const,
  ];
  assert.equal(new Set(policies.map(policyFingerprint)).size, policies.length);
});

test('nothing is looked at when verification is disabled', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  assert.equal(await imageVerifier({ type: 'disabled' }).verify(repository, digest), 'verification disabled');
  assert.deepEqual(repository.calls, []);
});

test('the pre-authentication encoding is that of the DSSE protocol', () => {
  const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
  assert.equal(Buffer.from(encoded).toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
  // Lengths are of bytes, not of characters.
  assert.equal(Buffer.from(preAuthEncoding('é', Buffer.from('ü'))).toString(), 'DSSEv1 2 é 2 ü');
});

test('the payload is that of the reference vector', () => {
  const digest = parseDigest('sha256:40ecdf8e4aa30a2b47a52bc105549abed6c0a503c3b006d043714769c2278da9');
  const payload = simpleSigningPayload(
    parseRepositoryName('registry.example.com/image-factory/cache'),
    digest,
  );
  assert.equal(payload.length, 256);
  assert.equal(
    createHash('sha256').update(payload).digest('hex'),
    '22964a3d15c52026a909d5466d60c94eba4c9600d2854e7faf5b791b6b57c222',
  );
});

test('a signed manifest has the shape that clients expect', async () => {
  const repository = memoryRepository();
  const digest = await pushImage(repository);
  const subject = repository.manifests.get(digest)!.descriptor;
  await signLegacy(repository, digest, own);
  const legacy = JSON.parse(
    Buffer.from(repository.manifests.get(`${digest.replace(':', '-')}.sig`)!.bytes).toString(),
  );
  const payload = simpleSigningPayload(repository.name, digest);
  assert.equal(legacy.layers.length, 1);
  assert.equal(legacy.layers[0].digest, digestOf(payload));
  assert.equal(
    Buffer.from(repository.blobs.get(legacy.config.digest)!).toString(),
    `{"architecture":"","created":"2019-06-01T21:34:52Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["${digestOf(payload)}"]},"config":{}}`,
  );
  const bundle = await signBundle(repository, digest, own);
  const manifest = JSON.parse(Buffer.from(repository.manifests.get(bundle.digest)!.bytes).toString());
  assert.deepEqual(manifest.config, {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    size: 2,
    artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  });
  assert.deepEqual(manifest.subject, subject);
  assert.equal(manifest.artifactType, 'application/vnd.dev.sigstore.bundle.v0.3+json');
  const stored = JSON.parse(Buffer.from(repository.blobs.get(manifest.layers[0].digest)!).toString());
  assert.equal(
    Buffer.from(stored.dsseEnvelope.payload, 'base64').toString(),
    `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"${digest.slice(7)}"},"annotations":{}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`,
  );
  assert.ok(parseBundle(repository.blobs.get(manifest.layers[0].digest)!) !== undefined);
  await assert.rejects(signBundle(repository, digestOf(Buffer.from('absent')), own), {
    code: 'SIGNATURE_SUBJECT_MISSING',
  });
});

test('the hint of a key is the hash of its SPKI', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = signingKey(privateKey.export({ type: 'sec1', format: 'pem' }).toString());
  assert.equal(key.keyHint, keyHash(publicKey).toString('base64'));
  assert.equal(key.publicKeyPem, pem(publicKey));
});

test('openssl accepts what we sign, and we accept what openssl signs', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'signing-'));
  t.after(() => rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: string[]) => runProgram({ program: 'openssl', args });
  const message = simpleSigningPayload(memoryRepository().name, digestOf(Buffer.from('x')));
  await writeFile(at('message'), message);
  await writeFile(at('ours.pub'), own.publicKeyPem);
  await writeFile(at('ours.sig'), await own.sign(message));
  const verdict = await openssl(
    'dgst',
    '-sha256',
    '-verify',
    at('ours.pub'),
    '-signature',
    at('ours.sig'),
    at('message'),
  );
  assert.match(Buffer.from(verdict.stdout).toString(), /Verified OK/);
  // As the documentation of the configuration tells people to make a key.
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', at('key'));
  const exported = await openssl('ec', '-in', at('key'), '-pubout');
  const signed = await openssl('dgst', '-sha256', '-sign', at('key'), at('message'));
  const key = signatureKey(Buffer.from(exported.stdout).toString(), 'sha256');
  assert.ok(key.verifies(message, signed.stdout));
});
