import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { ImageTree } from '../../artifacts/image-tree.ts';
import { startUpstream, type Upstream } from '../../artifacts/releases.testing.ts';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob } from '../../blob/bytes.ts';
import { readAll, writeBlob } from '../../blob/consume.ts';
import { readPe, sectionContent } from '../../formats/pe.ts';
import { digestOf } from '../../oci/digest.ts';
import { runProgram } from '../../process/run.ts';
import type { Arch } from '../../talos/arch.ts';
import { parseTalosVersion } from '../../talos/version.ts';
import { memoryTree } from '../overlay/memory-tree.testing.ts';
import type { OverlaySource } from '../recipe.ts';
import { baseConfig, baseImage, bootImage, layerTools, plainInitramfs, slot } from './installer.testing.ts';
import { InstallerBuilder } from './installer-builder.ts';
import type { InstallerRecipe } from './recipe.ts';

const UNIFIED = 'v1.13.0';
const OLD = 'v1.9.5';

const bytesOf = async (blob: Blob): Promise<Buffer> => Buffer.from(await readAll(blob, 8 << 20));

async function released(t: TestContext): Promise<Upstream> {
  const upstream = await startUpstream(t);
  for (const tag of [UNIFIED, OLD]) await upstream.publish('imager', tag, bootImage());
  await upstream.publish('installer-base', UNIFIED, baseImage(1));
  await upstream.publish('installer', OLD, baseImage(2));
  return upstream;
}

async function prepared(upstream: Upstream, tag: string, arch: Arch, overlay?: OverlaySource) {
  const releases = await upstream.releases();
  const version = parseTalosVersion(tag);
  const base = await releases.installerBase(version, arch);
  const recipe: InstallerRecipe = {
    kind: 'installer',
    version,
    arch,
    boot: await releases.bootDigest(version),
    base: base.digest,
    extensions: [{ type: 'embedded-config', config: 'x: 1' }],
    ...(tag === UNIFIED ? { commandLine: `talos.platform=metal arch=${arch}` } : {}),
    ...(overlay === undefined ? {} : { overlay }),
  };
  const sources = {
    bootFiles: releases.bootFiles.bind(releases),
    extensionImage: () => assert.fail('no extensions are asked for'),
    installerBase: releases.installerBase.bind(releases),
    installerLayer: releases.installerLayer.bind(releases),
    overlayImage: async (): Promise<ImageTree> => OVERLAY_TREE,
  };
  return { recipe, base, sources, builder: new InstallerBuilder(sources, plainInitramfs, layerTools()) };
}

const OVERLAY_TREE = memoryTree({
  'artifacts/arm64/boot.bin': 'firmware',
  'artifacts/arm64/link.bin': { link: 'boot.bin' },
  'artifacts/nowhere': { link: '/absent' },
  'installers/board': 'program',
  'profiles/board.yaml': 'x',
});
const OVERLAY: OverlaySource = {
  name: 'board',
  repository: 'registry.example/sbc',
  digest: OVERLAY_TREE.digest,
  options: new Map([['a', 'b']]),
};

/** Members as GNU tar sees them, and the content of each. */
async function listed(archive: Buffer) {
  const names = await runProgram({
    program: 'tar',
    args: ['--list', '--verbose', '--numeric-owner', '--utc', '--file=-'],
    stdin: bytesBlob(archive).read(0, archive.length),
  });
  const lines = names.stdout.toString().trim().split('\n');
  return lines.map((line) => line.replace(/ +\d+ 1970-01-01 00:00 /, ' '));
}

async function member(archive: Buffer, name: string): Promise<Buffer> {
  const { stdout } = await runProgram({
    program: 'tar',
    args: ['--extract', '--to-stdout', '--file=-', name],
    stdin: bytesBlob(archive).read(0, archive.length),
    maxOutput: 8 << 20,
  });
  return Buffer.from(stdout);
}

