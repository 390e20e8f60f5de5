import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTalosVersion } from '../talos/version.ts';
import {
  type ExtensionRecord,
  findExtension,
  findOverlay,
  mergeExtensions,
  parseExtensions,
  parseOverlays,
} from './catalogs.ts';
import { closeNames } from './close-names.ts';
import { joinRepository, parseTaggedReference } from './image-reference.ts';
import { talosctlNames } from './talosctl.ts';

const DIGEST = 'sha256:5ab365f2b98ab885b1d9a6ebb2e2b06d0a7887d2c173a2b7d3f9e0e4f2f4f1cb';
const GVISOR = `ghcr.io/siderolabs/gvisor:20231214.0@${DIGEST}`;
const harbor = { registry: 'harbor.example.com', namespace: '' };
const version = parseTalosVersion('1.5.0');

test('an extension is described by its line', () => {
  const descriptions = `${GVISOR}:\n  author: Sidero Labs\n  description: |\n    [core] gVisor container runtime\n`;
  const expected = {
    name: 'siderolabs/gvisor',
    ref: 'harbor.example.com/siderolabs/gvisor:20231214.0',
    repository: 'harbor.example.com/siderolabs/gvisor',
    digest: DIGEST,
    author: 'Sidero Labs',
    description: '[core] gVisor container runtime\n',
  };
  assert.deepEqual(parseExtensions(`  ${GVISOR}\r\n`, descriptions, harbor), [expected]);
  for (const namespace of ['ghcrio', 'ghcrio/', '/ghcrio']) {
    assert.deepEqual(parseExtensions(GVISOR, descriptions, { ...harbor, namespace }), [
      { ...expected, repository: 'harbor.example.com/ghcrio/siderolabs/gvisor' },
    ]);
  }
});

test('descriptions may be missing, empty or incomplete', () => {
  for (const descriptions of [
    undefined,
    '',
    '{}',
    'other: {author: x}',
    `"${GVISOR}": null`,
    `"${GVISOR}": {}`,
  ]) {
    const [record] = parseExtensions(GVISOR, descriptions, harbor);
    assert.deepEqual([record?.author, record?.description], ['', '']);
  }
});

test('lines keep their order, and those without a digest do not count', () => {
  const lines = `# extensions\n\nghcr.io/siderolabs/zfs:2@${DIGEST}\nnothing\nghcr.io/siderolabs/amdgpu:1@${DIGEST}\n`;
  const names = parseExtensions(lines, undefined, harbor).map(({ name }) => name);
  assert.deepEqual(names, ['siderolabs/zfs', 'siderolabs/amdgpu']);
});

