import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesBlob, textBlob } from '../blob/bytes.ts';
import { readAll, sha256 } from '../blob/consume.ts';
import { syntheticStub } from '../formats/pe.testing.ts';
import { readPe, sectionContent } from '../formats/pe.ts';
import { authenticodeDigest } from '../formats/pe-digest.ts';
import { parseTalosVersion } from '../talos/version.ts';
import { kernelRelease } from './kernel-release.ts';
import { osRelease } from './os-release.ts';
import { splashBmp } from './splash.ts';
import { composeUki, type PcrSigner, type UkiKind, type UkiSpec } from './uki.ts';

/** An x86 boot header with the release of the vectors, nothing else. */
function kernel(release = '6.1.58-talos (build@host) #1'): Buffer {
  const bytes = Buffer.alloc(0x600);
  bytes.writeUInt8(4, 0x1f1);
  bytes.write('HdrS', 0x202);
  bytes.writeUInt16LE(0x300, 0x20e);
  bytes.write(release, 0x500);
  return bytes;
}

function spec(version: string, kind: UkiKind, more: Partial<UkiSpec> = {}): UkiSpec {
  return {
    version: parseTalosVersion(version),
    kind,
    stub: bytesBlob(syntheticStub()),
    kernel: bytesBlob(kernel()),
    initramfs: textBlob('INITRD'),
    cmdline: 'console=ttyS0',
    splash: textBlob('SPLASH'),
    ...more,
  };
}

async function appended(uki: Awaited<ReturnType<typeof composeUki>>): Promise<readonly string[]> {
  const pe = await readPe(uki);
  const names = pe.sections
    .slice(2)
    .map(async (section) =>
      section.name === '.profile'
        ? `profile(${/^ID=(.*)/.exec(Buffer.from(await readAll(sectionContent(pe, section))).toString())?.[1]})`
        : section.name.slice(1),
    );
  return Promise.all(names);
}

const signer: PcrSigner = {
  publicKey: new Uint8Array(800),
  sign: async () => new Uint8Array(2596),
};

const BASE = ['osrel', 'cmdline', 'uname', 'splash'];
const BOOT = ['linux', 'initrd'];
const RESET = ['profile(main)', 'profile(reset)', 'cmdline'];
const MAINTENANCE = ['profile(main)', 'profile(reset-maintenance)', 'cmdline'];
const orders: readonly (readonly [string, UkiKind, 'unsigned' | 'signed', readonly string[]])[] = [
  ['1.5.0', 'iso', 'unsigned', [...BASE, ...BOOT]],
  ['1.9.5', 'iso', 'signed', [...BASE, 'pcrpkey', ...BOOT, 'pcrsig']],
  ['1.10.0-alpha.0', 'iso', 'unsigned', [...BASE, ...BOOT, ...RESET]],
  ['1.10.0', 'image', 'unsigned', [...BASE, ...BOOT, ...MAINTENANCE]],
  ['1.14.0', 'installer', 'unsigned', [...BASE, ...BOOT, ...MAINTENANCE]],
  ['1.10.0', 'uki', 'unsigned', [...BASE, ...BOOT, 'profile(main)']],
  ['1.10.0', 'uki', 'signed', [...BASE, 'pcrpkey', ...BOOT, 'profile(main)', 'pcrsig']],
  [
    '1.10.0',
    'iso',
    'signed',
    [...BASE, 'pcrpkey', ...BOOT, 'profile(main)', 'pcrsig', 'profile(reset)', 'cmdline', 'pcrsig'],
  ],
];

test('sections come in the order of the version, kind and signing', async (t) => {
  for (const [version, kind, signing, order] of orders) {
    await t.test(`${version} ${kind} ${signing}`, async () => {
      const more = signing === 'signed' ? { pcrSigner: signer } : {};
      assert.deepEqual(await appended(await composeUki(spec(version, kind, more))), order);
    });
  }
});

test('Talos before 1.5 has no unified kernel image', async () => {
  await assert.rejects(composeUki(spec('1.4.8', 'uki')), {
    code: 'UKI_UNSUPPORTED',
    message: /^UKI output is not supported in this Talos version/,
  });
});

test('a stub without SBAT is refused for Secure Boot', async () => {
  const bytes = Buffer.from(syntheticStub());
  bytes.write('.data', bytes.indexOf('.sbat'));
  const stub = bytesBlob(bytes);
  await composeUki(spec('1.10.0', 'uki', { stub }));
  await assert.rejects(composeUki(spec('1.10.0', 'uki', { stub, pcrSigner: signer })), {
    code: 'UKI_STUB_INVALID',
    message: /could not find SBAT section/,
  });
});

test('os-release has the bytes of the vector', async () => {
  const text = osRelease('v1.10.0');
  assert.equal(text.length, 232);
  assert.equal(
    await sha256(textBlob(text)),
    '882d02edee20b6ae9753d9cb0b372f1b0e856384ac9fce5faacd8a1e1bac9710',
  );
  assert.match(osRelease('v1.10.0', 'Talos Enterprise'), /^ID=talos_enterprise$/m);
});

