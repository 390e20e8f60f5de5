import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, type SendOptions, send } from './client.ts';
import { type LocalFactory, startLocalFactory, startSandbox } from './local-factory.ts';

// What callers may get wrong: the answer says what is wrong, names it, and nothing of it is our fault.

let sandbox: SandboxRegistry;
let factory: LocalFactory;
let id: string;
before(async () => {
  sandbox = await startSandbox();
  factory = await startLocalFactory({ sandbox, config: { build: { brokenTalosVersions: ['1.9.5'] } } });
  id = await createSchematic(factory.url, '{}');
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
});

async function refused(path: string, status: number, text: string | RegExp, options: SendOptions = {}) {
  const answer = await send(factory.url, path, options);
  assert.equal(answer.status, status, `${path}: ${answer.text}`);
  if (typeof text === 'string') assert.equal(answer.text, `${text}\n`, path);
  else assert.match(answer.text, text, path);
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  return answer;
}

const longest = `1.13.0-${'a'.repeat(300)}`;
const VERSIONS: readonly (readonly [version: string, status: number, text: string])[] = [
  ['banana', 400, 'invalid Talos version: "banana"'],
  ['v1.13', 400, 'invalid Talos version: "v1.13"'],
  ['1.13.0.0', 400, 'invalid Talos version: "1.13.0.0"'],
  ['vv1.13.0', 400, 'invalid Talos version: "vv1.13.0"'],
  ['v01.13.0', 400, 'invalid Talos version: "v01.13.0"'],
  ['v1.13.0+build', 400, 'invalid Talos version: "v1.13.0+build"'],
  ['v1.13.-1', 400, 'invalid Talos version: "v1.13.-1"'],
  ['v99999999999999999999.0.0', 400, 'invalid Talos version: "v99999999999999999999.0.0"'],
  [longest, 400, `invalid Talos version: "${longest}"`],
  ['%E2%82%AC', 400, 'invalid Talos version: "€"'],
  // Strays among the tags, withdrawn, below the minimum, never released.
  ['v1.14.0-alpha.0-12-gabcdef', 404, 'version 1.14.0-alpha.0-12-gabcdef is not available'],
  ['v1.9.5', 404, 'version 1.9.5 is not available'],
  ['v1.1.0', 404, 'version 1.1.0 is not available'],
  ['v1.13.99', 404, 'version 1.13.99 is not available'],
  ['1.13.0-beta.0', 404, 'version 1.13.0-beta.0 is not available'],
];

describe('versions', () => {
  for (const [version, status, text] of VERSIONS) {
    test(`${version.slice(0, 40)}`, async () => {
      const unavailable = status === 404 ? 'failed to get kernel: ' : '';
      for (const path of ['kernel-amd64', 'metal-amd64.iso', 'cmdline-metal-amd64']) {
        await refused(`/image/${id}/${version}/${path}`, status, `${unavailable}${text}`);
      }
      await refused(`/pxe/${id}/${version}/metal-amd64`, status, `${unavailable}${text}`);
      await refused(`/version/${version}/extensions/official`, status, text);
      if (status === 400) await refused(`/version/${version}/overlays/official`, status, text);
    });
  }

  test('of the client program are read tolerantly, and refused as clearly', async () => {
    for (const version of ['banana', 'v1.13.0+x']) {
      await refused(`/talosctl/${version}`, 400, /^invalid Talos version: /);
      await refused(`/talosctl/${version}/talosctl-linux-amd64`, 400, /^invalid Talos version: /);
    }
    await refused('/talosctl/v1.13.99', 404, 'version 1.13.99 is not available');
    await refused('/talosctl/v1.10.1/talosctl-linux-amd64', 404, 'version 1.10.1 is not available');
    for (const name of ['talosctl', '..', '%2e%2e', 'index.json', 'talosctl-linux-amd64%00', '__proto__']) {
      const answer = await send(factory.url, `/talosctl/v1.13.0/${name}`);
      assert.notEqual(answer.status, 200, name);
      assert.ok(answer.status < 500, `${name}: ${answer.status}`);
    }
  });
});

const PATHS: readonly (readonly [path: string, text: string])[] = [
  ['metal-amd64.ssd', 'invalid profile path: "metal-amd64.ssd"'],
  ['foo.xz', 'invalid profile path: "foo"'],
  ['kernel-mips', 'invalid architecture: "mips"'],
  ['kernel-', 'invalid architecture: ""'],
  ['kernel-__proto__', 'invalid architecture: "__proto__"'],
  ['initramfs-riscv64.xz', 'invalid architecture: "riscv64"'],
  ['metal-arm.iso', 'invalid architecture: "arm"'],
  ['metal.iso', 'invalid platform-arch: "metal"'],
  ['banana-amd64.iso', 'invalid platform: "banana"'],
  ['constructor-amd64.iso', 'invalid platform: "constructor"'],
  ['cmdline-metal-s390x', 'invalid architecture: "s390x"'],
  [`${'a'.repeat(4000)}-amd64.iso`, `invalid platform: "${'a'.repeat(4000)}"`],
];

