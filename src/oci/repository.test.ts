import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { bytesBlob } from '../blob/bytes.ts';
import { startDebianRegistry } from '../testing/debian-registry.ts';
import { type RegistryOptions, startRegistry } from '../testing/registry.ts';
import { digestOf } from './digest.ts';
import { openLayout } from './layout.ts';
import { OCI_INDEX, OCI_MANIFEST } from './media-types.ts';
import { type Digest, parseRepositoryName, parseTag } from './names.ts';
import { openRegistryClient } from './registry-client.ts';
import type { Descriptor, Repository } from './repository.ts';

/** The three things that are a repository must behave as one. */
interface Subject {
  readonly name: string;
  readonly start: () => Promise<{ open: (path: string) => Repository; stop: () => Promise<void> }>;
}

const quick = { attempts: 3, delays: [0], sleep: async () => {} };

function inProcess(name: string, options: RegistryOptions, chunkSize?: number): Subject {
  return {
    name,
    start: async () => {
      const registry = await startRegistry(options);
      const client = openRegistryClient({
        credentials: { env: {} },
        retry: quick,
        ...(chunkSize === undefined ? {} : { chunkSize }),
      });
      return {
        open: (path) => client.repository(registry.name(path)),
        stop: async () => {
          await client.close();
          await registry.close();
        },
      };
    },
  };
}

function debian(name: string, chunkSize?: number): Subject {
  return {
    name,
    start: async () => {
      const registry = await startDebianRegistry();
      const client = openRegistryClient({
        credentials: { env: {} },
        retry: quick,
        ...(chunkSize === undefined ? {} : { chunkSize }),
      });
      return {
        open: (path) => client.repository(parseRepositoryName(`${registry.host}/${path}`)),
        stop: async () => {
          await client.close();
          await registry.stop();
        },
      };
    },
  };
}

const subjects: readonly Subject[] = [
  {
    name: 'embedded layout',
    start: async () => {
      const root = await mkdtemp(join(tmpdir(), 'layout-'));
      const layout = await openLayout(root);
      return {
        open: (path) => layout.repository(parseRepositoryName(`localhost:5000/${path}`)),
        stop: () => rm(root, { recursive: true }),
      };
    },
  },
  inProcess('client and registry', {}),
  inProcess('client and registry with bearer tokens', {
    auth: { kind: 'bearer', anonymousPush: true },
    pageSize: 3,
  }),
  inProcess(
    'client and bare registry',
    { referrers: false, mounts: false, chunks: false, ranges: false },
    40_000,
  ),
  inProcess('client and registry with redirects, in chunks', { redirectBlobs: true }, 40_000),
  debian('client and docker-registry'),
  debian('client and docker-registry, in chunks', 40_000),
];

async function read(stream: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  assert.ok(stream !== undefined);
  return Buffer.concat(await Array.fromAsync(stream));
}

async function pushBytes(repository: Repository, bytes: Uint8Array): Promise<Descriptor> {
  const digest = digestOf(bytes);
  await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
  return { mediaType: 'application/octet-stream', digest, size: bytes.length };
}

async function pushImage(
  repository: Repository,
  tag: string | undefined,
  extra: { subject?: Descriptor; artifactType?: string; annotations?: Record<string, string> } = {},
): Promise<Descriptor> {
  const config = await pushBytes(repository, Buffer.from('{}'));
  const layer = await pushBytes(repository, randomBytes(50));
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { ...config, mediaType: 'application/vnd.oci.empty.v1+json' },
      layers: [layer],
      ...extra,
    }),
  );
  const reference = tag === undefined ? digestOf(bytes) : parseTag(tag);
  const pushed = await repository.pushManifest(reference, OCI_MANIFEST, bytes);
  assert.deepEqual(pushed, { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length });
  return pushed;
}

const absent = `sha256:${'0'.repeat(64)}` as Digest;

