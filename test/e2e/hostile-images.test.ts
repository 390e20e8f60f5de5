import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { bytesBlob } from '../../src/blob/bytes.ts';
import { parseTag } from '../../src/oci/names.ts';
import {
  type BuiltImage,
  type BuiltLayer,
  buildImage,
  buildLayer,
  OCI_LAYER,
  sha256Digest,
} from '../../src/testing/image-builder.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import {
  type ArchiveEntry,
  directory,
  file,
  hardlink,
  symlink,
  tarArchive,
} from '../../src/testing/tar-archive.ts';
import { type Answer, createSchematic, send } from './client.ts';
import {
  type LocalFactory,
  type LocalFactoryOptions,
  startLocalFactory,
  startSandbox,
} from './local-factory.ts';

// Images of an extra catalog whose author means harm. Signatures are not checked here: what is signed is not
// therefore harmless.

let sandbox: SandboxRegistry;
before(async () => {
  sandbox = await startSandbox();
});
after(() => sandbox?.registry.close());

const MANIFEST = file(
  'manifest.yaml',
  'version: v1alpha1\nmetadata:\n  name: evil\n  version: v1\n  author: a\n  compatibility:\n    talos:\n      version: ">= v1.0.0"\n',
);

async function push(repository: string, tag: string, image: BuiltImage): Promise<void> {
  const storage = sandbox.registry.storage(repository);
  for (const { descriptor, bytes } of image.blobs) await storage.pushBlob(descriptor, bytesBlob(bytes));
  await storage.pushManifest(parseTag(tag), image.root.descriptor.mediaType, image.root.bytes);
}

/** A factory with a catalog of its own, beside the one of the release. */
async function withCatalog(name: string, catalog: BuiltImage): Promise<LocalFactory> {
  await push(`evil/${name}`, 'v1.13.0', catalog);
  const { host: registry } = sandbox.registry;
  const options: LocalFactoryOptions = {
    sandbox,
    config: {
      containerSignature: { disabled: true },
      enterprise: {
        extraExtensions: { manifest: { registry, namespace: 'evil', repository: name, insecure: true } },
      },
    },
  };
  return startLocalFactory(options);
}

/** A factory with all of these in its catalog. */
async function withExtensions(
  extensions: readonly (readonly [
    name: string,
    layers: readonly (readonly ArchiveEntry[])[],
    ...unknown[],
  ])[],
): Promise<LocalFactory> {
  const lines: string[] = [];
  for (const [name, layers] of extensions) {
    const image = buildImage(
      'amd64',
      layers.map((layer) => buildLayer(layer)),
    );
    await push(`evil/${name}`, 'v1', image);
    lines.push(`${sandbox.registry.host}/evil/${name}:v1@${image.root.descriptor.digest}\n`);
  }
  return withCatalog('catalog', catalog(lines.join('')));
}

async function built(factory: LocalFactory, name: string): Promise<Answer> {
  const id = await createSchematic(factory.url, {
    customization: { systemExtensions: { officialExtensions: [`evil/${name}`] } },
  });
  return send(factory.url, `/image/${id}/v1.13.0/initramfs-amd64.xz`);
}

const SECRET = '/tmp/../etc/passwd';

/** Names that lead out of the image and never may lead out of the factory's own directory. */
const EXTENSIONS: readonly (readonly [
  name: string,
  layers: readonly (readonly ArchiveEntry[])[],
  status: number,
  text?: RegExp,
])[] = [
  [
    'dots',
    [[MANIFEST, directory('rootfs'), file('../../../../../../tmp/e2e-escaped', 'x')]],
    400,
    /unexpected file "tmp"/,
  ],
  [
    'dots-inside',
    [[MANIFEST, file('rootfs/usr/local/../../../../../../tmp/e2e-escaped', 'x')]],
    400,
    /unexpected file "tmp"/,
  ],
  [
    'absolute',
    [[MANIFEST, directory('rootfs'), file('/tmp/e2e-escaped', 'x')]],
    400,
    /unexpected file "tmp"/,
  ],
  [
    'through-a-link',
    [[MANIFEST, directory('rootfs'), symlink('rootfs/out', '/tmp'), file('rootfs/out/e2e-escaped', 'x')]],
    400,
    /unexpected file "tmp"/,
  ],
  [
    'through-a-link-of-another-layer',
    [[MANIFEST, symlink('rootfs', '/tmp')], [file('rootfs/e2e-escaped', 'x')]],
    400,
    /unexpected file "rootfs"/,
  ],
  // A link is a link: where it leads is a matter of the node.
  [
    'link-to-a-secret',
    [[MANIFEST, directory('rootfs/usr/local'), symlink('rootfs/usr/local/x', SECRET)]],
    200,
  ],
  [
    'hard-link-to-a-secret',
    [[MANIFEST, hardlink('rootfs/usr/local/x', SECRET)]],
    502,
    /is a hard link to "etc\/passwd", which is not there/,
  ],
  [
    'manifest-is-a-link',
    [[symlink('manifest.yaml', '/etc/hostname'), directory('rootfs')]],
    400,
    /unexpected file "manifest\.yaml"/,
  ],
  ['rootfs-is-a-link', [[MANIFEST, symlink('rootfs', '/etc')]], 400, /unexpected file "rootfs"/],
  [
    'whiteout-of-above',
    [[MANIFEST, file('rootfs/.wh...', ''), file('../.wh.entries', '')]],
    502,
    /the whiteout "rootfs\/\.wh\.\.\." names nothing/,
  ],
  ['no-manifest', [[file('rootfs/usr/local/x', 'x')]], 400, /extension manifest is missing/],
  [
    'manifest-bomb',
    [[file('manifest.yaml', `a: &a [x]\n${'b: *a\n'.repeat(1000)}`), directory('rootfs')]],
    400,
    /extension manifest has too many aliases/,
  ],
  [
    'huge-manifest',
    [[file('manifest.yaml', 'a: b\n'.repeat(1 << 18)), directory('rootfs')]],
    400,
    /extension manifest is larger than 1048576 bytes/,
  ],
];

