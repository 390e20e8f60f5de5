import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { bytesBlob, textBlob } from '../blob/bytes.ts';
import { readAll } from '../blob/consume.ts';
import { tarArchive } from '../formats/tar.ts';
import { formatTarHeader } from '../formats/tar-header.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { startRegistry, type TestRegistry } from '../testing/registry.ts';
import { digestOf } from './digest.ts';
import { type FlattenOptions, flattenInto } from './flatten.ts';
import { type ImageManifest, parseImage } from './image.ts';
import { type Layout, openLayout } from './layout.ts';
import { OCI_CONFIG, OCI_MANIFEST } from './media-types.ts';
import { type Digest, parseRepositoryName } from './names.ts';
import { openRegistryClient } from './registry-client.ts';
import type { Repository, RepositoryReader } from './repository.ts';
import { openImageTree } from './tree-index.ts';

interface Member {
  readonly name: string;
  readonly typeflag?: string;
  readonly content?: string;
  readonly linkName?: string;
  readonly mode?: number;
}

/** A tar archive written member by member, also with names that a writer would refuse. */
function tar(members: readonly Member[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { name, typeflag = '0', content = '', linkName = '', mode = 0o644 } of members) {
    const bytes = Buffer.from(content);
    parts.push(formatTarHeader({ name, mode, size: bytes.length, mtime: 0, typeflag, linkName }));
    parts.push(bytes, Buffer.alloc(-bytes.length & 511));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

const file = (name: string, content: string): Member => ({ name, content });
const directory = (name: string): Member => ({ name: `${name}/`, typeflag: '5', mode: 0o755 });
const symlink = (name: string, linkName: string): Member => ({ name, typeflag: '2', linkName });
const hardLink = (name: string, linkName: string): Member => ({ name, typeflag: '1', linkName });

const half = (bytes: Uint8Array): readonly Uint8Array[] => [
  bytes.subarray(0, bytes.length >> 1),
  bytes.subarray(bytes.length >> 1),
];
/** What a layer is compressed to, by the end of its media type. */
const compress: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  tar: (bytes) => bytes,
  'tar+gzip': (bytes) => gzipSync(bytes, { level: 1 }),
  'tar+zstd': (bytes) => zstdCompressSync(bytes),
  // Layers made in pieces (eStargz, zstd:chunked) are several members or frames.
  'nondistributable.tar+gzip': (bytes) => Buffer.concat(half(bytes).map((part) => gzipSync(part))),
  'nondistributable.tar+zstd': (bytes) => Buffer.concat(half(bytes).map((part) => zstdCompressSync(part))),
};

let root: string;
let layout: Layout;
let counter = 0;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'flatten-'));
  layout = await openLayout(join(root, 'layout'), { sync: false });
});
after(() => rm(root, { recursive: true }));

interface Made {
  readonly repository: Repository;
  readonly image: ImageManifest;
}

async function pushImage(
  layers: readonly Uint8Array[],
  options: { compression?: string; diffIds?: readonly string[]; repository?: Repository } = {},
): Promise<Made> {
  const compression = options.compression ?? 'tar+gzip';
  const repository = options.repository ?? layout.repository(parseRepositoryName(`localhost/r${counter++}`));
  const push = async (mediaType: string, bytes: Uint8Array) => {
    const digest = digestOf(bytes);
    await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
    return { mediaType, digest, size: bytes.length };
  };
  const diff_ids = options.diffIds ?? layers.map(digestOf);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: await push(OCI_CONFIG, Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids } }))),
    layers: await Promise.all(
      layers.map((layer) =>
        push(`application/vnd.oci.image.layer.${compression}`, compress[compression]!(layer)),
      ),
    ),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = await repository.pushManifest(digestOf(bytes), OCI_MANIFEST, bytes);
  const image = parseImage({ descriptor, bytes });
  assert.ok(image.kind === 'manifest');
  return { repository, image };
}

