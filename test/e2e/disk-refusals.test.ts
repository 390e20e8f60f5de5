import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { bytesBlob } from '../../src/blob/bytes.ts';
import { parseTag } from '../../src/oci/names.ts';
import { type BuiltImage, buildImage, buildLayer } from '../../src/testing/image-builder.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { directory, file } from '../../src/testing/tar-archive.ts';
import { type Answer, createSchematic, send } from './client.ts';
import { startDiskFactory } from './disk-files.ts';
import { type LocalFactory, startSandbox } from './local-factory.ts';

// What cannot be made is refused by name, and a board whose installer fails harms nobody else.

let sandbox: SandboxRegistry;
let factory: LocalFactory;
before(async () => {
  sandbox = await startSandbox();
  await pushBoards();
  factory = await startDiskFactory(sandbox, { containerSignature: { disabled: true } });
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
});

async function asked(schematic: unknown, path: string): Promise<Answer> {
  const id = await createSchematic(factory.url, schematic);
  return await send(factory.url, `/image/${id}/${path}`);
}

const DISK = 'v1.13.0/metal-amd64.raw.zst';

const REFUSALS: readonly (readonly [what: string, customization: unknown, path: string, text: RegExp])[] = [
  [
    'dual-boot on arm64',
    { bootloader: 'dual-boot' },
    'v1.13.0/metal-arm64.raw.zst',
    /customization\.bootloader: dual-boot .* not supported on arm64/,
  ],
  [
    'systemd-boot before there were UKIs',
    { bootloader: 'sd-boot' },
    'v1.3.7/metal-amd64.raw.zst',
    /customization\.bootloader: sd-boot is not supported for Talos version v1\.3\.7/,
  ],
  [
    'dual-boot before there were UKIs',
    { bootloader: 'dual-boot' },
    'v1.3.7/metal-amd64.raw.zst',
    /customization\.bootloader: dual-boot is not supported for Talos version v1\.3\.7/,
  ],
  [
    'sectors of 1000 bytes',
    { diskImage: { sectorSize: 1000 } },
    DISK,
    /customization\.diskImage\.sectorSize must be 512 or 4096, not 1000/,
  ],
  [
    'META that does not fit',
    {
      meta: [
        { key: 10, value: 'x'.repeat(200_000) },
        { key: 12, value: 'x'.repeat(70_000) },
      ],
    },
    DISK,
    /customization\.meta: .* 270033 bytes/,
  ],
  [
    'a META key that ends the list',
    { meta: [{ key: 0, value: 'x' }] },
    DISK,
    /customization\.meta: .*\b0 is not in 1\.\.255/,
  ],
  [
    'a kernel argument of two lines',
    { extraKernelArgs: ['a=1\nb=2'] },
    DISK,
    /customization\.extraKernelArgs: /,
  ],
  [
    'more kernel arguments than a kernel takes',
    { extraKernelArgs: Array.from({ length: 100 }, (_, i) => `argument${i}=${'x'.repeat(20)}`) },
    DISK,
    /a kernel takes 2047 at most; shorten customization\.extraKernelArgs/,
  ],
];

describe('refusals', () => {
  for (const [what, customization, path, text] of REFUSALS) {
    test(what, async () => {
      const answer = await asked({ customization }, path);
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.text, text);
    });
  }

  test('paths that no platform, architecture or format has', async () => {
    const id = await createSchematic(factory.url, {});
    for (const [path, text] of [
      ['foo-amd64.raw', /invalid platform: "foo"/],
      ['metal-riscv64.raw', /invalid architecture: "riscv64"/],
      ['metal-amd64.img', /invalid profile path: "metal-amd64\.img"/],
      ['metal-amd64.raw.gz.xz', /invalid profile path: "metal-amd64\.raw\.gz"/],
      ['metal-amd64.raw.bz2', /invalid profile path/],
    ] as const) {
      const answer = await send(factory.url, `/image/${id}/v1.13.0/${path}`);
      assert.equal(answer.status, 400, `${path}: ${answer.text}`);
      assert.match(answer.text, text);
    }
  });

  test('a board that the release does not have', async () => {
    const overlay = { name: 'no-such-board', image: 'siderolabs/sbc-none' };
    const answer = await asked({ overlay }, 'v1.13.0/metal-arm64.raw.zst');
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.text, /no-such-board/);
  });
});

