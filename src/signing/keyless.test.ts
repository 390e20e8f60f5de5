import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FactoryError } from '../errors.ts';
import { digestOf } from '../oci/digest.ts';
import type { Digest } from '../oci/names.ts';
import { runProgram } from '../process/run.ts';
import { pem } from '../testing/sigstore/certificates.ts';
import {
  SIGNED_AT,
  type SignedBundle,
  type SigningRequest,
  SigstoreInstance,
} from '../testing/sigstore/instance.ts';
import { identityRule } from './identity.ts';
import type { Keyless } from './keyless.ts';
import { type MemoryRepository, memoryRepository } from './memory-repository.testing.ts';
import { policyFingerprint, type SignatureSettings, verificationPolicy } from './policy.ts';
import { signatureKey } from './public-key.ts';
import { signBundle } from './sign.ts';
import { generateSigningKeyPem, signingKey } from './signing-key.ts';
import { SIMPLE_SIGNING_MEDIA_TYPE, simpleSigningPayload } from './simple-signing.ts';
import { signStatement } from './statement.ts';
import { parseTrustedRoot } from './trust-material.ts';
import { fileTrustedRoot, type TrustedRootSource } from './trusted-root.ts';
import { imageVerifier } from './verifier.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const REKOR_BUNDLE = 'dev.sigstore.cosign/bundle';
const CERTIFICATE = 'dev.sigstore.cosign/certificate';

const instance = new SigstoreInstance();
const stranger = new SigstoreInstance();
const RULE = {
  subjectRegExp: '@example\\.com$',
  issuer: 'https://accounts.example.com',
  issuerRegExp: '',
};

function rootOf(sigstore: SigstoreInstance): TrustedRootSource {
  const material = parseTrustedRoot(Buffer.from(JSON.stringify(sigstore.trustedRoot())));
  return { fingerprint: 'test', load: async () => material };
}

const keyless: Keyless = { identity: identityRule(RULE), trustedRoot: rootOf(instance) };
const verifier = imageVerifier({ type: 'keyless', keyless });

interface Image {
  readonly repository: MemoryRepository;
  readonly digest: Digest;
}

async function push(repository: MemoryRepository, manifest: object, tag?: string): Promise<Digest> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...manifest }));
  return (await repository.pushManifest((tag ?? digestOf(bytes)) as never, MANIFEST, bytes)).digest;
}

async function image(text = 'image'): Promise<Image> {
  const repository = memoryRepository();
  const bytes = Buffer.from(JSON.stringify({ text }));
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: digestOf(bytes),
    size: bytes.length,
  };
  return { repository, digest: await push(repository, { config, layers: [] }) };
}

async function pushBundle({ repository, digest }: Image, bundle: unknown): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(bundle));
  const layer = { mediaType: BUNDLE, digest: digestOf(bytes), size: bytes.length };
  repository.blobs.set(layer.digest, bytes);
  const empty = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: digestOf(Buffer.from('{}')),
    size: 2,
  };
  await push(repository, {
    artifactType: BUNDLE,
    config: empty,
    layers: [layer],
    subject: repository.manifests.get(digest)!.descriptor,
  });
}

async function pushLegacy(
  { repository, digest }: Image,
  payload: Uint8Array,
  annotations: Record<string, string>,
): Promise<void> {
  repository.blobs.set(digestOf(payload), payload);
  const layer = {
    mediaType: SIMPLE_SIGNING_MEDIA_TYPE,
    digest: digestOf(payload),
    size: payload.length,
    annotations,
  };
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 2 };
  await push(repository, { config, layers: [layer] }, `${digest.replace(':', '-')}.sig`);
}

/** What is said of the image, without its name. */
async function verdict({ repository, digest }: Image, by = verifier): Promise<string> {
  try {
    return `accepted: ${await by.verify(repository, digest)}`;
  } catch (error) {
    assert.ok(error instanceof FactoryError, String(error));
    assert.equal(error.kind, 'upstream', error.message);
    return error.message.replace(/^failed to verify image signature for [^ ]+: /, '');
  }
}

interface Case {
  readonly name: string;
  readonly request?: SigningRequest;
  /** Who signs, where it is not the trusted instance. */
  readonly by?: SigstoreInstance;
  readonly expected: RegExp;
}

