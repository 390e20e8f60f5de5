import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { type Answer, createSchematic, download, send, sha256 } from './client.ts';
import { type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// What HTTP promises of assets holds for every kind of asset, of a release with xz and of one with zstd.

const SCHEMATIC = {
  customization: {
    extraKernelArgs: ['e2e.test=1'],
    meta: [{ key: 10, value: 'network: x' }],
    systemExtensions: {
      officialExtensions: [
        'siderolabs/gvisor',
        'siderolabs/intel-ucode',
        'siderolabs/i915',
        'siderolabs/drbd',
      ],
    },
  },
};
const VERSIONS = ['v1.7.6', 'v1.13.0'] as const;
const KINDS: readonly ((arch: string) => string)[] = [
  (arch) => `kernel-${arch}`,
  (arch) => `initramfs-${arch}.xz`,
  (arch) => `cmdline-metal-${arch}`,
  (arch) => `metal-${arch}-uki.efi`,
  (arch) => `metal-${arch}.iso`,
];

/** Old ISOs for arm64 boot with GRUB, which not every machine that builds images has for that architecture. */
const WITHOUT_GRUB = existsSync('/usr/lib/grub/arm64-efi') ? [] : ['v1.7.6/metal-arm64.iso'];

let sandbox: SandboxRegistry;
let factory: LocalFactory;
let id: string;
before(async () => {
  sandbox = await startSandbox();
  factory = await startLocalFactory({ sandbox });
  id = await createSchematic(factory.url, SCHEMATIC);
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
});

/** Headers that are about the asset and not about the one answer. */
function lasting({ headers }: Answer): object {
  const { date: _, 'x-request-id': __, connection: ___, 'keep-alive': ____, ...rest } = headers;
  return rest;
}

for (const version of VERSIONS) {
  for (const arch of ['amd64', 'arm64']) {
    describe(`${version} ${arch}`, () => {
      for (const kind of KINDS) {
        const file = kind(arch);
        if (WITHOUT_GRUB.includes(`${version}/${file}`)) continue;
        test(file, async () => {
          const path = `/image/${id}/${version}/${file}`;
          const head = await send(factory.url, path, { method: 'HEAD' });
          assert.equal(head.status, 200, head.text);
          assert.equal(head.body.length, 0);
          const whole = await download(factory.url, path);
          assert.deepEqual(lasting(head), lasting(whole));
          const size = whole.body.length;
          assert.equal(whole.headers['content-length'], String(size));
          assert.equal(whole.headers['accept-ranges'], 'bytes');
          assert.equal(whole.headers['content-disposition'], `attachment; filename="${file}"`);
          assert.equal(whole.headers['cache-control'], 'public, max-age=31536000, immutable');
          const etag = whole.headers.etag!;
          assert.match(etag, /^"[^"]+"$/);

          await ranges(path, whole.body, etag);
          await conditions(path, etag);
          await digests(path, file, whole.body);
        });
      }
    });
  }
}

for (const path of WITHOUT_GRUB) {
  test(`${path} without GRUB for arm64: what is missing is named`, async () => {
    const answer = await send(factory.url, `/image/${id}/${path}`);
    assert.equal(answer.status, 501, answer.text);
    assert.match(answer.text, /no GRUB modules for arm64-efi: install the Debian package grub-efi-arm64-bin/);
  });
}

/** Pieces put together are the whole. */
async function ranges(path: string, whole: Buffer, etag: string): Promise<void> {
  const size = whole.length;
  const [a, b] = [Math.floor(size / 3), size - Math.min(size - 1, 4097)];
  const [first, second] = a < b ? [a, b] : [b, a];
  const asked = [`bytes=0-${first - 1}`, `bytes=${first}-${second - 1}`, `bytes=${second}-`];
  const pieces: Buffer[] = [];
  let at = 0;
  for (const range of asked) {
    const piece = await send(factory.url, path, { headers: { range, 'if-range': etag } });
    assert.equal(piece.status, 206, range);
    assert.equal(piece.headers['content-range'], `bytes ${at}-${at + piece.body.length - 1}/${size}`);
    assert.equal(piece.headers['content-length'], String(piece.body.length));
    assert.equal(piece.headers.etag, etag);
    pieces.push(piece.body);
    at += piece.body.length;
  }
  assert.ok(Buffer.concat(pieces).equals(whole), 'the pieces are the whole');

  const last = await send(factory.url, path, { headers: { range: 'bytes=-7' } });
  assert.ok(last.body.equals(whole.subarray(-7)));
  const beyond = await send(factory.url, path, { headers: { range: `bytes=${size}-` } });
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers['content-range'], `bytes */${size}`);
  const changed = await send(factory.url, path, {
    headers: { range: 'bytes=0-0', 'if-range': '"other"' },
    method: 'GET',
  });
  assert.equal(changed.status, 200, 'If-Range with another tag gets the whole');
  assert.equal(changed.body.length, size);
}

async function conditions(path: string, etag: string): Promise<void> {
  const same = await send(factory.url, path, { headers: { 'if-none-match': `"x", ${etag}` } });
  assert.equal(same.status, 304);
  assert.equal(same.body.length, 0);
  assert.equal(same.headers.etag, etag);
  const other = await send(factory.url, path, { headers: { 'if-none-match': '"x"' }, method: 'HEAD' });
  assert.equal(other.status, 200);
  const failed = await send(factory.url, path, { headers: { 'if-match': '"x"' } });
  assert.equal(failed.status, 412);
}

async function digests(path: string, file: string, whole: Buffer): Promise<void> {
  const hex = sha256(whole);
  const line = await download(factory.url, `${path}.sha256`);
  assert.equal(line.text, `${hex}  ${file}\n`);
  const sha512 = createHash('sha512').update(whole).digest();
  assert.equal((await download(factory.url, `${path}.sha512`)).text, `${sha512.toString('hex')}  ${file}\n`);

  const base64 = Buffer.from(hex, 'hex').toString('base64');
  const head = await send(factory.url, path, { method: 'HEAD' });
  assert.equal(head.headers['repr-digest'], `sha-256=:${base64}:`, 'known by now');
  const wanted = await send(factory.url, path, {
    method: 'HEAD',
    headers: { 'want-repr-digest': 'sha-512=9' },
  });
  assert.equal(wanted.headers['repr-digest'], `sha-512=:${sha512.toString('base64')}:`);
  const part = await send(factory.url, path, { headers: { range: 'bytes=1-2' } });
  assert.equal(part.headers['repr-digest'], `sha-256=:${base64}:`, 'of the whole, also with a part');
}
