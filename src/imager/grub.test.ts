import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Blob } from '../blob/blob.ts';
import { readAll, sha256 } from '../blob/consume.ts';
import { readPe } from '../formats/pe.ts';
import { openLocalStore } from '../store/local-store.ts';
import {
  type GrubModules,
  type GrubSource,
  grubDiskBios,
  grubDiskEfi,
  grubIsoBios,
  grubIsoEfi,
} from './grub.ts';
import { moduleClosure } from './grub-modules.ts';
import { hybridBootCode, placeDiskBoot } from './grub-place.ts';

const MODULES: GrubModules = { i386pc: '/usr/lib/grub/i386-pc', x86_64Efi: '/usr/lib/grub/x86_64-efi' };

interface TestSource extends GrubSource {
  readonly made: string[];
}

/** A store of its own for each test, which tells what it had to make. */
async function sourceOf(t: TestContext, modules: GrubModules = MODULES): Promise<TestSource> {
  const directory = await mkdtemp(join(tmpdir(), 'grub-'));
  const store = await openLocalStore({ directory, maxBytes: 64 << 20 });
  t.after(async () => {
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });
  const made: string[] = [];
  const obtain: GrubSource['store']['obtain'] = (key, make, signal) => {
    const noted: typeof make = (to, making) => {
      made.push(key);
      return make(to, making);
    };
    return store.obtain(key, noted, signal);
  };
  return { modules, store: { obtain }, made };
}

async function text(blob: Blob): Promise<string> {
  return Buffer.from(await readAll(blob, 4 << 20)).toString('latin1');
}

test('BIOS images for ISOs have the shape that firmware and the boot information table want', async (t) => {
  const source = await sourceOf(t);
  const { hybridMbr, elTorito } = await grubIsoBios(source);
  assert.equal(hybridMbr.size, 512);
  assert.ok(elTorito.size > 100_000 && elTorito.size < 480 * 1024, String(elTorito.size));
  const bytes = Buffer.from(await readAll(elTorito));
  assert.ok(
    bytes.subarray(8, 64).every((byte) => byte === 0),
    'room for the boot information table',
  );
});

test('EFI images are applications for the machine', async (t) => {
  const source = await sourceOf(t);
  const iso = await grubIsoEfi(source, 'amd64');
  const pe = await readPe(iso);
  assert.equal(pe.machine, 0x8664);
  assert.match(
    await text(iso),
    /search --no-floppy --set=root --hint "\$root" --fs-uuid 2019-06-01-21-34-52-00/,
  );
  const disk = await text(await grubDiskEfi(source, 'amd64'));
  assert.match(disk, /--fs-uuid 24c73076-4092-85dd-9d98-686a2dbf6d81\nset prefix=\(\$root\)\/grub\n/);
});

test('images are the same bytes when made again elsewhere', async (t) => {
  const sums = await Promise.all(
    [1, 2].map(async () => {
      const source = await sourceOf(t);
      const iso = await grubIsoBios(source);
      const disk = await grubDiskBios(source);
      const blobs = [
        iso.elTorito,
        iso.hybridMbr,
        disk.core,
        disk.bootSector,
        await grubIsoEfi(source, 'amd64'),
      ];
      assert.equal(new Set(source.made).size, 3);
      return Promise.all(blobs.map((blob) => sha256(blob)));
    }),
  );
  assert.deepEqual(sums[0], sums[1]);
});

test('an image is made once, and again when a module changed', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'grub-'));
  t.after(() => rm(dir, { recursive: true }));
  const copy = join(dir, 'i386-pc');
  await cp('/usr/lib/grub/i386-pc', copy, { recursive: true });
  const source = await sourceOf(t, { i386pc: copy });
  await grubIsoBios(source);
  await grubIsoBios(source);
  assert.equal(source.made.length, 1);
  // What boot.mod is does not matter here, only that it is another one.
  await cp(join(copy, 'iso9660.mod'), join(copy, 'boot.mod'));
  await grubIsoBios(source).catch(() => {});
  assert.equal(source.made.length, 2);
});

test('what is not installed is named with its Debian package', async (t) => {
  const empty = await mkdtemp(join(tmpdir(), 'grub-'));
  t.after(() => rm(empty, { recursive: true }));
  const missing: readonly (readonly [GrubModules, (source: GrubSource) => Promise<unknown>, string])[] = [
    [{}, grubIsoBios, 'grub-pc-bin'],
    [{ i386pc: empty }, grubDiskBios, 'grub-pc-bin'],
    [{}, (source) => grubIsoEfi(source, 'amd64'), 'grub-efi-amd64-bin'],
    [{}, (source) => grubIsoEfi(source, 'arm64'), 'grub-efi-arm64-bin'],
    [{ arm64Efi: empty }, (source) => grubDiskEfi(source, 'arm64'), 'grub-efi-arm64-bin'],
  ];
  for (const [modules, make, debianPackage] of missing)
    await assert.rejects(make(await sourceOf(t, modules)), {
      code: 'GRUB_MISSING',
      message: new RegExp(`install the Debian package ${debianPackage} `),
    });
});

test('modules come with what they depend on', () => {
  const moddep = 'a: b c\nb: d\nc:\nd: a\ne: f\n';
  assert.deepEqual(moduleClosure(moddep, ['a', 'z']), ['a', 'b', 'c', 'd', 'z']);
  assert.deepEqual(moduleClosure(moddep, []), []);
});

test('boot code is told where its image is', async (t) => {
  const code = Buffer.from(hybridBootCode(new Uint8Array(512).fill(1), 598));
  assert.equal(code.length, 446);
  assert.equal(code.readBigUInt64LE(0x1b0), 598n * 4n + 4n);
  assert.equal(code[0x1af], 1);

  const { bootSector, core } = await grubDiskBios(await sourceOf(t));
  const before = Buffer.from(await readAll(core));
  // As grub-mkimage leaves it: loaded to 0x8200.
  assert.equal(before.readUInt16LE(0x1fe), 0x0820);
  const placed = placeDiskBoot(await readAll(bootSector), before, 4304896);
  const boot = Buffer.from(placed.bootCode);
  assert.equal(boot.length, 446);
  assert.equal(boot.readBigUInt64LE(0x5c), 0x41b000n);
  assert.equal(boot.toString('hex', 0x66, 0x68), '9090');
  const after = Buffer.from(placed.core);
  assert.equal(after.readBigUInt64LE(0x1f4), 0x41b001n);
  after.writeBigUInt64LE(before.readBigUInt64LE(0x1f4), 0x1f4);
  assert.ok(after.equals(before));
});