const ACCEPTED: readonly Case[] = [
  { name: 'as it should be', expected: /^accepted/ },
  { name: 'issuer in the older extension', request: { issuerExtension: 'v1' }, expected: /^accepted/ },
];

const REFUSED: readonly Case[] = [
  {
    name: 'wrong identity',
    request: { subjects: [{ email: 'release@example.org' }] },
    expected: /certificate subject "release@example.org" does not match containerSignature.subjectRegExp/,
  },
  {
    name: 'wrong issuer',
    request: { issuer: 'https://accounts.example.com/' },
    expected: /certificate issuer "https:\/\/accounts.example.com\/" is not the one/,
  },
  {
    name: 'no issuer',
    request: { issuerExtension: 'none' },
    expected: /certificate does not name the issuer/,
  },
  {
    name: 'two names',
    request: { subjects: [{ email: 'release@example.com' }, { email: 'release@example.org' }] },
    expected: /certificate does not name exactly one e-mail address or URI/,
  },
  {
    name: 'a URI, and a name',
    request: { subjects: [{ email: 'x@example.org' }, { uri: 'https://x@example.com' }] },
    expected: /certificate does not name exactly one e-mail address or URI/,
  },
  {
    // C0 (hex) with its highest bit cleared is an at sign.
    name: 'a name that is not ASCII',
    request: { subjects: [{ email: 'release\u00c0example.com' }] },
    expected: /certificate does not name exactly one e-mail address or URI/,
  },
  {
    name: 'expired when it was signed',
    request: { time: SIGNED_AT + 541 },
    expected: /certificate is not valid or expired at the specified date/,
  },
  {
    name: 'not yet valid when it was signed',
    request: { time: SIGNED_AT - 61 },
    expected: /certificate is not valid or expired at the specified date/,
  },
  { name: 'no SCT', request: { sct: 'missing' }, expected: /expected 1 SCTs, got 0/ },
  { name: 'SCT of another log', request: { sct: 'foreign' }, expected: /SCT verification failed/ },
  {
    name: 'a certificate for servers',
    request: { extendedUsage: '1.3.6.1.5.5.7.3.1' },
    expected: /certificate is not one for signing code/,
  },
  {
    name: 'another root',
    by: stranger,
    expected: /could not be verified|Failed to verify certificate chain/,
  },
];

test('bundles: whose, when and by whom it was vouched for', async () => {
  for (const { name, request, by, expected } of [...ACCEPTED, ...REFUSED]) {
    const target = await image();
    await pushBundle(target, (by ?? instance).bundle(signStatement(target.digest), request));
    assert.match(await verdict(target), expected, name);
  }
});

test('legacy signatures: whose, when and by whom it was vouched for', async () => {
  for (const { name, request, by, expected } of [...ACCEPTED, ...REFUSED]) {
    const target = await image();
    const payload = simpleSigningPayload(target.repository.name, target.digest);
    await pushLegacy(target, payload, (by ?? instance).annotations(payload, request));
    assert.match(await verdict(target), expected, name);
  }
});

test('the time comes from a log entry, or else from a timestamp authority', async () => {
  for (const [name, request, expected] of [
    ['log with a time, timestamp', {}, /^accepted: bundled: certificate subject$/],
    ['log with a time alone', { timestamp: false }, /^accepted/],
    ['log without a time, timestamp', { log: 'v2' }, /^accepted/],
    ['its other kind of entry', { log: 'v2-hashed' }, /^accepted/],
    ['no time at all', { log: 'v2', timestamp: false }, /expected 1 timestamps, got 0/],
    ['too late by the timestamp', { log: 'v2', time: SIGNED_AT + 541 }, /not valid or expired/],
  ] as const) {
    const target = await image();
    await pushBundle(target, instance.bundle(signStatement(target.digest), request));
    assert.match(await verdict(target), expected, name);
  }
});

