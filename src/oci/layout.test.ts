import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { bytesBlob } from '../blob/bytes.ts';
import { digestOf } from './digest.ts';
import { parseImage } from './image.ts';
import { openLayout } from './layout.ts';
import { OCI_MANIFEST } from './media-types.ts';
import { parseRepositoryName, parseTag } from './names.ts';

async function scratch(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'layout-'));
  t.after(() => rm(root, { recursive: true }));
  return root;
}

const name = parseRepositoryName('localhost/killed');

test('a process that is killed while it writes leaves nothing torn', async (t) => {
  const root = await scratch(t);
  const child = join(import.meta.dirname, 'layout-child.testing.ts');
  let images = 0;
  for (const [lines, milliseconds] of [
    [1, 0],
    [2, 3],
    [3, 7],
    [5, 1],
  ] as const) {
    const writer = spawn(process.execPath, [child, root], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(writer, 'exit');
    // Not `for await`: leaving it would close the pipe, and the writer would end of that.
    const reports = writer.stdout[Symbol.asyncIterator]();
    let seen = 0;
    while (seen < lines) seen += String((await reports.next()).value).split('\n').length - 1;
    await delay(milliseconds);
    writer.kill('SIGKILL');
    await exited;
    // What it had reported is there.
    const layout = await openLayout(root);
    const repository = layout.repository(name);
    const tags = await repository.tags();
    assert.ok(tags.length >= seen, `${tags.length} tags after ${seen} reports`);
    for (const tag of tags) {
      const raw = await repository.manifest(parseTag(tag));
      assert.ok(raw !== undefined);
      const image = parseImage(raw);
      assert.ok(image.kind === 'manifest');
      for await (const _ of (await repository.openBlob(image.config.digest))!);
      assert.deepEqual(
        (await repository.referrers(image.subject!.digest)).map(({ digest }) => digest),
        [raw.descriptor.digest],
      );
      images++;
    }
    // Every file under its digest is whole, also those that no image names yet.
    for (const hex of await readdir(join(root, 'blobs', 'sha256'))) {
      const bytes = await readFile(join(root, 'blobs', 'sha256', hex));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), hex);
    }
  }
  assert.ok(images > 0);
});

test('two processes write at the same time', async (t) => {
  const root = await scratch(t);
  const [one, two] = [await openLayout(root, { sync: false }), await openLayout(root, { sync: false })];
  const bytes = randomBytes(500_000);
  const digest = digestOf(bytes);
  await Promise.all(
    [one, two, one, two].map((layout) =>
      layout.repository(name).pushBlob({ digest, size: bytes.length }, bytesBlob(bytes)),
    ),
  );
  const chunks = await Array.fromAsync((await one.repository(name).openBlob(digest))!);
  assert.deepEqual(Buffer.concat(chunks), bytes);
  assert.deepEqual(await readdir(join(root, 'tmp')), []);
});

test('bytes that were damaged on the disk are not served', async (t) => {
  const root = await scratch(t);
  const repository = (await openLayout(root, { sync: false })).repository(name);
  const bytes = randomBytes(5000);
  const digest = digestOf(bytes);
  await repository.pushBlob({ digest, size: 5000 }, bytesBlob(bytes));
  const path = join(root, 'blobs', digest.replace(':', '/'));
  const drain = async (): Promise<void> => {
    for await (const _ of (await repository.openBlob(digest))!);
  };
  await writeFile(path, Buffer.from(bytes).fill(0, 100, 101));
  await assert.rejects(drain, { code: 'OCI_DIGEST_MISMATCH' });
  await truncate(path, 4000);
  await assert.rejects(drain, { code: 'OCI_DIGEST_MISMATCH' });
  // What is short is written again.
  await repository.pushBlob({ digest, size: 5000 }, bytesBlob(bytes));
  await drain();
});

test('temporaries of long ago are swept, those of others now are not', async (t) => {
  const root = await scratch(t);
  await openLayout(root, { sync: false });
  await writeFile(join(root, 'tmp', 'old'), '');
  await utimes(join(root, 'tmp', 'old'), 1000, 1000);
  await writeFile(join(root, 'tmp', 'new'), '');
  await openLayout(root, { sync: false });
  assert.deepEqual(await readdir(join(root, 'tmp')), ['new']);
});

test('another kind of directory is refused', async (t) => {
  const root = await scratch(t);
  await mkdir(join(root, 'other'));
  await writeFile(join(root, 'other', 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}');
  await assert.rejects(openLayout(join(root, 'other')), { code: 'OCI_LAYOUT_INVALID' });
});

test('all repositories are known by name, and the index names every tag', async (t) => {
  const root = await scratch(t);
  const layout = await openLayout(root, { sync: false });
  assert.deepEqual(await layout.repositories(), []);
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: digestOf(Buffer.from('{}')),
        size: 2,
      },
      layers: [],
    }),
  );
  const names = ['LocalHost:5000/a', 'localhost:5000/a/b', '[::1]:80/x__y'];
  for (const text of names) {
    await layout.repository(parseRepositoryName(text)).pushManifest(parseTag('v1'), OCI_MANIFEST, bytes);
  }
  const known = ['[::1]:80/x__y', 'localhost:5000/a', 'localhost:5000/a/b'];
  assert.deepEqual(await layout.repositories(), known);
  await layout.writeIndex();
  const index = JSON.parse(await readFile(join(root, 'index.json'), 'utf8'));
  assert.deepEqual(
    index.manifests.map(
      (one: { annotations: Record<string, string> }) => one.annotations['org.opencontainers.image.ref.name'],
    ),
    known.map((one) => `${one}:v1`),
  );
});