describe('paths', () => {
  for (const [path, text] of PATHS) {
    test(path.slice(0, 40), async () => {
      await refused(`/image/${id}/v1.13.0/${path}`, 400, `error parsing profile from path: ${text}`);
    });
  }

  test('with control characters', async () => {
    for (const path of [
      '%00/v1.13.0/kernel-amd64',
      `${id}/v1.13.0%0a/kernel-amd64`,
      `${id}/v1.13.0/a%0d%0aX-Evil:1`,
    ]) {
      const answer = await refused(`/image/${path}`, 400, 'invalid request path');
      assert.equal(answer.headers['x-evil'], undefined);
    }
  });

  test('that no route has', async () => {
    for (const path of [
      ...['/nothing', '/image', `/image/${id}`, `/image/${id}/v1.13.0`, `/image/${id}/v1.13.0/a/b`, '/pxe/'],
      ...['/../../etc/passwd', '/image/..%2f..%2fetc%2fpasswd', '/%', '/%ff%fe', '/image//v1.13.0/x', '/v1'],
    ]) {
      const answer = await send(factory.url, path);
      assert.ok([301, 400, 404].includes(answer.status), `${path}: ${answer.status}`);
      assert.doesNotMatch(answer.text, /root:/);
    }
    await refused('/nothing', 404, '404 page not found');
    await refused('/versions', 405, 'Method Not Allowed', { method: 'DELETE' });
  });

  test('of things that a version or a configuration does not have', async () => {
    const secure = 'error enhancing profile from schematic: secure boot is disabled';
    await refused(`/image/${id}/v1.13.0/metal-amd64-secureboot.iso`, 400, secure);
    await refused(`/pxe/${id}/v1.13.0/metal-amd64-secureboot`, 400, secure);
    await refused(
      `/image/${id}/v1.3.7/metal-amd64-uki.efi`,
      400,
      'error enhancing profile from schematic: UKI output is not supported in this Talos version',
    );
    await refused(
      `/image/${id}/v1.13.0/metal-amd64.iso.sigstore.json`,
      402,
      'enterprise signing is not enabled: signature endpoint is not available',
    );
    await refused(`/image/${id}/v1.13.0/metal-amd64.ssd.sha256`, 400, /invalid profile path/);
  });

  test('with an error in the form that the caller takes', async () => {
    const path = `/image/${id}/v1.13.0/kernel-mips`;
    const answer = await send(factory.url, path, { headers: { accept: 'application/problem+json' } });
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    const { status, code, retryable, detail } = JSON.parse(answer.text);
    assert.deepEqual(
      { status, code, retryable, detail },
      {
        status: 400,
        code: 'ARCH_INVALID',
        retryable: false,
        detail: 'error parsing profile from path: invalid architecture: "mips"',
      },
    );
  });
});

describe('schematic IDs', () => {
  const absent = 'a'.repeat(64);
  for (const wrong of ['aaaaaaaaaaaa', absent, absent.toUpperCase(), '..%2f..', 'index.json', '__proto__']) {
    test(wrong.slice(0, 20), async () => {
      const shown = JSON.stringify(decodeURIComponent(wrong));
      if (wrong.includes('%2f')) {
        assert.equal((await send(factory.url, `/image/${wrong}/v1.13.0/kernel-amd64`)).status, 404);
        return;
      }
      await refused(`/image/${wrong}/v1.13.0/kernel-amd64`, 404, `schematic ID ${shown} not found`);
      await refused(`/pxe/${wrong}/v1.13.0/metal-amd64`, 404, `schematic ID ${shown} not found`);
      await refused(`/schematics/${wrong}`, 404, 'schematic not found');
    });
  }
});