test('damaged bundles are refused', async () => {
  type Damage = (bundle: SignedBundle, digest: Digest) => unknown;
  const log = (bundle: SignedBundle) => bundle.verificationMaterial.tlogEntries[0]!;
  const another = (digest: Digest, by = instance): SignedBundle => by.bundle(signStatement(digest));
  const cases: readonly (readonly [string, Damage, RegExp])[] = [
    [
      'a promise by another log',
      (b, d) => (log(b).inclusionPromise = log(another(d, stranger)).inclusionPromise!),
      /inclusion promise could not be verified/,
    ],
    [
      'a promise that is moved in time',
      (b) => (log(b).integratedTime = String(SIGNED_AT + 1)),
      /inclusion promise could not be verified/,
    ],
    [
      'the time of an entry without a promise',
      (b) => {
        delete log(b).inclusionPromise;
        delete b.verificationMaterial.timestampVerificationData;
      },
      /expected 1 timestamps, got 0/,
    ],
    [
      'an entry for another signature',
      (b, d) => (b.verificationMaterial.tlogEntries = another(d).verificationMaterial.tlogEntries),
      /tlog entry signature mismatch/,
    ],
    [
      'an entry of another log',
      (b, d) => (b.verificationMaterial.tlogEntries = another(d, stranger).verificationMaterial.tlogEntries),
      /inclusion promise could not be verified/,
    ],
    [
      'a body that is not the one that was logged',
      (b, d) => (log(b).canonicalizedBody = log(another(d)).canonicalizedBody),
      /inclusion promise could not be verified/,
    ],
    [
      'an inclusion proof of another entry',
      (b, d) => (log(b).inclusionProof = log(another(d)).inclusionProof),
      /calculated root hash does not match/,
    ],
    [
      'a checkpoint by another log',
      (b, d) => (log(b).inclusionProof.checkpoint = log(another(d, stranger)).inclusionProof.checkpoint),
      /invalid checkpoint signature/,
    ],
    ['no entry', (b) => (b.verificationMaterial.tlogEntries = []), /expected 1 tlog entries, got 0/],
    ['one entry twice', (b) => b.verificationMaterial.tlogEntries.push(log(b)), /duplicate/],
    [
      'a great many entries',
      (b) => (b.verificationMaterial.tlogEntries = Array.from({ length: 33 }, () => log(b))),
      /more than 32 log entries/,
    ],
    [
      'a timestamp of another signature',
      (b, d) =>
        (b.verificationMaterial.timestampVerificationData =
          another(d).verificationMaterial.timestampVerificationData!),
      /timestamp could not be verified/,
    ],
    [
      'a timestamp by another authority',
      (b, d) =>
        (b.verificationMaterial.timestampVerificationData = another(d, stranger).verificationMaterial
          .timestampVerificationData!),
      /timestamp could not be verified/,
    ],
    [
      'a timestamp that is none',
      (b) =>
        (b.verificationMaterial.timestampVerificationData = {
          rfc3161Timestamps: [{ signedTimestamp: 'MAA=' }],
        }),
      /^signature by certificate is not acceptable/,
    ],
    [
      'another certificate',
      (b, d) => (b.verificationMaterial.certificate = another(d).verificationMaterial.certificate),
      /signature verification failed/,
    ],
    [
      'no certificate',
      (b) => (b.verificationMaterial.certificate.rawBytes = 'AAAA'),
      /^signature by certificate is not acceptable/,
    ],
    [
      'another payload',
      (b) => (b.dsseEnvelope.payload = Buffer.from('{}').toString('base64')),
      /payload hash mismatch/,
    ],
    [
      'another type of payload',
      (b) => (b.dsseEnvelope.payloadType = 'text/plain'),
      /^bundle does not hold a signed in-toto statement/,
    ],
    [
      'a message signature beside the envelope',
      (b) =>
        Object.assign(b, {
          messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: 'AAAA' }, signature: 'AAAA' },
        }),
      /^bundle does not hold a signed in-toto statement/,
    ],
    [
      'an older form',
      (b) => Object.assign(b, { mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' }),
      /^no valid bundles exist/,
    ],
    [
      'a chain instead of a certificate',
      (b) =>
        Object.assign(b.verificationMaterial, {
          certificate: undefined,
          x509CertificateChain: { certificates: [b.verificationMaterial.certificate] },
        }),
      /^bundle is malformed/,
    ],
    [
      'a key instead of a certificate',
      (b) => Object.assign(b.verificationMaterial, { certificate: undefined, publicKey: { hint: 'x' } }),
      /^bundle was not signed with a certificate/,
    ],
  ];
  for (const [name, damage, expected] of cases) {
    const target = await image();
    const bundle = another(target.digest);
    damage(bundle, target.digest);
    await pushBundle(target, bundle);
    assert.match(await verdict(target), expected, name);
  }
});