const behaviours: Readonly<Record<string, (open: (path: string) => Repository) => Promise<void>>> = {
  'absent things are undefined, not errors': async (open) => {
    const repository = open('nothing/here');
    assert.equal(await repository.resolve(parseTag('v1')), undefined);
    assert.equal(await repository.resolve(absent), undefined);
    assert.equal(await repository.manifest(parseTag('v1')), undefined);
    assert.equal(await repository.blobSize(absent), undefined);
    assert.equal(await repository.openBlob(absent), undefined);
    assert.equal(await repository.openBlob(absent, { offset: 1, length: 0 }), undefined);
    assert.deepEqual(await repository.tags(), []);
    assert.deepEqual(await repository.referrers(absent), []);
    await repository.deleteManifest(absent);
  },
  'a reference that is neither a digest nor a tag is refused': async (open) => {
    const repository = open('a/names');
    for (const text of ['../x', '.', '', 'a/b', 'sha256:00', 'x?y', '%2e%2e', 'x'.repeat(129)]) {
      const reference = text as Digest;
      await assert.rejects(repository.resolve(reference), { code: 'OCI_TAG_INVALID' }, text);
      await assert.rejects(repository.manifest(reference), { code: 'OCI_TAG_INVALID' }, text);
      const push = repository.pushManifest(
        reference,
        OCI_INDEX,
        Buffer.from('{"schemaVersion":2,"manifests":[]}'),
      );
      await assert.rejects(push, { code: 'OCI_TAG_INVALID' }, text);
    }
  },
  'blobs come back whole and in ranges': async (open) => {
    const repository = open('a/blobs');
    for (const size of [0, 1, 999, 1000, 1001, 123_456, 2_500_000]) {
      const bytes = randomBytes(size);
      const { digest } = await pushBytes(repository, bytes);
      await pushBytes(repository, bytes);
      assert.equal(await repository.blobSize(digest), size);
      assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
      if (size < 2) continue;
      for (const [offset, length] of [
        [0, 1],
        [1, undefined],
        [size - 1, 1],
        [size >> 1, size >> 2],
        [3, 0],
        [size, undefined],
        [size - 1, 1000],
      ] as const) {
        const options = { offset, ...(length === undefined ? {} : { length }) };
        assert.deepEqual(
          await read(await repository.openBlob(digest, options)),
          bytes.subarray(offset, offset + (length ?? size)),
          `${offset}+${length} of ${size}`,
        );
      }
    }
  },
  'blobs may be named by SHA-512': async (open) => {
    const repository = open('a/sha512');
    const bytes = randomBytes(70);
    const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}` as Digest;
    await repository.pushBlob({ digest, size: 70 }, bytesBlob(bytes));
    assert.deepEqual(await read(await repository.openBlob(digest)), bytes);
  },
  'content that is not what its digest says is refused and not kept': async (open) => {
    const repository = open('a/liar');
    const digest = digestOf(randomBytes(3000));
    await assert.rejects(repository.pushBlob({ digest, size: 3000 }, bytesBlob(randomBytes(3000))));
    await assert.rejects(repository.pushBlob({ digest, size: 3000 }, bytesBlob(randomBytes(2999))), {
      code: 'OCI_SIZE_MISMATCH',
    });
    assert.equal(await repository.blobSize(digest), undefined);
    const bytes = Buffer.from('{"schemaVersion":2}');
    await assert.rejects(repository.pushManifest(absent, OCI_INDEX, bytes), { code: 'OCI_DIGEST_MISMATCH' });
  },
  'blobs are of one repository until they are mounted': async (open) => {
    const bytes = randomBytes(2000);
    const { digest } = await pushBytes(open('mount/from'), bytes);
    const target = open('mount/to');
    assert.equal(await target.blobSize(digest), undefined);
    await target.pushBlob({ digest, size: 2000 }, bytesBlob(bytes), { mountFrom: open('mount/from').name });
    assert.deepEqual(await read(await target.openBlob(digest)), bytes);
  },
  'manifests come back by tag and by digest, and tags move': async (open) => {
    const repository = open('a/manifests');
    const first = await pushImage(repository, 'v1');
    const second = await pushImage(repository, 'v2');
    assert.deepEqual(await repository.resolve(parseTag('v1')), first);
    assert.deepEqual(await repository.resolve(first.digest), first);
    const raw = await repository.manifest(first.digest);
    assert.deepEqual(raw?.descriptor, first);
    assert.equal(digestOf(raw!.bytes), first.digest);
    await repository.pushManifest(
      parseTag('v1'),
      OCI_MANIFEST,
      (await repository.manifest(second.digest))!.bytes,
    );
    assert.deepEqual(await repository.resolve(parseTag('v1')), second);
    assert.deepEqual(await repository.resolve(first.digest), first);
  },
  'tags are listed, sorted': async (open) => {
    const repository = open('a/tags');
    const { digest } = await pushImage(repository, undefined);
    assert.deepEqual(await repository.tags(), []);
    const { bytes } = (await repository.manifest(digest))!;
    for (const tag of ['v2', 'v10', 'latest', '_x', 'v1.0', 'V1', 'sha256-0']) {
      await repository.pushManifest(parseTag(tag), OCI_MANIFEST, bytes);
    }
    assert.deepEqual(await repository.tags(), ['V1', '_x', 'latest', 'sha256-0', 'v1.0', 'v10', 'v2']);
  },
  'referrers are found by their subject and artifact type': async (open) => {
    const repository = open('a/referrers');
    const subject = await pushImage(repository, 'v1');
    const pushed: Descriptor[] = [];
    for (const artifactType of ['text/a', 'text/b', 'text/a']) {
      const annotations = { n: String(pushed.length) };
      const { digest, size, mediaType } = await pushImage(repository, undefined, {
        subject,
        artifactType,
        annotations,
      });
      pushed.push({ mediaType, digest, size, artifactType, annotations });
    }
    pushed.sort((a, b) => (a.digest < b.digest ? -1 : 1));
    assert.deepEqual(await repository.referrers(subject.digest), pushed);
    const onlyA = pushed.filter(({ artifactType }) => artifactType === 'text/a');
    assert.deepEqual(await repository.referrers(subject.digest, 'text/a'), onlyA);
    assert.deepEqual(await repository.referrers(subject.digest, 'text/c'), []);
    await repository.deleteManifest(onlyA[0]!.digest);
    const left = pushed.filter(({ digest }) => digest !== onlyA[0]!.digest);
    assert.deepEqual(await repository.referrers(subject.digest), left);
  },
  'referrers that are written at the same time are all kept': async (open) => {
    const repository = open('a/together');
    const subject = await pushImage(repository, 'v1');
    const pushed = await Promise.all(
      Array.from({ length: 5 }, () => pushImage(repository, undefined, { subject, artifactType: 'text/a' })),
    );
    const found = await repository.referrers(subject.digest);
    assert.deepEqual(
      found.map(({ digest }) => digest),
      pushed.map(({ digest }) => digest).sort(),
    );
  },
  'a deleted manifest is gone with its tags': async (open) => {
    const repository = open('a/deleted');
    const gone = await pushImage(repository, 'v1');
    const kept = await pushImage(repository, 'v2');
    await repository.deleteManifest(gone.digest);
    assert.equal(await repository.resolve(parseTag('v1')), undefined);
    assert.equal(await repository.manifest(gone.digest), undefined);
    assert.deepEqual(await repository.resolve(parseTag('v2')), kept);
  },
  'an aborted read ends with the reason': async (open) => {
    const repository = open('a/aborted');
    const { digest } = await pushBytes(repository, randomBytes(3 << 20));
    const reason = new Error('enough');
    const controller = new AbortController();
    const stream = await repository.openBlob(digest, { signal: controller.signal });
    await assert.rejects(async () => {
      for await (const _ of stream!) controller.abort(reason);
    }, reason);
    await assert.rejects(repository.manifest(parseTag('v1'), AbortSignal.abort(reason)), reason);
  },
};

for (const subject of subjects) {
  describe(subject.name, async () => {
    const { open, stop } = await subject.start();
    after(stop);
    for (const [name, behave] of Object.entries(behaviours)) test(name, () => behave(open));
  });
}

test('nothing is left behind in the temporary directory of a layout', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'layout-'));
  t.after(() => rm(root, { recursive: true }));
  const layout = await openLayout(root);
  const repository = layout.repository(parseRepositoryName('localhost/a'));
  const digest = digestOf(randomBytes(10));
  await assert.rejects(repository.pushBlob({ digest, size: 10 }, bytesBlob(randomBytes(10))), {
    code: 'OCI_DIGEST_MISMATCH',
  });
  await pushImage(repository, 'v1');
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});
