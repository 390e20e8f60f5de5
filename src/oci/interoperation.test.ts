import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bytesBlob } from '../blob/bytes.ts';
import { readAll } from '../blob/consume.ts';
import { tarArchive } from '../formats/tar.ts';
import { runProgram } from '../process/run.ts';
import { startRegistry } from '../testing/registry.ts';
import { digestOf } from './digest.ts';
import { flattenInto } from './flatten.ts';
import { resolveImage } from './image.ts';
import { openLayout } from './layout.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';
import { parseRepositoryName, parseTag } from './names.ts';
import { openRegistryClient } from './registry-client.ts';
import type { Descriptor, Repository } from './repository.ts';
import { openImageTree } from './tree-index.ts';

/** skopeo (containers/image), an independent client, judges what we write and writes what we read. */
async function skopeo(...args: readonly string[]): Promise<string> {
  const { stdout } = await runProgram({ program: 'skopeo', args: ['--insecure-policy', ...args] });
  return Buffer.from(stdout).toString('utf8');
}

async function scratch(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'skopeo-'));
  t.after(() => rm(root, { recursive: true }));
  return root;
}

async function pushImage(repository: Repository, tag: string): Promise<Descriptor> {
  const push = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const digest = digestOf(bytes);
    await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
    return { mediaType, digest, size: bytes.length };
  };
  const content = bytesBlob(randomBytes(200_000));
  const archive = await readAll(
    tarArchive([{ path: 'file', type: 'file', mode: 0o644, content }], { mtime: 0 }),
  );
  const layer = await push('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(archive));
  const config = await push(
    OCI_CONFIG,
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [digestOf(archive)] },
        config: {},
      }),
    ),
  );
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] }),
  );
  const child = await repository.pushManifest(digestOf(manifest), OCI_MANIFEST, manifest);
  const manifests = [{ ...child, platform: { os: 'linux', architecture: 'amd64' } }];
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  return repository.pushManifest(parseTag(tag), OCI_INDEX, index);
}

test('skopeo takes what was pushed, and what it pushes is read', async (t) => {
  const root = await scratch(t);
  await using registry = await startRegistry({ auth: { kind: 'bearer', anonymousPush: true } });
  await using client = openRegistryClient({ credentials: { env: {} }, chunkSize: 50_000 });
  const pushed = await pushImage(client.repository(registry.name('a/b')), 'v1');
  const from = `docker://${registry.host}/a/b:v1`;
  await skopeo('copy', '--all', '--src-tls-verify=false', from, `dir:${root}/dir`);
  assert.equal(digestOf(await readFile(join(root, 'dir', 'manifest.json'))), pushed.digest);
  await skopeo(
    'copy',
    '--all',
    '--dest-tls-verify=false',
    `dir:${root}/dir`,
    `docker://${registry.host}/c:v2`,
  );
  const back = client.repository(registry.name('c'));
  assert.deepEqual(await back.resolve(parseTag('v2')), pushed);
  const image = await resolveImage(back, parseTag('v2'), 'amd64');
  assert.ok(image !== undefined);
  assert.deepEqual(await flattenInto(back, image, root), { entries: 1, bytes: 200_000 });
  assert.equal((await openImageTree(root)).get('file')?.mode, 0o644);
  const tags = JSON.parse(await skopeo('list-tags', '--tls-verify=false', `docker://${registry.host}/c`));
  assert.deepEqual(tags.Tags, ['v2']);
});

test('skopeo reads an embedded layout', async (t) => {
  const root = await scratch(t);
  const layout = await openLayout(join(root, 'layout'), { sync: false });
  const pushed = await pushImage(layout.repository(parseRepositoryName('localhost/a')), 'v1');
  await layout.writeIndex();
  await skopeo('copy', '--all', `oci:${root}/layout:localhost/a:v1`, `dir:${root}/dir`);
  assert.equal(digestOf(await readFile(join(root, 'dir', 'manifest.json'))), pushed.digest);
});
