import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import type { Blob } from '../blob/blob.ts';
import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { type Digest, parseRepositoryName } from '../oci/names.ts';
import type { Descriptor, Repository } from '../oci/repository.ts';
import { schematicId } from './id.ts';
import { schematicMetrics } from './metrics.ts';
import { SchematicStore, type SchematicStoreOptions } from './store.ts';

const EMPTY = '376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba';
const UNKNOWN = 'f'.repeat(64);

/** A repository in memory that notes what is asked of it, and can be slow, broken or lying. */
class MemoryRepository implements Repository {
  readonly name = parseRepositoryName('registry.test/schematics');
  readonly blobs = new Map<string, Uint8Array>();
  readonly manifests = new Map<string, Uint8Array>();
  readonly calls: string[] = [];
  failure: Error | undefined;
  /** Held requests go on when it resolves. */
  gate: Promise<void> | undefined;

  async #request(call: string): Promise<void> {
    this.calls.push(call);
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
  }

  async openBlob(digest: Digest): Promise<AsyncIterable<Uint8Array> | undefined> {
    await this.#request('open');
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) return undefined;
    return (async function* () {
      for (let at = 0; at < bytes.length; at += 5) yield bytes.subarray(at, at + 5);
    })();
  }

  async pushBlob({ digest, size }: Pick<Descriptor, 'digest' | 'size'>, content: Blob): Promise<void> {
    await this.#request('push');
    assert.equal(content.size, size);
    const chunks: Uint8Array[] = [];
    for await (const chunk of content.read(0, size)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    assert.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`, digest);
    this.blobs.set(digest, bytes);
  }

  async pushManifest(reference: string, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
    await this.#request('manifest');
    this.manifests.set(reference, bytes);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
    return { mediaType, digest, size: bytes.length };
  }

  resolve = unused;
  manifest = unused;
  blobSize = unused;
  tags = unused;
  referrers = unused;
  deleteManifest = unused;
}

async function unused(): Promise<never> {
  throw new Error('a schematic store does not need this');
}

class TestClock implements Clock {
  milliseconds = 1_000_000;

  now(): number {
    return this.milliseconds;
  }
}

function setUp(options: SchematicStoreOptions = {}) {
  const repository = new MemoryRepository();
  const clock = new TestClock();
  const registry = new Registry();
  const store = new SchematicStore(repository, { clock, metrics: schematicMetrics(registry), ...options });
  const metric = async (name: string): Promise<number | undefined> =>
    (await registry.getSingleMetric(`image_factory_schematic_${name}`)?.get())?.values[0]?.value;
  const put = (text: string): string => {
    const id = schematicId(text);
    repository.blobs.set(`sha256:${id}`, Buffer.from(text));
    return id;
  };
  return { repository, clock, store, metric, put };
}

const body = (text: string): Uint8Array => Buffer.from(text);
const is =
  (kind: string, code: string) =>
  (error: unknown): boolean =>
    error instanceof FactoryError && error.kind === kind && error.code === code;
const absent = is('not-found', 'SCHEMATIC_NOT_FOUND');
const outage = new FactoryError('upstream', 'OCI_TEST', 'the registry is broken');

function gate(): { readonly closed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { closed: promise, open: resolve };
}

describe('SchematicStore.create', () => {
  it('writes the image of the specification', async () => {
    const { repository, store, metric } = setUp();
    const created = await store.create(body('{}'));
    assert.deepEqual(
      { id: created.id, canonical: created.canonical, existed: created.existed },
      { id: EMPTY, canonical: 'customization: {}\n', existed: false },
    );
    // spec/asset-cache.md §9
    assert.deepEqual(
      [...repository.blobs.keys()],
      [`sha256:${EMPTY}`, 'sha256:a1318fc1f6a4c25b7b7507e2144e1fd78c8226bd639d823677eb2f8ed93e6cae'],
    );
    const manifest = repository.manifests.get(EMPTY);
    assert.ok(manifest);
    assert.equal(manifest.length, 415);
    assert.equal(
      createHash('sha256').update(manifest).digest('hex'),
      '3bda350edc49a95bb27a84272976d6c2d495237ffde275b0f45458453ce6bb8a',
    );
    assert.deepEqual(repository.calls, ['open', 'push', 'push', 'manifest']);
    assert.deepEqual([await metric('create_total'), await metric('cache_size')], [1, 1]);
  });

  it('writes nothing when it is there, in memory or in the repository', async () => {
    const { repository, store, put, metric } = setUp();
    put('customization: {}\n');
    for (const text of ['{}', 'null', '{"customization": {}}']) {
      assert.equal((await store.create(body(text))).existed, true);
    }
    assert.deepEqual(repository.calls, ['open']);
    assert.equal(await metric('duplicate_create_total'), 3);
  });

  it('writes when it cannot be known whether it is there', async () => {
    const { repository, store } = setUp();
    repository.failure = outage;
    await assert.rejects(store.create(body('{}')), is('upstream', 'OCI_TEST'));
    assert.deepEqual(repository.calls, ['open', 'push']);
    repository.failure = undefined;
    assert.equal((await store.create(body('{}'))).existed, false);
  });

  it('writes once for many who ask at once', async () => {
    const { repository, store } = setUp();
    const created = await Promise.all(Array.from({ length: 5 }, () => store.create(body('{}'))));
    assert.deepEqual(
      created.map(({ existed }) => existed),
      [false, true, true, true, true],
    );
    assert.deepEqual(repository.calls, ['open', 'push', 'push', 'manifest']);
  });

  it('refuses what is no schematic before it asks the repository', async () => {
    const { repository, store } = setUp();
    for (const text of ['a: b', 'owner: alice', 'customization: {meta: [{value: " a\\nb"}]}']) {
      await assert.rejects(store.create(body(text)), is('invalid', 'SCHEMATIC_INVALID'), text);
    }
    assert.deepEqual(repository.calls, []);
  });

  it('gives it to the user who is known', async () => {
    const { store } = setUp();
    const caller = { authentication: true, user: 'alice' };
    const { canonical } = await store.create(body('{}'), undefined, caller);
    assert.equal(canonical, 'owner: alice\ncustomization: {}\n');
  });

  it('goes on when the caller leaves', async () => {
    const { repository, store } = setUp();
    const { closed, open } = gate();
    repository.gate = closed;
    const leaving = new AbortController();
    const creation = store.create(body('{}'), leaving.signal);
    leaving.abort(new Error('gone'));
    await assert.rejects(creation, /gone/);
    open();
    assert.equal((await store.get(EMPTY)).id, EMPTY);
    assert.ok(repository.manifests.has(EMPTY));
  });
});

describe('SchematicStore.get', () => {
  it('reads once, and remembers', async () => {
    const { repository, store, put, metric } = setUp();
    const id = put('customization:\n    bootloader: grub\n');
    for (let i = 0; i < 3; i++) {
      const { canonical, schematic } = await store.get(id);
      assert.equal(canonical, 'customization:\n    bootloader: grub\n');
      assert.equal(schematic.customization.bootloader, 'grub');
    }
    assert.deepEqual(repository.calls, ['open']);
    assert.equal(await metric('get_total'), 1);
  });

  it('shares one request among all who ask at once', async () => {
    const { repository, store, put } = setUp();
    const id = put('customization: {}\n');
    await Promise.all(Array.from({ length: 20 }, () => store.get(id)));
    assert.deepEqual(repository.calls, ['open']);
  });

  it('goes on when a caller leaves', async () => {
    const { repository, store, put } = setUp();
    const id = put('customization: {}\n');
    const { closed, open } = gate();
    repository.gate = closed;
    const leaving = new AbortController();
    const left = store.get(id, leaving.signal);
    const stays = store.get(id);
    leaving.abort(new Error('gone'));
    await assert.rejects(left, /gone/);
    open();
    assert.equal((await stays).id, id);
    assert.deepEqual(repository.calls, ['open']);
  });

  for (const id of ['', 'x', EMPTY.toUpperCase(), EMPTY.slice(1), `${EMPTY}0`, `../${EMPTY}`, `${EMPTY}\n`]) {
    it(`finds nothing for ${JSON.stringify(id.slice(0, 20))} without asking`, async () => {
      const { repository, store } = setUp();
      await assert.rejects(store.get(id), absent);
      assert.deepEqual(repository.calls, []);
    });
  }

  it('names what was not found', async () => {
    const { store } = setUp();
    await assert.rejects(store.get(UNKNOWN), { message: `schematic ID "${UNKNOWN}" not found` });
  });

  it('asks again for what was not there, once a second', async () => {
    const { repository, store, clock, put } = setUp();
    await assert.rejects(store.get(EMPTY), absent);
    await assert.rejects(store.get(EMPTY), absent);
    assert.equal(repository.calls.length, 1);
    put('customization: {}\n');
    await assert.rejects(store.get(EMPTY), absent);
    clock.milliseconds += 1000;
    assert.equal((await store.get(EMPTY)).id, EMPTY);
    assert.equal(repository.calls.length, 2);
  });

  it('believes a not-found answer during an outage, for a time', async () => {
    const { repository, store, clock } = setUp({ negativeTtl: 30_000 });
    await assert.rejects(store.get(EMPTY), absent);
    repository.failure = outage;
    clock.milliseconds += 29_999;
    await assert.rejects(store.get(EMPTY), absent);
    clock.milliseconds += 1;
    await assert.rejects(store.get(EMPTY), is('upstream', 'OCI_TEST'));
  });

  it('finds what was created after it was not there', async () => {
    const { store } = setUp();
    await assert.rejects(store.get(EMPTY), absent);
    await store.create(body('{}'));
    assert.equal((await store.get(EMPTY)).canonical, 'customization: {}\n');
  });

  it('waits for a creation that has begun', async () => {
    const { repository, store } = setUp();
    const { closed, open } = gate();
    repository.gate = closed;
    const before = store.get(EMPTY);
    const creation = store.create(body('{}'));
    const during = store.get(EMPTY);
    open();
    await assert.rejects(before, absent);
    assert.equal((await creation).existed, false);
    assert.equal((await during).id, EMPTY);
  });

  it('does not remember failures', async () => {
    const { repository, store, put } = setUp();
    const id = put('customization: {}\n');
    repository.failure = outage;
    await assert.rejects(store.get(id), is('upstream', 'OCI_TEST'));
    repository.failure = undefined;
    assert.equal((await store.get(id)).id, id);
  });

  it('refuses content of another hash', async () => {
    const { repository, store } = setUp();
    repository.blobs.set(`sha256:${EMPTY}`, body('customization: {}'));
    await assert.rejects(store.get(EMPTY), is('upstream', 'SCHEMATIC_BLOB_BROKEN'));
  });

  it('refuses what this build does not understand', async () => {
    const { store, put } = setUp();
    await assert.rejects(store.get(put('future: {}\n')), is('invalid', 'SCHEMATIC_INVALID'));
  });

  it('gives up on a repository that is silent', async () => {
    const { repository, store } = setUp({ timeout: 10 });
    repository.openBlob = async (_digest: Digest, options?: { readonly signal?: AbortSignal }) =>
      new Promise((_resolve, reject) => {
        // Keeps the process awake: the deadline alone does not.
        const awake = setInterval(() => {}, 1000);
        options?.signal?.addEventListener('abort', () => {
          clearInterval(awake);
          reject(options.signal?.reason);
        });
      });
    await assert.rejects(store.get(EMPTY), is('unavailable', 'SCHEMATIC_REPOSITORY_TIMEOUT'));
  });

  it('forgets what was used least, but not because of ids that are not there', async () => {
    const { repository, store, put } = setUp({ capacity: 2 });
    const ids = ['grub', 'sd-boot', 'dual-boot'].map((name) =>
      put(`customization:\n    bootloader: ${name}\n`),
    );
    const reads = async (id: string): Promise<number> => {
      const before = repository.calls.length;
      await store.get(id);
      return repository.calls.length - before;
    };
    const [first = '', second = '', third = ''] = ids;
    assert.deepEqual([await reads(first), await reads(second), await reads(first)], [1, 1, 0]);
    for (const digit of '0123') await assert.rejects(store.get(digit.repeat(64)), absent);
    assert.deepEqual([await reads(third), await reads(first), await reads(second)], [1, 0, 1]);
  });
});