describe('extensions', () => {
  let factory: LocalFactory;
  before(async () => {
    factory = await withExtensions(EXTENSIONS);
  });
  after(() => factory?.[Symbol.asyncDispose]());

  for (const [name, , status, text = /./] of EXTENSIONS) {
    test(name, async () => {
      const answer = await built(factory, name);
      assert.equal(answer.status, status, answer.text.slice(0, 500));
      assert.match(answer.text, text);
      if (status !== 200) assert.match(answer.text, new RegExp(`extension evil/${name}`), 'it is named');
      await assert.rejects(stat('/tmp/e2e-escaped'), { code: 'ENOENT' });
      assert.equal(answer.body.indexOf('root:x:0:0'), -1);
      assert.deepEqual((await readdir(factory.dataDir)).sort(), ['facts', 'oci', 'signing-key.pem', 'store']);
      await nothingLeft(factory);
    });
  }

  test('none of it was our fault', () => {
    assert.deepEqual(
      factory.lines.filter(({ level }) => level === 'error'),
      [],
    );
  });
});

/** What was begun beside what failed may still be under way; it ends. */
async function nothingLeft(factory: LocalFactory): Promise<void> {
  const work = join(factory.dataDir, 'store/work');
  for (let attempt = 0; attempt < 200 && (await readdir(work)).length > 0; attempt++) await delay(50);
  assert.deepEqual(await readdir(work), []);
}

/** A layer of so many MiB of zero bytes in one file; its gzip members are one, repeated. */
function bomb(mebibytes: number): BuiltLayer {
  const zeros = Buffer.alloc(1 << 20);
  const head = Buffer.from(tarArchive([file('image-digests', '')])).subarray(0, 512);
  head.write((mebibytes * 2 ** 20).toString(8).padStart(11, '0'), 124, 'latin1');
  head.fill(' ', 148, 156);
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
  const bytes = Buffer.concat([
    gzipSync(head),
    ...Array(mebibytes).fill(gzipSync(zeros)),
    gzipSync(Buffer.alloc(1024)),
  ]);
  const hash = createHash('sha256').update(head);
  for (let i = 0; i < mebibytes; i++) hash.update(zeros);
  hash.update(Buffer.alloc(1024));
  return {
    descriptor: { mediaType: OCI_LAYER, digest: sha256Digest(bytes), size: bytes.length },
    diffId: `sha256:${hash.digest('hex')}` as BuiltLayer['diffId'],
    bytes,
  };
}

const digest = `sha256:${'a'.repeat(64)}`;
const catalog = (text: string | Uint8Array, name = 'image-digests'): BuiltImage =>
  buildImage('amd64', [buildLayer([file(name, text)])]);

const CATALOGS: readonly (readonly [name: string, catalog: () => BuiltImage, text: RegExp])[] = [
  ['bomb', () => buildImage('amd64', [bomb(1024)]), /bytes \(67108864\)/],
  [
    'many-files',
    () => buildImage('amd64', [buildLayer(Array.from({ length: 20_000 }, (_, i) => file(`f${i}`, '')))]),
    /more members \(10000\) than are taken/,
  ],
  ['huge-file', () => catalog(Buffer.alloc(40 << 20, 'a')), /image-digests has more than [0-9]+ bytes/],
  ['no-file', () => catalog('x', 'other'), /failed to find image-digests file/],
  ['no-digest', () => catalog('ghcr.io/a/b:v1@sha256:zz\n'), /invalid digest/],
  [
    'no-reference',
    () => catalog(`../../x:v1@${digest}\n`),
    /image-digests: failed to parse tagged reference/,
  ],
  ['no-text', () => catalog(Buffer.from([0xff, 0xfe, 0x00, 0x40, 0x0a])), /is not UTF-8/],
  ['many-lines', () => catalog(`a/b:1@${digest}\n`.repeat(50_000)), /more than [0-9]+ images/],
  [
    'not-gzip',
    () => {
      const bytes = Buffer.from('this is not gzip');
      const descriptor = { mediaType: OCI_LAYER, digest: sha256Digest(bytes), size: bytes.length };
      return buildImage('amd64', [{ descriptor, diffId: sha256Digest(bytes), bytes }]);
    },
    /invalid tar archive at offset 0/,
  ],
  [
    'other-content',
    () => {
      const layer = buildLayer([file('image-digests', 'x')]);
      return buildImage('amd64', [{ ...layer, diffId: sha256Digest(Buffer.from('y')) }]);
    },
    /uncompressed: expected digest sha256:/,
  ],
];

describe('catalogs', { concurrency: 2 }, () => {
  for (const [name, make, text] of CATALOGS) {
    test(name, async () => {
      await using factory = await withCatalog(name, make());
      const answer = await send(factory.url, '/version/v1.13.0/extensions/official');
      assert.equal(answer.status, 502, answer.text.slice(0, 500));
      assert.match(answer.text, text);
      assert.match(answer.text, new RegExp(`${sandbox.registry.host}/evil/${name}`), 'the image is named');
      assert.ok(answer.body.length < 2000, 'what it said is not repeated at length');
      await nothingLeft(factory);
    });
  }
});