test('what is signed must be that the image is signed', async () => {
  const statement = (digest: Digest) => JSON.parse(Buffer.from(signStatement(digest)).toString());
  for (const [name, payload, expected] of [
    [
      'another image',
      async () => signStatement((await image('other')).digest),
      /^bundle signs another image/,
    ],
    [
      'an SBOM',
      async (digest: Digest) =>
        Buffer.from(JSON.stringify({ ...statement(digest), predicateType: 'https://spdx.dev/Document' })),
      /^bundle states "https:\/\/spdx.dev\/Document", not a signature/,
    ],
  ] as const) {
    const target = await image();
    await pushBundle(target, instance.bundle(await payload(target.digest)));
    assert.match(await verdict(target), expected, name);
  }
});

interface RekorBundle {
  SignedEntryTimestamp: string;
  readonly Payload: { integratedTime: number };
}

test('damaged legacy signatures are refused', async () => {
  type Annotations = Record<string, string>;
  const changed = (annotations: Annotations, change: (bundle: RekorBundle) => unknown): string => {
    const bundle: RekorBundle = JSON.parse(annotations[REKOR_BUNDLE]!);
    change(bundle);
    return JSON.stringify(bundle);
  };
  const cases: readonly (readonly [
    string,
    (own: Annotations, payload: Uint8Array) => Annotations,
    RegExp,
  ])[] = [
    ['without a certificate', () => ({ [CERTIFICATE]: '' }), /signature comes without a certificate$/],
    ['a malformed certificate', () => ({ [CERTIFICATE]: 'x' }), /malformed certificate$/],
    [
      'the certificate of another signature',
      (_, p) => ({ [CERTIFICATE]: instance.annotations(p)[CERTIFICATE]! }),
      /signature verification failed$/,
    ],
    ['an empty log entry', () => ({ [REKOR_BUNDLE]: '{}' }), /malformed log entry/],
    [
      'the log entry of another signature',
      (_, p) => ({ [REKOR_BUNDLE]: instance.annotations(p)[REKOR_BUNDLE]! }),
      /signature mismatch$/,
    ],
    [
      'the promise of another log',
      (own, p) => ({
        [REKOR_BUNDLE]: changed(own, (b) => {
          b.SignedEntryTimestamp = JSON.parse(stranger.annotations(p)[REKOR_BUNDLE]!).SignedEntryTimestamp;
        }),
      }),
      /inclusion promise could not be verified$/,
    ],
    [
      'a time that was not promised',
      (own) => ({ [REKOR_BUNDLE]: changed(own, (b) => b.Payload.integratedTime++) }),
      /inclusion promise could not be verified$/,
    ],
    [
      'a huge log entry',
      (own) => ({ [REKOR_BUNDLE]: `${own[REKOR_BUNDLE]}${' '.repeat(70_000)}` }),
      /malformed log entry/,
    ],
  ];
  for (const [name, damage, expected] of cases) {
    const target = await image();
    const payload = simpleSigningPayload(target.repository.name, target.digest);
    const own = instance.annotations(payload);
    await pushLegacy(target, payload, { ...own, ...damage(own, payload) });
    assert.match(await verdict(target), expected, name);
  }
  const target = await image();
  const payload = simpleSigningPayload(target.repository.name, target.digest);
  const { [REKOR_BUNDLE]: _, ...unlogged } = instance.annotations(payload);
  await pushLegacy(target, payload, unlogged);
  assert.match(await verdict(target), /signature comes without a log entry/);
  // Genuine, and of another image.
  const other = simpleSigningPayload(target.repository.name, (await image('other')).digest);
  await pushLegacy(target, other, instance.annotations(other));
  assert.match(await verdict(target), /signature is of another image$/);
});

test('an entry of the log must have been made with our certificate', async () => {
  const target = await image();
  const bundle = instance.bundle(signStatement(target.digest));
  const body = JSON.parse(
    Buffer.from(bundle.verificationMaterial.tlogEntries[0]!.canonicalizedBody, 'base64').toString(),
  );
  const foreign = instance.bundle(signStatement(target.digest)).verificationMaterial.certificate.rawBytes;
  body.spec.signatures[0].verifier = Buffer.from(pem(Buffer.from(foreign, 'base64'))).toString('base64');
  bundle.verificationMaterial.tlogEntries = [instance.rekor.enter(body, SIGNED_AT)];
  await pushBundle(target, bundle);
  assert.match(await verdict(target), /^log entry was made with another certificate/);
});