test('the signer sees the sections that systemd-stub will measure for each menu entry', async () => {
  const seen: string[][] = [];
  const recording: PcrSigner = {
    publicKey: Buffer.from('KEY'),
    async sign(sections) {
      const of = async (name: string): Promise<string> => {
        const content = sections.get(name);
        return content === undefined ? '-' : Buffer.from(await readAll(content)).toString();
      };
      assert.match(await of('.sbat'), /^sbat,1,SBAT Version.*\n$/);
      seen.push([await of('.profile'), await of('.cmdline'), await of('.pcrpkey'), await of('.initrd')]);
      return Buffer.from(`SIGNATURE ${seen.length}`);
    },
  };
  await composeUki(spec('1.10.0', 'iso', { pcrSigner: recording }));
  await composeUki(spec('1.9.0', 'iso', { pcrSigner: recording }));
  assert.deepEqual(seen, [
    ['ID=main', 'console=ttyS0', 'KEY', 'INITRD'],
    ['ID=reset\nTITLE=Reset system disk', 'console=ttyS0 talos.experimental.wipe=system', 'KEY', 'INITRD'],
    ['-', 'console=ttyS0', 'KEY', 'INITRD'],
  ]);
});

test('kernel and initramfs can be placed for an ISO to share', async () => {
  const uki = await composeUki(spec('1.10.0', 'iso', { bootFileAlignment: 2048 }));
  const pe = await readPe(uki);
  for (const name of ['.linux', '.initrd'])
    assert.equal((pe.sections.find((section) => section.name === name)?.rawOffset ?? 1) % 2048, 0);
});

const releases: readonly (readonly [string, Buffer, string | undefined])[] = [
  ['x86', kernel(), '6.1.58-talos'],
  ['release alone', kernel('6.12.1'), '6.12.1'],
  ['arm64', Buffer.from('MZ'.padEnd(0x600, '\0')), undefined],
  ['no pointer', patched(0x20e, [0, 0]), undefined],
  ['pointer beyond the setup code', patched(0x20e, [0x01, 0x08]), undefined],
  ['pointer beyond the end', kernel().subarray(0, 0x480), undefined],
  ['no end', Buffer.concat([kernel().subarray(0, 0x500), Buffer.alloc(300, 'x')]), undefined],
  ['empty release', kernel(' 6.1'), undefined],
  ['too short', kernel().subarray(0, 0x100), undefined],
];

function patched(offset: number, bytes: readonly number[]): Buffer {
  const copy = kernel();
  copy.set(bytes, offset);
  return copy;
}

test('the kernel release is read from the boot header', async (t) => {
  for (const [name, bytes, release] of releases)
    await t.test(name, async () => assert.equal(await kernelRelease(bytesBlob(bytes)), release));
});

test('the splash is a whole uncompressed BMP', () => {
  const bmp = Buffer.from(splashBmp());
  assert.equal(bmp.toString('latin1', 0, 2), 'BM');
  assert.equal(bmp.readUInt32LE(2), bmp.length);
  const pixels = bmp.readUInt32LE(10);
  assert.equal(bmp.length - pixels, bmp.readInt32LE(18) * bmp.readInt32LE(22));
  assert.equal(bmp.readUInt32LE(30), 0);
  assert.equal(new Set(bmp.subarray(pixels)).size, bmp.readUInt32LE(46));
});

test('the unsigned image of the specification, byte for byte', async () => {
  // Its kernel is the text LINUX and its `.uname` was given, so it is assembled from sections here.
  const { appendSections } = await import('../formats/pe-assemble.ts');
  const contents: readonly (readonly [string, string])[] = [
    ['.osrel', osRelease('v1.10.0')],
    ['.cmdline', 'console=ttyS0'],
    ['.uname', '6.1.58-talos'],
    ['.splash', 'SPLASH'],
    ['.linux', 'LINUX'],
    ['.initrd', 'INITRD'],
    ['.profile', 'ID=main'],
    ['.profile', 'ID=reset\nTITLE=Reset system disk'],
    ['.cmdline', 'console=ttyS0 talos.experimental.wipe=system'],
  ];
  const uki = await appendSections(
    bytesBlob(syntheticStub()),
    contents.map(([name, text]) => ({ name, content: textBlob(text) })),
    { timestamp: 1559424892 },
  );
  assert.equal(uki.size, 6656);
  assert.equal(await sha256(uki), '03449c0e1959fd74bc9b7dad6d82449abefcb5a9bbea430658a6251e293c8077');
  assert.equal(
    Buffer.from(await authenticodeDigest(uki)).toString('hex'),
    '3d8360e2f5d77c1ddeb02075d64e2ddce51be87a0e293119704683af0c6ae610',
  );
  const composed = await readPe(await composeUki(spec('1.10.0', 'iso')));
  assert.deepEqual(
    composed.sections.slice(2).map(({ name }) => name),
    contents.map(([name]) => name),
  );
});