test('catalogs that are none', () => {
  const invalid = (message: RegExp | string) => ({
    kind: 'upstream' as const,
    code: 'CATALOG_INVALID',
    retryAfter: 60,
    message,
  });
  for (const [lines, descriptions, message] of [
    ['', undefined, 'failed to find image-digests file'],
    ['no line', undefined, 'failed to find image-digests file'],
    [
      `ghcr.io/UPPER/case:1@${DIGEST}`,
      undefined,
      /^image-digests: failed to parse tagged reference "ghcr.io\/UPPER/,
    ],
    [`ghcr.io/a/b:bad tag@${DIGEST}`, undefined, /^image-digests: failed to parse tagged reference/],
    ['ghcr.io/a/b:1@sha256:short', undefined, 'image-digests: invalid digest "sha256:short"'],
    [`ghcr.io/a/b:1@x@${DIGEST}`, undefined, /invalid digest "x@sha256/],
    [GVISOR, '- a list', /^descriptions.yaml: /],
    [GVISOR, 'a: [', 'descriptions.yaml is not valid YAML'],
    [GVISOR, 'a: {author: 5}', /^descriptions.yaml: a.author: /],
    // Nine levels of nine aliases each.
    [
      GVISOR,
      `a0: &a0 {author: x}\n${Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(',')}]\n`).join('')}`,
      'descriptions.yaml is not valid YAML',
    ],
  ] as const) {
    assert.throws(() => parseExtensions(lines, descriptions, harbor), invalid(message), lines);
  }
  for (const [yaml, message] of [
    ['', /^overlays.yaml: /],
    ['overlays: []', 'failed to find overlays.yaml file'],
    ['other: 1', 'failed to find overlays.yaml file'],
    ['overlays: [{name: a, image: "b"}]', /^overlays.yaml: overlays.0.digest: /],
    ['overlays: [{name: a, image: "b/c", digest: d}]', 'overlays.yaml: invalid digest "d"'],
    [
      `overlays: [{name: a, image: "B/c", digest: "${DIGEST}"}]`,
      /^overlays.yaml: failed to parse tagged reference/,
    ],
  ] as const) {
    assert.throws(() => parseOverlays(yaml, harbor), invalid(message), yaml);
  }
});

test('overlays keep the reference of their origin', () => {
  const yaml = `overlays:\n  - name: rpi_generic\n    image: ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0\n    digest: ${DIGEST}\n  - {name: rpi_5, image: ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0, digest: "${DIGEST}", more: 1}\n`;
  const overlays = parseOverlays(yaml, { ...harbor, namespace: 'ghcrio' });
  assert.deepEqual(overlays[0], {
    name: 'rpi_generic',
    image: 'siderolabs/sbc-raspberrypi',
    ref: 'ghcr.io/siderolabs/sbc-raspberrypi:v0.1.0',
    repository: 'harbor.example.com/ghcrio/siderolabs/sbc-raspberrypi',
    digest: DIGEST,
  });
  assert.equal(overlays[1]?.name, 'rpi_5');
  assert.equal(findOverlay(overlays, 'rpi_5', version).name, 'rpi_5');
  assert.throws(() => findOverlay(overlays, 'rpi-generic', version), {
    kind: 'invalid',
    message:
      'official overlay "rpi-generic" is not available for Talos version v1.5.0; did you mean "rpi_generic"?',
  });
});

function record(name: string): ExtensionRecord {
  return parseExtensions(`ghcr.io/${name}:1@${DIGEST}`, undefined, harbor)[0]!;
}

test('extensions are found by name, then by the name they have now', () => {
  const records = ['siderolabs/i915', 'siderolabs/gvisor', 'siderolabs/usb-modem'].map(record);
  for (const [asked, found] of [
    ['siderolabs/gvisor', 'siderolabs/gvisor'],
    ['siderolabs/i915-ucode', 'siderolabs/i915'],
    // The old name counts while it is there.
    ['siderolabs/usb-modem', 'siderolabs/usb-modem'],
  ] as const) {
    assert.equal(findExtension(records, asked, version).name, found);
  }
  const text = (name: string): string =>
    `official extension "${name}" is not available for Talos version v1.5.0`;
  for (const [asked, message] of [
    ['siderolabs/amdgpu-firmware', text('siderolabs/amdgpu-firmware')],
    // Never from the new name to the old one.
    ['siderolabs/usb-modem-drivers', text('siderolabs/usb-modem-drivers')],
    ['siderolabs/gvisr', `${text('siderolabs/gvisr')}; did you mean "siderolabs/gvisor"?`],
    ['gvisor', `${text('gvisor')}; did you mean "siderolabs/gvisor"?`],
    ['siderolabs/i91', `${text('siderolabs/i91')}; did you mean "siderolabs/i915"?`],
    ['', text('')],
  ] as const) {
    assert.throws(() => findExtension(records, asked, version), {
      kind: 'invalid',
      code: 'EXTENSION_NOT_AVAILABLE',
      message,
    });
  }
});

test('close names are few, close and in order', () => {
  const known = ['a/zfs', 'a/gvisor', 'a/gvisor-debug', 'b/gvisor', 'a/gvizor', 'a/gvizzr'];
  assert.deepEqual(closeNames('x/gvisor', known), ['a/gvisor', 'b/gvisor', 'a/gvizor']);
  assert.deepEqual(closeNames('a/ZFS', known), ['a/zfs']);
  assert.deepEqual(closeNames('x'.repeat(10_000), ['x'.repeat(10_000)]), []);
});

test('extra extensions come first and replace official ones of their name', () => {
  const names = mergeExtensions(['x/a', 'x/b'].map(record), ['x/c', 'x/b', 'x/d'].map(record)).map(
    ({ name }) => name,
  );
  assert.deepEqual(names, ['x/a', 'x/b', 'x/c', 'x/d']);
});

test('tagged references', () => {
  for (const [text, repository, path, tag] of [
    ['ghcr.io/a/b:1', 'ghcr.io/a/b', 'a/b', '1'],
    ['ghcr.io/a/b', 'ghcr.io/a/b', 'a/b', 'latest'],
    ['localhost/a', 'localhost/a', 'a', 'latest'],
    ['localhost:5000/a/b', 'localhost:5000/a/b', 'a/b', 'latest'],
    ['127.0.0.1:5000/a/b:v1', '127.0.0.1:5000/a/b', 'a/b', 'v1'],
    ['a/b:2', 'index.docker.io/a/b', 'a/b', '2'],
    ['alpine', 'index.docker.io/library/alpine', 'library/alpine', 'latest'],
    ['alpine:3', 'index.docker.io/library/alpine', 'library/alpine', '3'],
  ] as const) {
    assert.deepEqual(parseTaggedReference(text), { repository, path, tag }, text);
  }
  for (const text of [
    '',
    ':',
    'a/',
    '/a',
    'ghcr.io/',
    'ghcr.io/a/../b',
    'ghcr.io/a:',
    'ghcr.io/a:b:c',
    'a b/c',
    'ghcr.io/a//b',
  ]) {
    assert.throws(() => parseTaggedReference(text), { code: 'OCI_NAME_INVALID' }, text);
  }
});

test('repository names are joined with clean slashes', () => {
  for (const [parts, name] of [
    [['ghcr.io', '', 'siderolabs/imager'], 'ghcr.io/siderolabs/imager'],
    [['h:5000', 'ghcrio/', 'siderolabs/imager'], 'h:5000/ghcrio/siderolabs/imager'],
    [['h', '//a//b/.', '/c/'], 'h/a/b/c'],
  ] as const) {
    assert.equal(joinRepository(parts[0], ...parts.slice(1)), name);
  }
  assert.throws(() => joinRepository('h', '..', 'x'), { code: 'OCI_NAME_INVALID' });
});

test('talosctl files', () => {
  const known = [
    'talosctl-darwin-amd64',
    'talosctl-darwin-arm64',
    'talosctl-freebsd-amd64',
    'talosctl-freebsd-arm64',
    'talosctl-linux-amd64',
    'talosctl-linux-arm64',
    'talosctl-linux-armv7',
    'talosctl-windows-amd64.exe',
    'talosctl-windows-arm64.exe',
  ];
  assert.deepEqual(talosctlNames([...known].reverse().concat('README', 'bin/talosctl-linux-amd64')), known);
  for (const name of [
    'talosctl-linux',
    'talosctl-linux-amd64-debug',
    'talosctl-linux-amd64.sig',
    'talosctl--',
  ]) {
    assert.throws(() => talosctlNames([name]), {
      message: `invalid talosctl file name ${JSON.stringify(name)}`,
    });
  }
});