async function flatten(
  { repository, image }: { repository: RepositoryReader; image: ImageManifest },
  options: FlattenOptions = {},
): Promise<readonly TreeEntry[]> {
  const target = await mkdtemp(join(root, 'tree-'));
  await flattenInto(repository, image, target, options);
  assert.deepEqual((await readdir(target)).sort(), ['content', 'index.json']);
  const tree = await openImageTree(target);
  assert.equal(tree.digest, image.descriptor.digest);
  return tree.entries;
}

/** Entries as short texts: `a/` directory, `a=text` file, `a->b` link, `a!fifo` others. */
async function listing(entries: readonly TreeEntry[]): Promise<readonly string[]> {
  return Promise.all(
    entries.map(async (entry) => {
      switch (entry.type) {
        case 'directory':
          return `${entry.path}/`;
        case 'file':
          return `${entry.path}=${Buffer.from(await readAll(entry.content)).toString()}`;
        case 'symlink':
          return `${entry.path}->${entry.target}`;
        default:
          return `${entry.path}!${entry.type}`;
      }
    }),
  );
}

const cases: Readonly<
  Record<string, { layers: readonly (readonly Member[])[]; result: readonly string[]; filter?: RegExp }>
> = {
  'no layers': { layers: [], result: [] },
  'parents before children, siblings by bytes': {
    layers: [[file('b', '1'), file('a/b', '2'), file('a-c', '3'), file('a.d/x', '4')]],
    result: ['a/', 'a/b=2', 'a-c=3', 'a.d/', 'a.d/x=4', 'b=1'],
  },
  'the last one of a name wins': {
    layers: [[file('a', '1'), file('a', '2')], [file('b', '1')], [file('b', '2')]],
    result: ['a=2', 'b=2'],
  },
  'a file replaces a directory and the other way round': {
    layers: [
      [file('a/x', '1'), file('b', '2')],
      [file('a', '3'), directory('b'), file('b/y', '4')],
    ],
    result: ['a=3', 'b/', 'b/y=4'],
  },
  'a whiteout removes what lower layers have': {
    layers: [
      [file('a', '1'), file('d/x', '2'), file('d/y', '3'), file('e/z', '4')],
      [file('.wh.a', ''), file('d/.wh.x', ''), file('.wh.e', '')],
    ],
    result: ['d/', 'd/y=3'],
  },
  'a whiteout does not touch its own layer, before or after': {
    layers: [
      [file('a', '1'), file('d/x', '1')],
      [file('a', '2'), file('.wh.a', ''), file('.wh.d', ''), file('d/y', '2')],
    ],
    result: ['a=2', 'd/', 'd/y=2'],
  },
  'a whiteout of nothing is nothing': {
    layers: [[file('.wh.a', ''), file('b/.wh.c', ''), file('b/.wh..wh..opq', '')]],
    result: [],
  },
  'an opaque whiteout empties a directory': {
    layers: [
      [file('d/x', '1'), file('d/e/y', '2'), file('z', '3')],
      [directory('d'), file('d/new', '4'), file('d/.wh..wh..opq', ''), file('d/e/newer', '5')],
    ],
    result: ['d/', 'd/e/', 'd/e/newer=5', 'd/new=4', 'z=3'],
  },
  'an opaque root': {
    layers: [
      [file('a', '1'), file('b/c', '2')],
      [file('.wh..wh..opq', ''), file('d', '3')],
    ],
    result: ['d=3'],
  },
  'notes of aufs are passed over': {
    layers: [[file('.wh..wh.plnk', ''), file('.wh..wh.aufs', ''), file('a', '1')]],
    result: ['a=1'],
  },
  'names are confined': {
    layers: [
      [
        file('/abs', '1'),
        file('./here', '2'),
        file('../../out', '3'),
        file('a/../b', '4'),
        directory('.'),
        directory('/'),
      ],
    ],
    result: ['abs=1', 'b=4', 'here=2', 'out=3'],
  },
  'hard links are files with the content of their target': {
    layers: [
      [file('a', 'same'), hardLink('b', 'a'), hardLink('c', './b')],
      [file('a', 'other'), hardLink('d', '/b')],
    ],
    result: ['a=other', 'b=same', 'c=same', 'd=same'],
  },
  'links, devices and fifos are kept as they are': {
    layers: [[symlink('l', '../../etc'), { name: 'f', typeflag: '6' }, { name: 'c', typeflag: '3' }]],
    result: ['c!character-device', 'f!fifo', 'l->../../etc'],
  },
  'symbolic links on the way are followed inside of the root': {
    layers: [
      [
        directory('usr/lib'),
        symlink('lib', 'usr/lib'),
        symlink('up', '../../..'),
        symlink('usr/abs', '/usr/lib'),
      ],
      [
        file('lib/x', '1'),
        file('up/y', '2'),
        file('usr/abs/z', '3'),
        hardLink('w', 'lib/x'),
        file('lib/.wh.none', ''),
      ],
      [file('lib/.wh.z', '')],
    ],
    result: [
      'lib->usr/lib',
      'up->../../..',
      'usr/',
      'usr/abs->/usr/lib',
      'usr/lib/',
      'usr/lib/x=1',
      'w=1',
      'y=2',
    ],
  },
  'a filter takes files and the directories above them': {
    layers: [[file('a/b/c', '1'), file('a/d', '2'), directory('e'), directory('a/b/x'), file('f', '3')]],
    filter: /^a\/b\/c$|^f$/,
    result: ['a/', 'a/b/', 'a/b/c=1', 'f=3'],
  },
  'a filter takes a link whose target it does not take': {
    layers: [
      [file('hidden', 'content'), hardLink('also-hidden', 'hidden')],
      [file('hidden', 'x'), hardLink('taken', 'also-hidden')],
    ],
    filter: /^taken$/,
    result: ['taken=content'],
  },
};