const OPTIONS = 'name: board\\nkernelArgs: []\\n';
/** What `install` does on each board; what it says on standard error is known by `SECRET`. */
const SECRET = 'word-of-the-installer';
const INSTALLERS = {
  fails: `echo ${SECRET} >&2; exit 1`,
  floods: `echo ${SECRET} >&2; yes flood`,
  'overwrites-table': `
    disk=$(sed -n 's/^ *installDisk: *//p' | tr -d '"')
    printf overlay | dd of="$disk" bs=1 seek=1024 conv=notrunc 2>/dev/null`,
} as const;

/** A catalog of boards for one version. Nobody has signed it. */
async function pushBoards(): Promise<void> {
  const boards = Object.entries(INSTALLERS);
  const script = (install: string) =>
    [
      '#!/bin/sh',
      'case $1 in',
      `get-options) cat >/dev/null; printf '${OPTIONS}';;`,
      `install) ${install};;`,
      'esac',
      '',
    ].join('\n');
  const image = buildImage('amd64', [
    buildLayer([
      directory('artifacts'),
      directory('installers'),
      ...boards.map(([name, install]) => file(`installers/${name}`, script(install), 0o755)),
      directory('profiles'),
      ...boards.map(([name]) =>
        file(`profiles/${name}.yaml`, 'output:\n  kind: image\n  imageOptions:\n    bootloader: grub\n'),
      ),
    ]),
  ]);
  const digest = await push('siderolabs/sbc-evil', 'v1', image);
  const catalog = ['overlays:'];
  for (const [name] of boards)
    catalog.push(`  - name: ${name}`, '    image: ghcr.io/siderolabs/sbc-evil:v1', `    digest: ${digest}`);
  const layer = buildLayer([file('overlays.yaml', `${catalog.join('\n')}\n`)]);
  await push('siderolabs/overlays', 'v1.12.0', buildImage('amd64', [layer]));
}

async function push(repository: string, tag: string, image: BuiltImage): Promise<string> {
  const storage = sandbox.registry.storage(repository);
  for (const { descriptor, bytes } of image.blobs) await storage.pushBlob(descriptor, bytesBlob(bytes));
  const { descriptor, bytes } = image.root;
  await storage.pushManifest(parseTag(tag), descriptor.mediaType, bytes);
  return descriptor.digest;
}

const CASES: readonly (readonly [
  board: keyof typeof INSTALLERS,
  status: number,
  text: RegExp,
  log: RegExp | undefined,
])[] = [
  ['fails', 500, /^(?!.*word-of-the-installer)/s, /word-of-the-installer/],
  ['floods', 500, /^(?!.*word-of-the-installer)/s, /word-of-the-installer/],
  ['overwrites-table', 400, /the overlay wrote at byte 1024 .* partition offset/s, undefined],
];

describe('boards whose installers misbehave', () => {
  for (const [board, status, text, logged] of CASES) {
    test(board, async () => {
      const overlay = { name: board, image: 'siderolabs/sbc-evil' };
      const [answer, other] = await Promise.all([
        asked({ overlay }, 'v1.12.0/metal-arm64.raw.zst'),
        asked({ customization: { extraKernelArgs: [`beside=${board}`] } }, 'v1.12.0/metal-amd64.raw.zst'),
      ]);
      assert.equal(other.status, 200, 'another image is made meanwhile');
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.text, text);
      assert.match(String(answer.headers['x-request-id']), /^\S{8,}$/);
      if (logged === undefined) return;
      const line = factory.lines.find(
        ({ message, fields }) => message === 'overlay installer failed' && fields.overlay === board,
      );
      assert.match(String(line?.fields.stderr), logged);
      assert.ok(String(line?.fields.stderr).length <= 1 << 16);
    });
  }

  test('the command line of such a board is still told', async () => {
    const overlay = { name: 'fails', image: 'siderolabs/sbc-evil' };
    const answer = await asked({ overlay }, 'v1.12.0/cmdline-metal-arm64');
    assert.equal(answer.status, 200, answer.text);
  });
});