test('the issuer may be given by an expression, which then counts alone', async () => {
  for (const [issuer, accepted] of [
    ['https://token.actions.example.com', true],
    ['https://accounts.example.com', false],
  ] as const) {
    const target = await image();
    await pushBundle(
      target,
      instance.bundle(signStatement(target.digest), {
        issuer,
        subjects: [{ uri: 'https://example.com/o/r/.github/workflows/release.yaml@refs/tags/v1' }],
      }),
    );
    const identity = identityRule({
      subjectRegExp: '/workflows/release\\.yaml@refs/tags/',
      issuer: 'https://accounts.example.com',
      issuerRegExp: '^https://token\\.actions\\.',
    });
    const by = imageVerifier({ type: 'keyless', keyless: { ...keyless, identity } });
    assert.equal((await verdict(target, by)).startsWith('accepted'), accepted);
  }
});

test('beside a key: the key first, and the trusted root only where there is a certificate', async () => {
  const own = signingKey(generateSigningKeyPem());
  let loads = 0;
  const trustedRoot: TrustedRootSource = {
    fingerprint: 'counting',
    load: () => {
      loads++;
      return keyless.trustedRoot.load();
    },
  };
  const by = imageVerifier({
    type: 'key',
    key: signatureKey(own.publicKeyPem, 'sha256'),
    keyless: { ...keyless, trustedRoot },
  });
  const target = await image();
  assert.equal(
    await verdict(target, by),
    'no valid bundles exist in registry\nno signatures found\nno valid bundles exist in registry\nno signatures found',
  );
  await signBundle(target.repository, target.digest, own);
  assert.equal(await verdict(target, by), 'accepted: bundled: public key');
  assert.equal(loads, 0);
  const other = await image('other');
  await pushBundle(other, instance.bundle(signStatement(other.digest)));
  assert.equal(await verdict(other, by), 'accepted: bundled: certificate subject');
  assert.equal(loads, 1);
});

test('a trusted root that cannot be had is no verdict on the signature', async () => {
  const target = await image();
  await pushBundle(target, instance.bundle(signStatement(target.digest)));
  const failure = new FactoryError('unavailable', 'SIGNATURE_TRUSTED_ROOT_UNAVAILABLE', 'no mirror', {
    retryAfter: 30,
  });
  const trustedRoot = { fingerprint: 'none', load: () => Promise.reject(failure) };
  const by = imageVerifier({ type: 'keyless', keyless: { ...keyless, trustedRoot } });
  const payload = simpleSigningPayload(target.repository.name, target.digest);
  await pushLegacy(target, payload, instance.annotations(payload));
  await assert.rejects(by.verify(target.repository, target.digest), {
    kind: 'unavailable',
    code: 'SIGNATURE_TRUSTED_ROOT_UNAVAILABLE',
    message: /^failed to verify image signature for [^ ]+: no mirror$/,
    retryAfter: 30,
  });
});

const settings: SignatureSettings = {
  ...RULE,
  disabled: false,
  publicKeyFile: '',
  publicKeyHashAlgo: 'sha256',
  trustedRootFile: '',
};
const tuf = { mirror: '', cacheDirectory: '/nonexistent', rootFile: '' };

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'keyless-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test('a trusted root is taken from a file', async (t) => {
  const path = join(await scratch(t), 'trusted_root.json');
  await writeFile(path, JSON.stringify(instance.trustedRoot()));
  const by = imageVerifier(await verificationPolicy({ ...settings, trustedRootFile: path }, tuf));
  const target = await image();
  await pushBundle(target, instance.bundle(signStatement(target.digest)));
  assert.equal(await verdict(target, by), 'accepted: bundled: certificate subject');
});