describe('layers become one tree', () => {
  for (const [name, { layers, result, filter }] of Object.entries(cases)) {
    test(name, async () => {
      const made = await pushImage(layers.map(tar));
      const options = filter === undefined ? {} : { filter: (path: string) => filter.test(path) };
      assert.deepEqual(await listing(await flatten(made, options)), result);
    });
  }
});

test('modes, extended attributes, content keys and natures are kept', async () => {
  const label = Buffer.from('system_u:object_r:x\0', 'latin1');
  const packed = gzipSync('abc');
  const blob = tarArchive(
    [
      { path: 'd', type: 'directory', mode: 0o1777 },
      {
        path: 'd/a',
        type: 'file',
        mode: 0o4755,
        content: textBlob('abc'),
        xattrs: new Map([['security.selinux', label]]),
      },
      { path: 'd/b', type: 'file', mode: 0o600, content: bytesBlob(packed) },
    ],
    { mtime: 1 },
  );
  const entries = await flatten(await pushImage([await readAll(blob)]));
  assert.deepEqual(
    entries.map(({ path, mode }) => [path, mode]),
    [
      ['d', 0o1777],
      ['d/a', 0o4755],
      ['d/b', 0o600],
    ],
  );
  const [, a, b] = entries;
  assert.ok(a?.type === 'file' && b?.type === 'file');
  assert.deepEqual(Buffer.from(a.xattrs!.get('security.selinux')!), label);
  const leafOf = (entry: typeof a) => {
    const [extent] = entry.content.extents();
    assert.ok(extent?.kind === 'data');
    return extent.source;
  };
  assert.equal(leafOf(a).key, digestOf(Buffer.from('abc')));
  assert.equal(leafOf(a).nature, 'plain');
  assert.equal(leafOf(b).key, digestOf(packed));
  assert.equal(leafOf(b).nature, 'packed');
});

test('every compression gives the same tree, large files too, equal contents are kept once', async () => {
  const big = randomBytes(1_000_000).toString('hex');
  const layers = [tar([file('big', big), file('again', big), file('small', 's')])];
  for (const compression of Object.keys(compress)) {
    const { repository, image } = await pushImage(layers, { compression });
    const target = await mkdtemp(join(root, 'tree-'));
    assert.deepEqual(await flattenInto(repository, image, target), { entries: 3, bytes: big.length + 1 });
    const tree = await openImageTree(target);
    for (const name of ['big', 'again']) {
      const entry = tree.get(name);
      assert.ok(entry?.type === 'file');
      assert.equal(Buffer.from(await readAll(entry.content, 1 << 23)).toString(), big);
    }
    assert.equal(tree.get('absent'), undefined);
  }
});

