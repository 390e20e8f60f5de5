import assert from 'node:assert/strict';
import { createHash, verify } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { runProgram } from '../../process/run.ts';
import type { ReleasedRepository, SandboxRelease } from './release.ts';
import { sandboxRelease } from './release.ts';
import { sandboxVersions } from './versions.ts';

let release: SandboxRelease;
before(async () => {
  release = await sandboxRelease(join(import.meta.dirname, '../../../.cache'));
});

const object = (digest: string) => readFile(join(release.directory, 'blobs/sha256', digest.slice(7)));
const repository = (name: string): ReleasedRepository =>
  release.repositories.find((candidate) => candidate.name === name)!;
const tagged = (name: string, tag: string) =>
  repository(name).manifests.find(({ tags }) => tags.some((other) => other === tag));

interface AnyManifest {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string; readonly annotations?: Record<string, string> }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
}
const parse = async (digest: string) => JSON.parse((await object(digest)).toString()) as AnyManifest;

/** The text of a file in a small image, by a program. */
async function fileOf(name: string, tag: string, path: string): Promise<string> {
  const { layers } = await parse(tagged(name, tag)!.descriptor.digest);
  let text = '';
  for (const { digest } of layers ?? []) {
    const { stdout } = await runProgram({
      program: 'sh',
      args: ['-c', 'tar -xzOf - "$1" 2>/dev/null || true', 'sh', path],
      stdin: await object(digest),
    });
    text += Buffer.from(stdout).toString();
  }
  return text;
}

test('every object has the bytes of its digest, and every reference of a manifest is there', async () => {
  for (const { name, blobs, manifests } of release.repositories) {
    const known = new Set(
      [...blobs, ...manifests.map(({ descriptor }) => descriptor)].map(({ digest }) => digest as string),
    );
    for (const digest of known) {
      assert.equal(
        `sha256:${createHash('sha256')
          .update(await object(digest))
          .digest('hex')}`,
        digest,
      );
    }
    for (const { descriptor } of manifests) {
      const { config, layers = [], manifests: children = [], subject } = await parse(descriptor.digest);
      for (const part of [
        ...layers,
        ...children,
        ...(config ? [config] : []),
        ...(subject ? [subject] : []),
      ]) {
        assert.ok(known.has(part.digest), `${name} ${descriptor.digest} refers to ${part.digest}`);
      }
    }
  }
});

test('every version has the images of its time', async () => {
  for (const { tag, gates } of sandboxVersions) {
    assert.ok(tagged('siderolabs/imager', tag));
    assert.equal(tagged('siderolabs/installer-base', tag) !== undefined, gates.unifiedInstaller, tag);
    assert.equal(tagged('siderolabs/installer', tag) === undefined, gates.unifiedInstaller, tag);
    assert.equal(tagged('siderolabs/overlays', tag) !== undefined, gates.overlays, tag);
    assert.equal(tagged('siderolabs/talosctl-all', tag) !== undefined, gates.talosctl, tag);
    const lines = (await fileOf('siderolabs/extensions', tag, 'image-digests')).trim().split('\n');
    assert.ok(lines.length >= 7, tag);
    for (const line of lines) {
      const [, name, version, digest] = /^ghcr\.io\/([a-z0-9/-]+):([^@]+)@(sha256:[0-9a-f]{64})$/.exec(line)!;
      assert.equal(tagged(name!, version!)?.descriptor.digest, digest);
    }
    assert.equal(
      lines.some((line) => line.includes('/newt:')),
      gates.procMem,
      tag,
    );
    const descriptions = await fileOf('siderolabs/extensions', tag, 'descriptions.yaml');
    assert.equal(
      lines.every((line) => descriptions.includes(`${line}:\n`)),
      gates.uki,
      tag,
    );
  }
});

test('every image has a signature that the public key verifies', async () => {
  const key = await readFile(release.publicKeyFile);
  for (const { name, manifests } of release.repositories) {
    const signed = new Set<string>();
    for (const { descriptor, tags } of manifests) {
      const { layers = [], subject } = await parse(descriptor.digest);
      const legacy = tags.find((tag) => tag.endsWith('.sig'));
      const layer = layers[0]!;
      if (legacy !== undefined) {
        const payload = await object(layer.digest);
        const signature = layer.annotations!['dev.cosignproject.cosign/signature']!;
        assert.ok(verify('sha256', payload, key, Buffer.from(signature, 'base64')), `${name} ${legacy}`);
        signed.add(legacy.replace('-', ':').slice(0, -4));
      } else if (subject !== undefined) {
        const { dsseEnvelope } = JSON.parse((await object(layer.digest)).toString()) as {
          dsseEnvelope: { payload: string; payloadType: string; signatures: [{ sig: string }] };
        };
        const body = Buffer.from(dsseEnvelope.payload, 'base64').toString('latin1');
        const type = dsseEnvelope.payloadType;
        const encoded = Buffer.from(`DSSEv1 ${type.length} ${type} ${body.length} ${body}`, 'latin1');
        assert.ok(verify('sha256', encoded, key, Buffer.from(dsseEnvelope.signatures[0].sig, 'base64')));
        assert.ok(body.includes(subject.digest.slice(7)));
        signed.add(subject.digest);
      }
    }
    for (const { descriptor, tags } of manifests) {
      if (tags.some((tag) => !tag.endsWith('.sig')))
        assert.ok(signed.has(descriptor.digest), `${name} ${tags}`);
    }
  }
});

