import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { Blob, LeafBlob } from '../blob/blob.ts';
import { bytesBlob, textBlob } from '../blob/bytes.ts';
import { readAll, sha256 } from '../blob/consume.ts';
import { openFileBlob } from '../blob/file.ts';
import { WorkerPool } from '../builds/workers.ts';
import { CPIO_HEADER_SIZE, cpioArchive } from '../formats/cpio.ts';
import { readCpio } from '../formats/cpio-reader.ts';
import { openSquashfs } from '../formats/squashfs/reader.ts';
import type { TreeEntry } from '../formats/tree.ts';
import type { FlatNode, NodeFacts } from '../oci/flat-tree.ts';
import { parseDigest } from '../oci/names.ts';
import { CONTENT_FILE, formatTreeIndex, INDEX_FILE, openImageTree } from '../oci/tree-index.ts';
import { runProgram } from '../process/run.ts';
import { type OpenLocalStore, openLocalStore } from '../store/local-store.ts';
import { parseTalosVersion } from '../talos/version.ts';
import { withParents } from './extension-content.ts';
import { ExtensionPieces } from './extension-piece.ts';
import { InitramfsBuilder } from './initramfs-builder.ts';
import { ModulesDep } from './modules-dep.ts';
import type { ExtensionSource, InitramfsRecipe, OfficialExtension } from './recipe.ts';
import type { BootFiles, Sources } from './sources.ts';
import { squashfsDecompressor } from './squashfs-compression.ts';
import { squashfsBlob } from './squashfs-file.ts';
import type { ImagerTasks } from './tasks/registry.ts';