test('what cannot be a policy is refused at the start', async (t) => {
  const path = join(await scratch(t), 'trusted_root.json');
  for (const [content, message] of [
    ['{', /^containerSignature.trustedRootFile [^ ]+ cannot be used: it is not JSON$/],
    ['null', /it is not a Sigstore trusted root$/],
    [JSON.stringify({ ...instance.trustedRoot(), ctlogs: [] }), /it has no ctlogs$/],
  ] as const) {
    await writeFile(path, content);
    await assert.rejects(fileTrustedRoot(path), {
      kind: 'invalid',
      code: 'SIGNATURE_TRUSTED_ROOT_INVALID',
      message,
    });
  }
  await assert.rejects(fileTrustedRoot(`${path}.absent`), { kind: 'invalid', message: /ENOENT/ });
  await assert.rejects(verificationPolicy({ ...settings, issuer: '' }, tuf), {
    kind: 'invalid',
    message: /^containerSignature.issuer and containerSignature.issuerRegExp are both empty/,
  });
  await assert.rejects(verificationPolicy({ ...settings, subjectRegExp: '(' }, tuf), {
    kind: 'invalid',
    message: /^containerSignature.subjectRegExp: regular expression "\(" cannot be used: /,
  });
  await assert.rejects(verificationPolicy(settings, { ...tuf, mirror: 'https://tuf.example.com' }), {
    kind: 'invalid',
    message: /^TUF_MIRROR https:\/\/tuf.example.com needs TUF_ROOT_JSON/,
  });
});

test('the fingerprint names everything that decides', async (t) => {
  const directory = await scratch(t);
  const [path, otherPath] = [join(directory, 'a.json'), join(directory, 'b.json')];
  await writeFile(path, JSON.stringify(instance.trustedRoot()));
  await writeFile(otherPath, JSON.stringify(stranger.trustedRoot()));
  const of = async (changed: Partial<SignatureSettings>, repository = tuf): Promise<string> =>
    policyFingerprint(await verificationPolicy({ ...settings, ...changed }, repository));
  const fingerprints = [
    await of({}),
    await of({ subjectRegExp: 'x' }),
    await of({ issuer: 'x' }),
    await of({ issuerRegExp: 'x' }),
    await of({ issuerRegExp: settings.issuer }),
    await of({ trustedRootFile: path }),
    await of({ trustedRootFile: otherPath }),
    await of({}, { ...tuf, mirror: 'https://tuf.example.com', rootFile: path }),
    await of({}, { ...tuf, mirror: 'https://tuf.example.com', rootFile: otherPath }),
    await of({}, { ...tuf, mirror: 'https://tuf2.example.com', rootFile: path }),
  ];
  assert.equal(new Set(fingerprints).size, fingerprints.length);
  // They name directories of the store.
  for (const fingerprint of fingerprints) assert.match(fingerprint, /^[0-9a-z-]{1,100}$/);
  assert.equal(await of({ issuerRegExp: 'x', issuer: 'y' }), fingerprints[3]);
  assert.equal(await of({}, { ...tuf, cacheDirectory: '/elsewhere' }), fingerprints[0]);
});

test('openssl accepts the certificates and timestamps of the tests', async (t) => {
  const directory = await scratch(t);
  const at = (name: string): string => join(directory, name);
  const openssl = async (...args: string[]): Promise<string> =>
    Buffer.from((await runProgram({ program: 'openssl', args })).stdout).toString();
  const bundle = instance.bundle(Buffer.from('{}'));
  const [intermediate, root] = instance.fulcio.chain;
  await writeFile(at('leaf'), pem(Buffer.from(bundle.verificationMaterial.certificate.rawBytes, 'base64')));
  await writeFile(at('intermediate'), pem(intermediate!));
  await writeFile(at('root'), pem(root!));
  const time = ['-attime', String(SIGNED_AT)];
  const chain = ['-CAfile', at('root'), '-untrusted', at('intermediate')];
  assert.match(await openssl('verify', ...time, ...chain, '-purpose', 'any', at('leaf')), /: OK/);
  const [tsa, tsaRoot] = instance.timestamps.chain;
  await writeFile(at('tsa'), pem(tsa!));
  await writeFile(at('tsa-root'), pem(tsaRoot!));
  await writeFile(at('data'), 'data');
  await writeFile(at('stamp'), instance.timestamps.stamp(Buffer.from('data'), SIGNED_AT));
  const text = await openssl('ts', '-reply', '-in', at('stamp'), '-text');
  assert.match(text, /Time stamp: Jan {2}1 00:00:00 2026 GMT/);
  assert.match(text, /Status: Granted/);
});