const nested = (depth: number): string => `customization: ${'['.repeat(depth)}${']'.repeat(depth)}`;
const bomb = [
  'overlay:',
  '  options:',
  '    a: &a [x, x, x, x, x, x, x, x, x, x]',
  ...[...'bcdefghi'].map(
    (name, i) => `    ${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[i]}`).join(', ')}]`,
  ),
].join('\n');

describe('schematics', () => {
  const REFUSED: readonly (readonly [name: string, body: string | Uint8Array, text: RegExp])[] = [
    ['unknown field', 'something:', /line 1: field something not found in type schematic\.Schematic/],
    [
      'unknown field below',
      'customization: {foo: 1}',
      /field foo not found in type schematic\.Customization/,
    ],
    ['wrong type', 'customization: [1]', /line 1: cannot construct !!seq into schematic\.Customization/],
    [
      'wrong type of a number',
      'customization: {meta: [{key: x, value: y}]}',
      /line 1: cannot construct .* into uint8/,
    ],
    [
      'number out of range',
      'customization: {meta: [{key: 256, value: y}]}',
      /line 1: cannot construct .* into uint8/,
    ],
    [
      'duplicate key',
      'customization: {}\ncustomization: {}',
      /key "customization" already defined at line 1/,
    ],
    ['alias bomb', bomb, /^yaml: document contains excessive aliasing$/m],
    ['deep nesting', nested(200_000), /exceeded max depth of 10000/],
    ['deep nesting in JSON', '{"customization":'.repeat(100_000), /exceeded max depth of 10000/],
    ['empty', '', /EOF/],
    ['no YAML', '{', /did not find expected node content/],
    ['binary', Buffer.from([0, 1, 2, 0xff]), /control characters are not allowed/],
    [
      'another bootloader',
      'customization: {bootloader: lilo}',
      /lilo does not belong to BootloaderKind values/,
    ],
    ['owner', 'owner: me', /owner field is only supported in Enterprise edition/],
  ];
  for (const [name, body, text] of REFUSED) {
    test(name, async () => {
      await refused('/schematics', 400, text, { method: 'POST', body });
    });
  }

  test('64 MiB are refused before they have come', async () => {
    const headers = { 'content-length': String(64 << 20) };
    await answeredEarly({ headers }, 413);
    // Without an announced length what comes is counted.
    await answeredEarly({}, 413);
  });

  test('with extensions that there are not: named, with close names', async () => {
    const wanted = async (name: string): Promise<string> =>
      createSchematic(factory.url, { customization: { systemExtensions: { officialExtensions: [name] } } });
    for (const [name, close] of [
      ['siderolabs/gvizor', '; did you mean "siderolabs/gvisor"?'],
      ['gvisor', '; did you mean "siderolabs/gvisor"?'],
      ['siderolabs/none-of-them-at-all', ''],
      ['../../etc/passwd', ''],
      ['', ''],
    ] as const) {
      const message = `official extension ${JSON.stringify(name)} is not available for Talos version v1.13.0${close}`;
      for (const path of ['initramfs-amd64.xz', 'metal-amd64.iso']) {
        await refused(
          `/image/${await wanted(name)}/v1.13.0/${path}`,
          400,
          `error enhancing profile from schematic: ${message}`,
        );
      }
    }
    const id = await wanted('siderolabs/panfrost');
    await refused(
      `/image/${id}/v1.13.0/initramfs-amd64.xz`,
      400,
      /extension "siderolabs\/panfrost" is not available for amd64/,
    );
    assert.equal((await send(factory.url, `/image/${id}/v1.13.0/initramfs-arm64.xz`)).status, 200);
  });

  test('that a release cannot have', async () => {
    const config = await createSchematic(factory.url, {
      customization: { embeddedMachineConfiguration: 'version: v1alpha1\n' },
    });
    await refused(
      `/image/${config}/v1.11.2/metal-amd64.iso`,
      400,
      'error enhancing profile from schematic: embedding configuration is not supported for Talos version v1.11.2',
    );
    const overlay = await createSchematic(factory.url, {
      overlay: { name: 'rpi_generic', image: 'siderolabs/sbc-raspberrypi' },
    });
    await refused(
      `/image/${overlay}/v1.6.4/metal-arm64.iso`,
      400,
      'error enhancing profile from schematic: overlay is not supported for Talos version v1.6.4',
    );
    const lines = await createSchematic(factory.url, { customization: { extraKernelArgs: ['a\nboot'] } });
    await refused(
      `/image/${lines}/v1.13.0/cmdline-metal-amd64`,
      400,
      /kernel argument 1 has a control character/,
    );
    await refused(`/pxe/${lines}/v1.13.0/metal-amd64`, 400, /kernel argument 1 has a control character/);
    const long = await createSchematic(factory.url, {
      customization: { extraKernelArgs: ['x'.repeat(5000)] },
    });
    await refused(`/image/${long}/v1.13.0/metal-amd64.iso`, 400, /a kernel takes 2047 at most/);
  });
});

/** Sends 64 MiB as long as they are taken; the answer comes before their end. */
async function answeredEarly(options: SendOptions, status: number): Promise<void> {
  const { port } = new URL(factory.url);
  const outgoing = request({ port, ...options, method: 'POST', path: '/schematics', agent: false });
  let taken = 0;
  const body = (async function* () {
    for (; taken < 64; taken++) yield Buffer.alloc(1 << 20, 'a: b #');
  })();
  const answered = once(outgoing, 'response');
  // The connection is broken while the body is still being sent.
  const sent = pipeline(body, outgoing).catch(() => {});
  const [response] = await answered;
  assert.equal(response.statusCode, status);
  outgoing.destroy();
  await sent;
  assert.ok(taken < 32, `${taken} MiB were taken`);
}

describe('?filename=', () => {
  const NAMES: readonly (readonly [given: string, header: string])[] = [
    ['custom-filename.iso', 'attachment; filename="custom-filename.iso"'],
    ['a"b.iso', 'attachment; filename="a\\"b.iso"'],
    ['a\\b.iso', 'attachment; filename="ab.iso"'],
    ['a\r\nX-Evil: 1\r\n\r\nb.iso', 'attachment; filename="aX-Evil: 1b.iso"'],
    ['../../etc/passwd', 'attachment; filename="....etcpasswd"'],
    [
      'naïve – ü.iso',
      'attachment; filename="na_ve _ _.iso"; filename*=UTF-8\'\'na%C3%AFve%20%E2%80%93%20%C3%BC.iso',
    ],
    ['日本.iso', 'attachment; filename="__.iso"; filename*=UTF-8\'\'%E6%97%A5%E6%9C%AC.iso'],
    ['\u202eexe.iso', 'attachment; filename="exe.iso"'],
    ['😀', 'attachment; filename="_"; filename*=UTF-8\'\'%F0%9F%98%80'],
    ["\"; filename*=UTF-8''evil", 'attachment; filename="\\"; filename*=UTF-8\'\'evil"'],
    ['..', 'attachment; filename="download"'],
    ['', 'attachment; filename="kernel-amd64"'],
  ];
  for (const [given, header] of NAMES) {
    test(JSON.stringify(given), async () => {
      const query = `filename=${encodeURIComponent(given)}`;
      const path = `/image/${id}/v1.13.0/kernel-amd64`;
      const answer = await send(factory.url, `${path}?${query}`, { method: 'HEAD' });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-disposition'], header);
      assert.equal(answer.headers['x-evil'], undefined);
      const line = await send(factory.url, `${path}.sha256?${query}`);
      assert.match(line.text, /^[0-9a-f]{64} {2}[^\r\n/\\]+\n$/, 'one line that names one file here');
    });
  }

  test('in bytes that are no UTF-8, or twice, does no harm', async () => {
    for (const query of ['filename=%ff%fe', 'filename=%', 'filename=a&filename=b', 'filename', '%00=%00']) {
      const answer = await send(factory.url, `/image/${id}/v1.13.0/kernel-amd64?${query}`, {
        method: 'HEAD',
      });
      assert.ok([200, 400].includes(answer.status), `${query}: ${answer.status}`);
    }
  });
});

test('what schematics carry is in no log line', async () => {
  const secret = 'e2e-very-secret';
  const carrying = await createSchematic(factory.url, {
    customization: {
      extraKernelArgs: [`token=${secret}`],
      meta: [{ key: 10, value: secret }],
      embeddedMachineConfiguration: `machine: {token: ${secret}}\n`,
    },
  });
  for (const path of [
    ...[`image/${carrying}/v1.13.0/metal-amd64.iso`, `image/${carrying}/v1.11.2/metal-amd64.iso`],
    ...[`pxe/${carrying}/v1.13.0/metal-amd64`, `image/${carrying}/v1.13.0/banana-amd64.iso`],
  ]) {
    const { status, text } = await send(factory.url, `/${path}`);
    if (status >= 400) assert.ok(!text.includes(secret));
  }
  const bad = `owner: x\ncustomization: {extraKernelArgs: [token=${secret}], foo: 1}`;
  await refused('/schematics', 400, /field foo not found/, { method: 'POST', body: bad });
  const logged = factory.lines.map(({ message, fields }) => message + inspect(fields, { depth: 8 }));
  assert.ok(logged.some((line) => line.includes(carrying)));
  assert.deepEqual(
    logged.filter((line) => line.includes(secret) || line.includes(Buffer.from(secret).toString('base64'))),
    [],
  );
});

test('none of it was our fault', () => {
  const errors = factory.lines.filter(({ level }) => level === 'error');
  assert.deepEqual(errors, []);
});