/** What a sequence of layers means, said in the simplest way: sets of paths, deletions before additions. */
function model(layers: readonly (readonly Member[])[]): readonly string[] {
  let files = new Map<string, string>();
  for (const layer of layers) {
    for (const { name } of layer) {
      const [directory, last] = name.includes('/')
        ? [name.slice(0, name.lastIndexOf('/') + 1), name.slice(name.lastIndexOf('/') + 1)]
        : ['', name];
      if (!last.startsWith('.wh.')) continue;
      const gone = last === '.wh..wh..opq' ? directory : directory + last.slice(4);
      files = new Map(
        [...files].filter(
          ([path]) =>
            !(last === '.wh..wh..opq' ? path.startsWith(gone) : path === gone || path.startsWith(`${gone}/`)),
        ),
      );
    }
    for (const { name, content } of layer) {
      if (!name.includes('.wh.')) files.set(name, content ?? '');
    }
  }
  return [...files].map(([path, content]) => `${path}=${content}`).sort();
}

test('random layers give what their meaning gives', async () => {
  // Directories d0, d1 and files f0, f1: names never change their type.
  const place = fc.array(fc.constantFrom('d0/', 'd1/'), { maxLength: 3 }).map((parts) => parts.join(''));
  const member = fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(place, fc.constantFrom('f0', 'f1'), fc.string({ maxLength: 3 }))
        .map(([p, n, content]) => file(p + n, content)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(place, fc.constantFrom('.wh.f0', '.wh.d0', '.wh.d1', '.wh..wh..opq'))
        .map(([p, n]) => file(p + n, '')),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(member, { maxLength: 8 }), { maxLength: 4 }), async (layers) => {
      const entries = await flatten(await pushImage(layers.map(tar), { compression: 'tar' }));
      const files = (await listing(entries)).filter((text) => !text.endsWith('/') || text.includes('='));
      assert.deepEqual([...files].sort(), model(layers));
    }),
    { numRuns: 60 },
  );
});