test('an installer is its base by reference and one layer with the boot files', async (t) => {
  const upstream = await released(t);
  for (const arch of ['amd64', 'arm64'] as const) {
    const { recipe, base, builder } = await prepared(upstream, UNIFIED, arch);
    using image = await builder.build(recipe, slot);
    const [first, second, ...rest] = image.layers;
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual(rest, []);
    assert.deepEqual(first.descriptor, base.layers[0]?.descriptor);
    assert.equal(first.origin, base.repository);
    assert.equal(digestOf(await bytesOf(first.content)), first.descriptor.digest);

    const gzip = await bytesOf(second.content);
    assert.equal(digestOf(gzip), second.descriptor.digest);
    assert.equal(gzip.length, second.descriptor.size);
    assert.equal(second.descriptor.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
    const archive = gunzipSync(gzip);
    assert.equal(digestOf(archive), second.diffId);
    assert.deepEqual(await listed(archive), [
      `-rw-r--r-- 0/0 usr/install/${arch}/systemd-boot.efi`,
      `-rw-r--r-- 0/0 usr/install/${arch}/vmlinuz.efi`,
    ]);
    const uki = await readPe(bytesBlob(await member(archive, `usr/install/${arch}/vmlinuz.efi`)));
    const section = async (name: string): Promise<string> => {
      const found = uki.sections.find((one) => one.name === name);
      assert.ok(found !== undefined, name);
      return (await bytesOf(sectionContent(uki, found))).toString();
    };
    assert.equal((await section('.cmdline')).replace(/\0+$/, ''), `talos.platform=metal arch=${arch}`);
    assert.match(await section('.initrd'), new RegExp(`^initramfs of ${arch} .*embedded-config`, 's'));

    assert.deepEqual(JSON.parse(Buffer.from(image.config.bytes).toString()), {
      architecture: arch,
      os: 'linux',
      created: '2019-06-01T21:34:52Z',
      config: baseConfig(arch),
      rootfs: { type: 'layers', diff_ids: [first.diffId, second.diffId] },
      history: [{ created: '2019-06-01T21:34:52Z' }, { created: '2019-06-01T21:34:52Z' }],
    });
  }
});

test('two factories make the same image', async (t) => {
  const digests = new Set<string>();
  for (let i = 0; i < 2; i++) {
    const { recipe, builder } = await prepared(await released(t), UNIFIED, 'arm64', OVERLAY);
    using image = await builder.build(recipe, slot);
    digests.add(image.manifest.descriptor.digest);
  }
  assert.equal(digests.size, 1);
});

test('of an old base of two layers the stock boot files are replaced', async (t) => {
  const { recipe, base, builder } = await prepared(await released(t), OLD, 'amd64');
  assert.equal(base.layers.length, 2);
  using image = await builder.build(recipe, slot);
  assert.equal(image.layers.length, 2);
  assert.equal(image.layers[0]?.diffId, base.layers[0]?.diffId);
  const archive = gunzipSync(await bytesOf(image.layers[1]?.content ?? assert.fail()));
  assert.deepEqual(await listed(archive), [
    '-rw-r--r-- 0/0 usr/install/amd64/initramfs.xz',
    '-rw-r--r-- 0/0 usr/install/amd64/vmlinuz',
  ]);
  assert.match((await member(archive, 'usr/install/amd64/vmlinuz')).toString(), /^kernel of amd64/);
});

test('an overlay is a layer of its own, its links are files', async (t) => {
  const { recipe, builder } = await prepared(await released(t), UNIFIED, 'arm64', OVERLAY);
  using image = await builder.build(recipe, slot);
  const archive = gunzipSync(await bytesOf(image.layers[2]?.content ?? assert.fail()));
  assert.deepEqual(await listed(archive), [
    'drwx------ 0/0 overlay/artifacts/',
    'drwx------ 0/0 overlay/artifacts/arm64/',
    '-rw------- 0/0 overlay/artifacts/arm64/boot.bin',
    '-rw------- 0/0 overlay/artifacts/arm64/link.bin',
    '-rw-r--r-- 0/0 overlay/extra-options',
    '-rwx--x--x 0/0 overlay/installers/default',
  ]);
  assert.equal((await member(archive, 'overlay/artifacts/arm64/link.bin')).toString(), 'firmware');
  assert.equal((await member(archive, 'overlay/extra-options')).toString(), 'a: b\n');
  const absent = { ...recipe, overlay: { ...OVERLAY, name: 'other' } };
  await assert.rejects(builder.build(absent, slot), { code: 'OVERLAY_INSTALLER_MISSING' });
});

test('the archive is loaded by skopeo as the same image', async (t) => {
  const upstream = await released(t);
  const { recipe, base, builder } = await prepared(upstream, UNIFIED, 'amd64');
  using image = await builder.build(recipe, slot);
  using archive = await builder.archive(recipe, slot);
  upstream.registry.clearCalls();
  const directory = await mkdtemp(join(tmpdir(), 'installer-'));
  t.after(() => rm(directory, { recursive: true }));
  await writeBlob(archive.blob, join(directory, 'installer.tar'));
  assert.deepEqual(upstream.registry.calls, [], 'the archive reads local files only');
  await writeFile(join(directory, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  const skopeo = (args: readonly string[]) =>
    runProgram({ program: 'skopeo', args: ['--policy', join(directory, 'policy.json'), ...args] });
  await skopeo(['copy', `docker-archive:${directory}/installer.tar`, `dir:${directory}/copy`]);
  const { stdout } = await skopeo([
    'inspect',
    '--config',
    '--raw',
    `docker-archive:${directory}/installer.tar`,
  ]);
  assert.equal(digestOf(stdout), image.config.descriptor.digest);
  const tagged = await skopeo([
    'inspect',
    `docker-archive:${directory}/installer.tar:siderolabs/installer-base:${UNIFIED}`,
  ]);
  assert.equal(JSON.parse(tagged.stdout.toString()).Architecture, 'amd64');
  assert.equal(base.layers.length, 1);
});

test('a release that was published again is not mixed with the old one', async (t) => {
  const { recipe, builder } = await prepared(await released(t), UNIFIED, 'amd64');
  const other = { ...recipe, base: digestOf(Buffer.from('other')) };
  await assert.rejects(builder.build(other, slot), { kind: 'unavailable', code: 'RELEASE_CHANGED' });
});

test('what was obtained is let go when something else fails', async (t) => {
  const { recipe, sources } = await prepared(await released(t), UNIFIED, 'amd64', OVERLAY);
  let held = 0;
  let all = 0;
  const counted = <T extends Disposable>(one: T): T => {
    held++;
    all++;
    return {
      ...one,
      [Symbol.dispose]: () => {
        held--;
        one[Symbol.dispose]();
      },
    };
  };
  const failing = new InstallerBuilder(
    {
      ...sources,
      bootFiles: async (...args) => counted(await sources.bootFiles(...args)),
      overlayImage: async () => counted(OVERLAY_TREE),
      installerBase: async () => Promise.reject(new Error('no base')),
    },
    { ...plainInitramfs, prepare: async () => counted({ [Symbol.dispose]: () => {} }) },
    layerTools(),
  );
  for (const build of [failing.build.bind(failing), failing.archive.bind(failing)]) {
    await assert.rejects(build(recipe, slot), { message: 'no base' });
    assert.equal(held, 0);
  }
  assert.ok(all >= 4, 'something was held');
});