let directory: string;
let store: OpenLocalStore;
let workers: WorkerPool<ImagerTasks>;
let images = 0;
let fetched = 0;
const trees = new Map<string, string>();

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'initramfs-'));
  store = await openLocalStore({ directory: join(directory, 'store'), maxBytes: 1 << 30 });
  workers = new WorkerPool({ registry: new URL('./tasks/registry.ts', import.meta.url), size: 2 });
});
after(async () => {
  await workers.close();
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const sources: Sources = {
  bootFiles: () => Promise.reject(new Error('not asked for here')),
  extensionImage: async (extension) => {
    fetched++;
    return openImageTree(trees.get(extension.digest) ?? 'unknown');
  },
};

function builder(): InitramfsBuilder {
  return new InitramfsBuilder(
    new ExtensionPieces(store, sources, workers, 'test'),
    new ModulesDep(store, workers, 'test'),
  );
}

/** The tree of an image as the local store has it, with these files; returns what a catalog says of it. */
async function extension(
  name: string,
  files: Readonly<Record<string, string>>,
  constraint = '>= v1.0.0',
): Promise<OfficialExtension> {
  const digest = parseDigest(`sha256:${createHash('sha256').update(`${images++}`).digest('hex')}`);
  const path = join(directory, `image-${images}`);
  await mkdir(path);
  const manifest = `version: v1alpha1\nmetadata:\n  name: ${name}\n  version: v1\n  author: test\n  description: test\n  compatibility:\n    talos:\n      version: "${constraint}"\n`;
  const all = Object.entries({ 'manifest.yaml': manifest, ...files });
  const nodes: FlatNode[] = [
    { path: 'rootfs', facts: { type: 'directory', mode: 0o755, xattrs: new Map() } },
  ];
  let content = Buffer.alloc(0);
  for (const [file, text] of all) {
    const bytes = Buffer.from(text);
    const facts: NodeFacts = {
      type: 'file',
      mode: 0o644,
      xattrs: new Map(),
      origin: file,
      content: {
        offset: content.length,
        size: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex'),
        isPacked: false,
      },
    };
    nodes.push({ path: file, facts });
    content = Buffer.concat([content, bytes]);
  }
  for (const entry of withParents(
    nodes.map(({ path }) => ({ type: 'symlink', path, mode: 0, target: '' })),
  )) {
    if (entry.type === 'directory' && !nodes.some(({ path }) => path === entry.path)) {
      nodes.push({ path: entry.path, facts: { type: 'directory', mode: 0o755, xattrs: new Map() } });
    }
  }
  nodes.sort((a, b) => (a.path < b.path ? -1 : 1));
  await writeFile(join(path, CONTENT_FILE), content);
  await writeFile(join(path, INDEX_FILE), formatTreeIndex(digest, nodes));
  trees.set(digest, path);
  return { type: 'official', name, repository: 'registry.example/x', digest };
}

const KERNEL = '6.1.0-talos';

/** A release's initramfs whose root file system has one kernel's modules. */
async function bootFiles(codec: 'zstd' | 'xz', library: string): Promise<BootFiles> {
  const rootfs: TreeEntry[] = [
    { type: 'file', path: `${library}/modules/${KERNEL}/modules.order`, mode: 0o644, content: textBlob('') },
    {
      type: 'file',
      path: `${library}/modules/${KERNEL}/modules.builtin`,
      mode: 0o644,
      content: textBlob(''),
    },
    { type: 'file', path: 'etc/os-release', mode: 0o644, content: textBlob('NAME=Talos\n') },
  ];
  rootfs.sort((a, b) => (a.path < b.path ? -1 : 1));
  const root: TreeEntry = { type: 'directory', path: '', mode: 0o755 };
  const squashfs = await squashfsBlob([root, ...withParents(rootfs)], codec);
  const archive = cpioArchive(
    [
      { type: 'file', path: 'init', mode: 0o755, content: textBlob('#!/bin/sh\n') },
      { type: 'file', path: 'rootfs.sqsh', mode: 0o644, content: squashfs },
    ],
    { mtime: 0 },
  );
  const plain = await readAll(archive);
  const packed =
    codec === 'zstd'
      ? zstdCompressSync(plain)
      : (await runProgram({ program: 'xz', args: ['--check=crc32', '-0', '-c'], stdin: plain })).stdout;
  const path = join(directory, `initramfs-${codec}`);
  await rm(path, { force: true });
  await writeFile(path, packed);
  const key = `sha256:${createHash('sha256').update(packed).digest('hex')}`;
  const initramfs: LeafBlob = await openFileBlob(path, { nature: 'packed', key });
  return {
    manifestDigest: parseDigest(`sha256:${'0'.repeat(64)}`),
    kernel: await openFileBlob(path),
    initramfs,
    [Symbol.dispose]: () => {},
  };
}

interface Case {
  readonly version: string;
  readonly codec: 'zstd' | 'xz';
  readonly library: string;
}

const CASES: readonly Case[] = [
  { version: 'v1.6.0', codec: 'xz', library: 'lib' },
  { version: 'v1.9.0', codec: 'zstd', library: 'lib' },
  { version: 'v1.13.0', codec: 'zstd', library: 'usr/lib' },
];

async function build(given: Case, boot: BootFiles, extensions: readonly ExtensionSource[]) {
  const recipe: InitramfsRecipe = {
    kind: 'initramfs',
    version: parseTalosVersion(given.version),
    arch: 'amd64',
    boot: boot.manifestDigest,
    extensions,
  };
  return builder().build(recipe, boot, (work) => work());
}

interface Member {
  readonly name: string;
  readonly text: string;
}

interface Unpacked {
  readonly early: readonly Member[];
  readonly firmware: readonly Member[];
  readonly layers: readonly Member[];
}

/** What is before and after the release's own bytes, compressed parts unpacked by the usual programs. */
async function unpack(blob: Blob, base: Blob, codec: 'zstd' | 'xz'): Promise<Unpacked> {
  const bytes = Buffer.from(await readAll(blob, 1 << 28));
  const own = Buffer.from(await readAll(base, 1 << 28));
  const start = bytes.indexOf(own);
  assert.ok(start >= 0, 'the own archive of the release is unchanged');
  const layers = bytes.indexOf('0.sqsh\0') - CPIO_HEADER_SIZE;
  assert.equal(layers % 4, 0, 'uncompressed archives start 4-byte aligned');
  const packed = bytes.subarray(start + own.length, layers);
  return {
    early: await members(bytes.subarray(0, start)),
    firmware: await members(packed.length < 4 ? packed : await unpacked(packed, codec)),
    layers: await members(bytes.subarray(layers)),
  };
}

/** Up to three zero bytes at the end are padding, but may also belong to the stream. */
async function unpacked(packed: Buffer, codec: 'zstd' | 'xz'): Promise<Uint8Array> {
  let refusal: unknown;
  for (let padding = 0; padding < 4; padding++) {
    const stdin = packed.subarray(0, packed.length - padding);
    try {
      return (await runProgram({ program: codec, args: ['-dc'], stdin, maxOutput: 1 << 28 })).stdout;
    } catch (error) {
      refusal = error;
    }
    if (packed.at(-1 - padding) !== 0) break;
  }
  throw refusal;
}

async function members(archive: Uint8Array): Promise<readonly Member[]> {
  const found: Member[] = [];
  for await (const member of readCpio(bytesBlob(archive).read(0, archive.length))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of member.content) chunks.push(chunk);
    found.push({ name: member.name, text: Buffer.concat(chunks).toString('latin1') });
  }
  return found;
}

const schematic: ExtensionSource = {
  type: 'schematic',
  id: 'f'.repeat(64),
  author: 'test',
  extraInfo: 'x: 1\n',
};

for (const given of CASES) {
  test(`${given.version}: microcode, base, firmware and layers, each where the kernel wants it`, async () => {
    const firmware = `rootfs/${given.library}/firmware`;
    const boot = await bootFiles(given.codec, given.library);
    const extensions = [
      await extension('ucode', {
        [`${firmware}/amd-ucode/microcode_amd.bin`]: 'AMD1',
        [`${firmware}/intel-ucode/06-01`]: 'INTEL1',
      }),
      await extension('ucode-too', { [`${firmware}/intel-ucode/06-02`]: 'INTEL2' }),
      await extension('gpu', { [`${firmware}/gpu/a.bin`]: 'first', [`${firmware}/gpu/b.bin`]: 'b' }),
      await extension('gpu-newer', { [`${firmware}/gpu/a.bin`]: 'second' }),
      ...(await Promise.all(
        Array.from({ length: 8 }, (_, i) => extension(`plain${i}`, { [`rootfs/usr/local/${i}`]: `${i}` })),
      )),
      schematic,
    ];
    using built = await build(given, boot, extensions);
    const {
      early,
      firmware: unpackedFirmware,
      layers,
    } = await unpack(built.blob, boot.initramfs, given.codec);
    assert.deepEqual(
      early.filter(({ text }) => text !== ''),
      [
        { name: 'kernel/x86/microcode/AuthenticAMD.bin', text: 'AMD1' },
        { name: 'kernel/x86/microcode/GenuineIntel.bin', text: 'INTEL1INTEL2' },
      ],
    );
    const files = new Map(unpackedFirmware.map(({ name, text }) => [name, text]));
    assert.equal(files.get(`${given.library}/firmware/gpu/a.bin`), 'second', 'the later extension wins');
    assert.equal(files.get(`${given.library}/firmware/gpu/b.bin`), 'b');

    const order = ['0', '1', '10', '11', '12', '2', '3', '4', '5', '6', '7', '8', '9'];
    assert.deepEqual(
      layers.map(({ name }) => name),
      [...order.map((index) => `${index}.sqsh`), 'extensions.yaml'],
    );
    const yaml = layers.at(-1)?.text ?? '';
    assert.deepEqual(
      [...yaml.matchAll(/image: (.*)/g)].map((match) => match[1]),
      order.map((index) => `${index}.sqsh`),
    );
    assert.deepEqual(
      [...yaml.matchAll(/^ +name: (.*)/gm)].map((match) => match[1]),
      order.map((index) => {
        const source = extensions[Number(index)];
        return source?.type === 'official' ? source.name : 'schematic';
      }),
    );
    const layer = layers.find(({ name }) => name === '10.sqsh');
    const squashfs = await openSquashfs(
      await bytesInFile(Buffer.from(layer?.text ?? '', 'latin1')),
      squashfsDecompressor(),
    );
    assert.equal(squashfs.superblock.compression, given.codec);
    const paths: string[] = [];
    for await (const entry of squashfs.entries()) paths.push(entry.path);
    assert.ok(paths.includes('usr/local/6'), String(paths));
  });
}

async function bytesInFile(bytes: Uint8Array): Promise<LeafBlob> {
  const path = join(directory, `part-${images++}`);
  await writeFile(path, bytes);
  return openFileBlob(path);
}

test('pieces are made once and shared by all schematics; the same recipe gives the same bytes', async () => {
  const given = CASES[2] as Case;
  const boot = await bootFiles(given.codec, given.library);
  const shared = await extension('shared', { 'rootfs/usr/local/a': 'a' });
  fetched = 0;
  using one = await build(given, boot, [shared, schematic]);
  using other = await build(given, boot, [shared, { ...schematic, id: 'e'.repeat(64) }]);
  using again = await build(given, boot, [shared, schematic]);
  assert.equal(fetched, 1);
  assert.equal(await sha256(again.blob), await sha256(one.blob));
  assert.notEqual(await sha256(other.blob), await sha256(one.blob));
});

for (const given of CASES) {
  test(`${given.version}: modules.dep is made from the modules of the release and of extensions`, async () => {
    const boot = await bootFiles(given.codec, given.library);
    const modules = `rootfs/${given.library}/modules/${KERNEL}`;
    const drbd = await extension('drbd', { [`${modules}/extras/drbd.ko`]: 'not an object file' });
    using built = await build(given, boot, [drbd, schematic]);
    const { layers: last } = await unpack(built.blob, boot.initramfs, given.codec);
    assert.deepEqual(
      last.map(({ name }) => name),
      ['0.sqsh', '1.sqsh', 'extensions.yaml', 'modules.dep.sqsh'],
    );
    const yaml = last.find(({ name }) => name === 'extensions.yaml')?.text ?? '';
    assert.match(yaml, /image: modules.dep.sqsh\n +metadata:\n +name: modules.dep\n +version: 6.1.0-talos\n/);
    const sqsh = await bytesInFile(Buffer.from(last.at(-1)?.text ?? '', 'latin1'));
    const squashfs = await openSquashfs(sqsh, squashfsDecompressor());
    const texts = new Map<string, string>();
    for await (const entry of squashfs.entries()) {
      if (entry.type === 'file')
        texts.set(entry.path, Buffer.from(await readAll(entry.content)).toString('latin1'));
    }
    const root = `${given.library}/modules/${KERNEL}`;
    assert.equal(texts.get(`${root}/modules.dep`), 'extras/drbd.ko:\n');
    assert.ok(texts.has(`${root}/modules.builtin`));
    assert.ok(
      [...texts.keys()].every((path) => path.startsWith(`${root}/modules.`)),
      [...texts.keys()].join(),
    );
  });
}

test('what cannot be put together says which extension and why', async () => {
  const given = CASES[2] as Case;
  const boot = await bootFiles(given.codec, given.library);
  const incompatible = await extension('old', { 'rootfs/usr/local/a': 'a' }, '< 1.5.0');
  const otherKernel = await extension('zfs', { 'rootfs/usr/lib/modules/5.15.0-talos/extras/zfs.ko': 'x' });
  const noExtension = await extension('bad', { 'etc/passwd': 'x' });
  const refused = [
    [
      incompatible,
      'error validating extension "old": version constraint < 1.5.0 can\'t be satisfied with Talos version 1.13.0',
    ],
    [otherKernel, 'extension "zfs" has no kernel modules for kernel 6.1.0-talos (it has: 5.15.0-talos)'],
    [noExtension, 'extension siderolabs/bad: unexpected file "etc"'],
  ] as const;
  for (const [source, message] of refused) {
    const named = { ...source, name: `siderolabs/${source.name}` };
    await assert.rejects(build(given, boot, [named, schematic]), { kind: 'invalid', message });
  }
});

test('machine configuration is in a layer of its own, for root alone, with its label', async () => {
  const given = CASES[2] as Case;
  const boot = await bootFiles(given.codec, given.library);
  using built = await build(given, boot, [schematic, { type: 'embedded-config', config: 'test' }]);
  const { layers: last } = await unpack(built.blob, boot.initramfs, given.codec);
  const yaml = last.find(({ name }) => name === 'extensions.yaml')?.text ?? '';
  assert.match(yaml, /version: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/);
  const sqsh = await bytesInFile(
    Buffer.from(last.find(({ name }) => name === '1.sqsh')?.text ?? '', 'latin1'),
  );
  const listing = Buffer.from(
    (await runProgram({ program: 'unsquashfs', args: ['-lln', sqsh.file?.path ?? ''] })).stdout,
  );
  assert.match(
    listing.toString(),
    /^-r-------- 0\/0 +4 .* squashfs-root\/usr\/local\/etc\/talos\/config.yaml$/m,
  );
  const squashfs = await openSquashfs(sqsh, squashfsDecompressor());
  for await (const entry of squashfs.entries()) {
    if (entry.path !== 'usr/local/etc/talos/config.yaml') continue;
    const label = entry.xattrs?.get('security.selinux');
    assert.equal(Buffer.from(label ?? []).toString(), 'system_u:object_r:system_state_t:s0');
    return;
  }
  assert.fail('the configuration is not there');
});