describe('what is refused', () => {
  const refusals: Readonly<
    Record<string, { make: () => Promise<Made>; options?: FlattenOptions; error: object }>
  > = {
    'a hard link to nothing': {
      make: () => pushImage([tar([hardLink('a', 'gone/b')])]),
      error: {
        code: 'OCI_LAYER_INVALID',
        kind: 'upstream',
        message: /layer sha256:.*"a" is a hard link to "gone\/b"/,
      },
    },
    'a hard link to a directory': {
      make: () => pushImage([tar([directory('d'), hardLink('a', 'd')])]),
      error: { code: 'OCI_LAYER_INVALID', message: /"a".*is a directory/ },
    },
    'a member below a file': {
      make: () => pushImage([tar([file('a', ''), file('a/b', '')])]),
      error: { code: 'OCI_LAYER_INVALID', message: /"a\/b".*a is a file/ },
    },
    'links in a circle': {
      make: () => pushImage([tar([symlink('a', 'b'), symlink('b', 'a'), file('a/x', '')])]),
      error: { code: 'OCI_LAYER_INVALID', message: /"a\/x".*circle/ },
    },
    'a whiteout of nothing in particular': {
      make: () => pushImage([tar([file('d/.wh.', '')])]),
      error: { code: 'OCI_LAYER_INVALID', message: /d\/\.wh\./ },
    },
    'an archive that is cut off': {
      make: () => pushImage([tar([file('a', 'x'.repeat(2000))]).subarray(0, 1500)]),
      error: { code: 'TAR_INVALID', kind: 'upstream', message: /layer sha256:/ },
    },
    'a decompression bomb': {
      make: () => pushImage([tar([file('zeros', '\0'.repeat(5_000_000))])]),
      options: { limits: { bytes: 4_000_000 } },
      error: { code: 'OCI_LAYER_LIMIT', message: /more bytes \(4000000\)/ },
    },
    'too many members': {
      make: () => pushImage([tar(Array.from({ length: 12 }, (_, n) => file(`f${n}`, '')))]),
      options: { limits: { entries: 11 } },
      error: { code: 'OCI_LAYER_LIMIT', message: /members \(11\)/ },
    },
    'too long names': {
      make: () => pushImage([tar(Array.from({ length: 20 }, (_, n) => file(`${n}${'x'.repeat(90)}`, '')))]),
      options: { limits: { metadata: 1000 } },
      error: { code: 'OCI_LAYER_LIMIT', message: /names and attributes/ },
    },
    'a layer whose uncompressed bytes are others': {
      make: () => pushImage([tar([file('a', '')])], { diffIds: [digestOf(Buffer.from('x'))] }),
      error: { code: 'OCI_DIGEST_MISMATCH', message: /uncompressed/ },
    },
    'a config with too few diff_ids': {
      make: () => pushImage([tar([file('a', '')])], { diffIds: [] }),
      error: { code: 'OCI_MANIFEST_INVALID' },
    },
    'a layer that is no file system': {
      make: async () => {
        const { repository, image } = await pushImage([tar([])]);
        const layers = image.layers.map((layer) => ({ ...layer, mediaType: 'application/json' }));
        return { repository, image: { ...image, layers } };
      },
      error: { code: 'OCI_LAYER_INVALID', message: /application\/json/ },
    },
    'a layer that is not there': {
      make: async () => {
        const { repository, image } = await pushImage([tar([])]);
        const digest = `sha256:${'0'.repeat(64)}` as Digest;
        return {
          repository,
          image: { ...image, layers: image.layers.map((layer) => ({ ...layer, digest })) },
        };
      },
      error: { code: 'OCI_IMAGE_UNKNOWN', message: /absent/ },
    },
    'bytes after the compressed data': {
      make: async () => {
        const layer = tar([file('a', '')]);
        const bytes = Buffer.concat([gzipSync(layer), Buffer.alloc(100_000, 'garbage')]);
        const { repository, image } = await pushImage([layer]);
        const digest = digestOf(bytes);
        await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
        return {
          repository,
          image: {
            ...image,
            layers: image.layers.map((known) => ({ ...known, digest, size: bytes.length })),
          },
        };
      },
      error: { code: 'DECOMPRESSION_FAILED', message: /layer sha256:/ },
    },
    'compressed data that is damaged': {
      make: async () => {
        const { repository, image } = await pushImage([tar([file('a', '')])]);
        const bytes = gzipSync(tar([file('a', 'b')]));
        bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 1;
        const digest = digestOf(bytes);
        await repository.pushBlob({ digest, size: bytes.length }, bytesBlob(bytes));
        return {
          repository,
          image: {
            ...image,
            layers: image.layers.map((known) => ({ ...known, digest, size: bytes.length })),
          },
        };
      },
      error: { code: 'DECOMPRESSION_FAILED', kind: 'upstream', message: /layer sha256:.*cannot decompress/ },
    },
  };
  for (const [name, { make, options, error }] of Object.entries(refusals)) {
    test(name, async () => {
      await assert.rejects(flatten(await make(), options), error);
    });
  }
});

describe('over the network', () => {
  let registry: TestRegistry;
  before(async () => {
    registry = await startRegistry();
  });
  after(() => registry.close());

  test('a connection that breaks is resumed, a changed byte is an error, an abort ends it', async () => {
    await using client = openRegistryClient({
      credentials: { env: {} },
      retry: { sleep: async () => {} },
    });
    const { image } = await pushImage([tar([file('a', randomBytes(300_000).toString('hex'))])], {
      repository: registry.storage('x/y'),
    });
    const repository = client.repository(registry.name('x/y'));
    registry.fault({ path: image.layers[0]!.digest, fault: { kind: 'truncate', after: 100_000 } });
    assert.equal((await flatten({ repository, image })).length, 1);
    registry.fault({ path: image.layers[0]!.digest, fault: { kind: 'corrupt', at: 100_000 } });
    await assert.rejects(flatten({ repository, image }), (error: { code: string }) =>
      ['DECOMPRESSION_FAILED', 'OCI_DIGEST_MISMATCH', 'TAR_INVALID'].includes(error.code),
    );
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(flatten({ repository, image }, { signal }), /enough/);
  });
});