test('layers are archives that tar reads, with links and labels', async (t) => {
  const { manifests } = repository('siderolabs/iscsi-tools');
  const dir = await mkdtemp(join(tmpdir(), 'release-test-'));
  t.after(() => rm(dir, { recursive: true }));
  const index = await parse(manifests.find(({ tags }) => tags.length > 0)!.descriptor.digest);
  const { layers } = await parse(index.manifests![0]!.digest);
  await writeFile(join(dir, 'layer.tar'), gunzipSync(await object(layers![0]!.digest)));
  const { stdout } = await runProgram({ program: 'tar', args: ['-tvf', join(dir, 'layer.tar')] });
  assert.match(Buffer.from(stdout).toString(), /^hrw.* 0\/0 .*iscsi-iname link to .*sbin\/iscsid$/m);

  const labelled = tagged('siderolabs/gvisor', '20250505.0-v1.0.0')!;
  const child = (await parse(labelled.descriptor.digest)).manifests![0]!;
  const archive = gunzipSync(await object((await parse(child.digest)).layers![0]!.digest));
  assert.ok(archive.includes('SCHILY.xattr.security.selinux=system_u:object_r:containerd_exec_t:s0\n'));
});

const OVERLAY_INSTALLS = [
  [
    'rpi_generic',
    'configTxtAppend: "dtparam=audio=on"',
    ['config.txt', 'fixup.dat', 'start4.elf', 'u-boot.bin'],
    0,
  ],
  ['rock4cplus', 'x: y', ['dtb'], 65536],
] as const;

for (const [board, extra, written, raw] of OVERLAY_INSTALLS) {
  test(`the installer of the board ${board} runs`, async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'overlay-test-'));
    t.after(() => rm(dir, { recursive: true }));
    const name = board === 'rpi_generic' ? 'siderolabs/sbc-raspberrypi' : 'siderolabs/sbc-rockchip';
    const { manifests } = await parse(tagged(name, 'v0.1.0')!.descriptor.digest);
    const { layers } = await parse(manifests![0]!.digest);
    await runProgram({
      program: 'tar',
      args: ['-xzf', '-', '-C', dir],
      stdin: await object(layers![0]!.digest),
    });
    const call = (command: string, input: string) =>
      runProgram({ program: join(dir, 'installers', board), args: [command], stdin: Buffer.from(input) });
    const options = Buffer.from((await call('get-options', 'board: x1\n')).stdout).toString();
    assert.match(options, new RegExp(`^name: ${board}\nkernelArgs:\n {2}- console=tty0\n`));
    assert.equal(options.includes('  - sandbox.board=x1\n'), board === 'rpi_generic');
    assert.equal(options.includes('  offset: 20480\n'), board === 'rock4cplus');
    await writeFile(join(dir, 'disk'), Buffer.alloc(1 << 20));
    await call(
      'install',
      `installDisk: ${dir}/disk\nmountPrefix: ${dir}/mnt\nartifactsPath: ${dir}/artifacts\nextraOptions:\n    ${extra}\n`,
    );
    assert.deepEqual((await readdir(join(dir, 'mnt/boot/EFI'))).sort(), [...written]);
    const disk = await readFile(join(dir, 'disk'));
    assert.equal(disk.length, 1 << 20);
    assert.ok(disk.subarray(0, 32768).every((byte) => byte === 0));
    assert.equal(
      disk
        .subarray(32768, 32768 + raw)
        .toString()
        .startsWith('u-boot for rock'),
      raw > 0,
    );
    if (board === 'rpi_generic') {
      assert.match(
        await readFile(join(dir, 'mnt/boot/EFI/config.txt'), 'utf8'),
        /u-boot\.bin\ndtparam=audio=on\n$/,
      );
    }
    await assert.rejects(call('remove', '{}\n'), { code: 'PROGRAM_FAILED' });
  });
}
