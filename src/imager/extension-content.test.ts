import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textBlob } from '../blob/bytes.ts';
import { readAll } from '../blob/consume.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { extensionContent } from './extension-content.ts';
import { extensionsYaml, parseExtensionManifest } from './extension-manifest.ts';

const MANIFEST = `version: v1alpha1
metadata:
  name: gvisor
  version: 1.10
  author: Sidero Labs
  description: |
    runtime
  compatibility:
    talos:
      version: ">= v1.0.0"
  unknown: {a: 1}
---
version: ignored
`;

function file(path: string, text = path): TreeEntry {
  return { type: 'file', path, mode: 0o644, content: textBlob(text) };
}

function directory(path: string, mode = 0o755): TreeEntry {
  return { type: 'directory', path, mode };
}

const paths = (entries: readonly TreeEntry[]): readonly string[] => entries.map((entry) => entry.path);

test('what an extension brings is told apart by where it goes', async () => {
  const content = await extensionContent(
    [
      directory(''),
      file('manifest.yaml', MANIFEST),
      directory('rootfs', 0o555),
      directory('rootfs/usr'),
      directory('rootfs/usr/lib'),
      directory('rootfs/usr/lib/firmware'),
      directory('rootfs/usr/lib/firmware/amd-ucode'),
      file('rootfs/usr/lib/firmware/amd-ucode/README'),
      file('rootfs/usr/lib/firmware/amd-ucode/microcode_amd.bin'),
      file('rootfs/usr/lib/firmware/amd-ucode/microcode_amd_fam15h.bin'),
      directory('rootfs/usr/lib/firmware/i915'),
      file('rootfs/usr/lib/firmware/i915/a.bin'),
      { type: 'symlink', path: 'rootfs/usr/lib/firmware/i915/b.bin', mode: 0o777, target: 'a.bin' },
      directory('rootfs/usr/lib/firmware/intel-ucode'),
      file('rootfs/usr/lib/firmware/intel-ucode/06-01-01'),
      file('rootfs/usr/lib/firmware/intel-ucode/06-01-02'),
      directory('rootfs/usr/lib/modules'),
      file('rootfs/usr/lib/modules/6.1/extras/a.ko'),
      directory('rootfs/usr/local', 0o500),
      file('rootfs/usr/local/bin/runsc'),
    ],
    'usr/lib',
  );
  assert.equal(content.metadata.name, 'gvisor');
  assert.equal(content.hasModules, true);
  assert.deepEqual(paths(content.rootfs), [
    '',
    'usr',
    'usr/lib',
    'usr/lib/modules',
    'usr/lib/modules/6.1/extras/a.ko',
    'usr/local',
    'usr/local/bin/runsc',
  ]);
  assert.equal(content.rootfs[0]?.mode, 0o755, 'owner gets in everywhere');
  assert.deepEqual(paths(content.firmware), [
    'usr',
    'usr/lib',
    'usr/lib/firmware',
    'usr/lib/firmware/amd-ucode',
    'usr/lib/firmware/amd-ucode/README',
    'usr/lib/firmware/i915',
    'usr/lib/firmware/i915/a.bin',
    'usr/lib/firmware/i915/b.bin',
  ]);
  const texts = async (blobs: readonly { size: number }[]): Promise<readonly string[]> =>
    Promise.all(blobs.map(async (blob) => Buffer.from(await readAll(blob as never)).toString()));
  assert.deepEqual(await texts(content.microcode.intel), [
    'rootfs/usr/lib/firmware/intel-ucode/06-01-01',
    'rootfs/usr/lib/firmware/intel-ucode/06-01-02',
  ]);
  assert.deepEqual(await texts(content.microcode.amd), [
    'rootfs/usr/lib/firmware/amd-ucode/microcode_amd.bin',
    'rootfs/usr/lib/firmware/amd-ucode/microcode_amd_fam15h.bin',
  ]);
});

test('firmware that is only microcode leaves nothing for the initramfs', async () => {
  const content = await extensionContent(
    [file('manifest.yaml', MANIFEST), file('rootfs/lib/firmware/intel-ucode/06-01-01')],
    'lib',
  );
  assert.deepEqual(content.firmware, []);
  assert.deepEqual(content.rootfs, []);
  assert.equal(content.hasModules, false);
});

test('modules and firmware count only below the library path of the version', async () => {
  const content = await extensionContent(
    [file('manifest.yaml', MANIFEST), directory('rootfs/lib/modules'), file('rootfs/lib/firmware/x')],
    'usr/lib',
  );
  assert.equal(content.hasModules, false);
  assert.deepEqual(paths(content.rootfs), ['lib/modules', 'lib/firmware/x']);
});

const manifest = file('manifest.yaml', MANIFEST);
const refused: readonly (readonly [string, readonly TreeEntry[]])[] = [
  ['unexpected file "extra"', [manifest, file('extra'), directory('rootfs')]],
  ['unexpected file "etc"', [directory('etc'), manifest, directory('rootfs')]],
  ['extension manifest is missing', [directory('rootfs')]],
  ['extension rootfs is missing', [manifest]],
  ['unsupported manifest version: "v2"', [file('manifest.yaml', 'version: v2'), directory('rootfs')]],
  ['unsupported manifest version: ""', [file('manifest.yaml', ''), directory('rootfs')]],
  [
    '"dev/null" is a character-device, which an extension cannot bring',
    [manifest, { type: 'character-device', path: 'rootfs/dev/null', mode: 0o666 }],
  ],
];

test('trees that are no extension say why', async () => {
  for (const [message, entries] of refused) {
    await assert.rejects(extensionContent(entries, 'usr/lib'), { kind: 'invalid', message });
  }
});

test('a manifest of another shape is refused, not guessed at', () => {
  for (const text of ['version: [v1alpha1]', 'version: v1alpha1\nmetadata: {name: {a: b}}', 'a: [', '\tx']) {
    assert.throws(() => parseExtensionManifest(text), { code: 'EXTENSION_MANIFEST_INVALID' }, text);
  }
  const aliases = `version: v1alpha1\nx: &a [1,1,1,1,1,1,1,1,1,1]\ny: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nz: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nw: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
  assert.throws(() => parseExtensionManifest(aliases), /too many aliases/);
});

test('extensions.yaml carries the metadata in the order of the layers', () => {
  const metadata = parseExtensionManifest(MANIFEST);
  assert.equal(metadata.version, '1.10');
  const layers = [
    { image: '0.sqsh', metadata },
    { image: '1.sqsh', metadata: { ...metadata, name: 'yes', extraInfo: 'customization: {}\n' } },
  ];
  assert.equal(
    extensionsYaml(layers),
    `layers:
    - image: 0.sqsh
      metadata:
          name: gvisor
          version: "1.10"
          author: Sidero Labs
          description: |
              runtime
          compatibility:
              talos:
                  version: ">= v1.0.0"
    - image: 1.sqsh
      metadata:
          name: "yes"
          version: "1.10"
          author: Sidero Labs
          description: |
              runtime
          compatibility:
              talos:
                  version: ">= v1.0.0"
          extraInfo: |
              customization: {}
`,
  );
});
