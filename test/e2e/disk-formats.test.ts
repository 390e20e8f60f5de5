import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PLATFORMS } from '../../src/talos/platforms.ts';
import { download } from '../../src/testing/factory-client.ts';
import type { SandboxRegistry } from '../../src/testing/sandbox-registry.ts';
import { createSchematic, open, send } from './client.ts';
import { output, startDiskFactory } from './disk-files.ts';
import { type LocalFactory, startSandbox } from './local-factory.ts';

// Disk images as clients get them: every platform, every container in every outer format, and parts of them.

let sandbox: SandboxRegistry;
let factory: LocalFactory;
let id: string;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'disk-formats-'));
  sandbox = await startSandbox();
  factory = await startDiskFactory(sandbox);
  id = await createSchematic(factory.url, '{}');
});
after(async () => {
  await factory?.[Symbol.asyncDispose]();
  await sandbox?.registry.close();
  await rm(dir, { recursive: true, force: true });
});

const MIB = 1 << 20;

/** Raw sizes (MiB) of 1.13 for amd64 and arm64: dual-boot and systemd-boot (`spec/outputs-disk.md` §1). */
const SMALL = { amd64: 4247, arm64: 2246 };
const LARGE = { amd64: 11193, arm64: 9192 };
const LARGEST = { amd64: 13241, arm64: 11240 };
const SIZES: Readonly<Record<string, typeof SMALL>> = {
  metal: SMALL,
  akamai: SMALL,
  alibabacloud: SMALL,
  hcloud: SMALL,
  nocloud: SMALL,
  opennebula: SMALL,
  openstack: SMALL,
  scaleway: SMALL,
  exoscale: LARGEST,
};
/** `spec/http-api.md` §6.4. */
const TYPES: Readonly<Record<string, string>> = {
  '.xz': 'application/x-xz',
  '.gz': 'application/gzip',
  '.qcow2': 'application/x-qemu-disk',
};

async function head(platform: string, arch: string, suffix: string): Promise<number> {
  const name = `${platform}-${arch}.${suffix}`;
  const answer = await send(factory.url, `/image/${id}/v1.13.0/${name}`, { method: 'HEAD' });
  assert.equal(answer.status, 200, `${name}: ${JSON.stringify(answer.headers)}`);
  const type = TYPES[extname(name)] ?? 'application/octet-stream';
  assert.equal(answer.headers['content-type'], type, name);
  assert.equal(answer.headers['content-disposition'], `attachment; filename="${name}"`);
  assert.equal(answer.headers['accept-ranges'], 'bytes');
  assert.equal(answer.body.length, 0);
  return Number(answer.headers['content-length']);
}

describe('platforms', () => {
  for (const { name, arches, diskImageSuffix = 'raw.zst' } of PLATFORMS) {
    test(`${name}: the disk's size, and the size of what is offered`, async () => {
      for (const arch of arches) {
        const raw = await head(name, arch, 'raw');
        assert.equal(raw, (SIZES[name] ?? LARGE)[arch] * MIB);
        const boot = await head('metal', arch, 'raw.zst');
        const offered = await head(name, arch, diskImageSuffix);
        // What boots is in it once or twice, and next to nothing else.
        assert.ok(offered > boot / 2 && offered < 3 * boot + 4 * MIB, `${arch}: ${offered} bytes`);
      }
    });
  }

  for (const [name, suffix, arch] of [
    ['exoscale', 'qcow2', 'amd64'],
    ['vmware', 'ova', 'arm64'],
    ['azure', 'vhd.xz', 'arm64'],
  ] as const) {
    test(`${name}-${arch}.${suffix} has the size that was announced`, async () => {
      const announced = await head(name, arch, suffix);
      const file = join(dir, `${name}.${suffix}`);
      assert.equal(
        await download(factory.url, `/image/${id}/v1.13.0/${name}-${arch}.${suffix}`, file),
        announced,
      );
      const size = (SIZES[name] ?? LARGE)[arch] * MIB;
      if (suffix === 'qcow2') assert.equal(await virtualSize(file, 'qcow2'), size);
      if (suffix === 'ova') assert.equal(await virtualSize(await extracted(file), 'vmdk'), size);
      // Robot mode: the sixth field of the file's line is the size of what is in it (xz(1)).
      const listed = suffix === 'vhd.xz' ? await output('xz', '--robot', '--list', file) : undefined;
      if (listed !== undefined)
        assert.equal(/^file(?:\t\d+){3}\t(\d+)\t/m.exec(listed)?.[1], String(size + 512));
      await rm(file);
    });
  }
});

async function virtualSize(file: string, format: string): Promise<number> {
  const facts = JSON.parse(await output('qemu-img', 'info', '-f', format, '--output=json', file));
  return facts['virtual-size'];
}

/** The disk in an OVA. */
async function extracted(ova: string): Promise<string> {
  const place = await mkdtemp(join(dir, 'ova-'));
  await output('tar', '-xf', ova, '-C', place);
  return join(place, 'disk.vmdk');
}

/** A version whose disks are small, and one path for all. */
const VERSION = 'v1.9.5';
const path = (suffix: string): string => `/image/${id}/${VERSION}/metal-amd64.${suffix}`;
const at = (suffix: string): string => join(dir, `metal.${suffix}`);
const CONTAINERS = ['raw', 'qcow2', 'vhd', 'ova'] as const;

/** How QEMU calls what is compared with the raw disk. */
const QEMU: Readonly<Record<(typeof CONTAINERS)[number], string>> = {
  raw: 'raw',
  qcow2: 'qcow2',
  vhd: 'vpc',
  ova: 'vmdk',
};

/** Unpacks a file, which is gone then, and says where its content lies. Checksums are checked on the way. */
const OUTERS: Readonly<Record<string, (file: string) => Promise<string>>> = {
  xz: async (file) => {
    await output('xz', '--decompress', file);
    return file.slice(0, -'.xz'.length);
  },
  zst: async (file) => {
    await output('zstd', '--quiet', '--decompress', '--sparse', '--rm', file);
    return file.slice(0, -'.zst'.length);
  },
  gz: async (file) => {
    await output('gzip', '--decompress', file);
    return file.slice(0, -'.gz'.length);
  },
  'tar.gz': async (file) => {
    const place = await mkdtemp(join(dir, 'tar-'));
    await output('tar', '-xSf', file, '-C', place);
    assert.deepEqual(await readdir(place), ['disk.raw']);
    await rm(file);
    return join(place, 'disk.raw');
  },
};

const CHECKS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  xz: ['xz', '--test'],
  zst: ['zstd', '--quiet', '--test'],
  gz: ['gzip', '--test'],
  'tar.gz': ['gzip', '--test'],
};

describe('containers and outer formats', () => {
  before(async () => {
    for (const container of CONTAINERS) {
      await download(factory.url, path(container), at(container));
    }
  });

  test('the raw disk has the size of its table', async () => {
    assert.equal((await stat(at('raw'))).size, 1246 * MIB);
  });

  for (const container of ['qcow2', 'vhd', 'ova'] as const) {
    test(`QEMU finds the raw disk in ${container}`, async () => {
      const file = container === 'ova' ? await extracted(at('ova')) : at(container);
      const format = QEMU[container];
      if (container !== 'vhd') await output('qemu-img', 'check', '-f', format, file);
      assert.match(
        await output('qemu-img', 'compare', '-f', 'raw', '-F', format, at('raw'), file),
        /Images are identical/,
      );
    });
  }

  test('a descriptor and a manifest that other programs read', async () => {
    const place = await mkdtemp(join(dir, 'ova-'));
    await output('tar', '-xf', at('ova'), '-C', place);
    const listed = await output('tar', '-tf', at('ova'));
    assert.deepEqual(listed.trim().split('\n'), ['disk.ovf', 'disk.mf', 'disk.vmdk']);
    const digest = async (name: string) =>
      createHash('sha256')
        .update(await readFile(join(place, name)))
        .digest('hex');
    assert.equal(
      await readFile(join(place, 'disk.mf'), 'utf8'),
      `SHA256(disk.vmdk)= ${await digest('disk.vmdk')}\nSHA256(disk.ovf)= ${await digest('disk.ovf')}\n`,
    );
    const facts = JSON.parse(await output('/usr/bin/python3', '-c', OVF_FACTS, join(place, 'disk.ovf')));
    assert.deepEqual(facts, {
      root: 'Envelope',
      file: ['disk.vmdk', String((await stat(join(place, 'disk.vmdk'))).size)],
      disk: ['1246', 'byte * 2^20'],
      system: 'talos',
      items: ['3', '4', '6', '17', '10', '24', '1'],
    });
  });

  for (const outer of Object.keys(OUTERS)) {
    for (const container of CONTAINERS) {
      test(`${container}.${outer} holds the ${container}`, async () => {
        const file = join(dir, `packed.${container}.${outer}`);
        await download(factory.url, path(`${container}.${outer}`), file);
        const check = CHECKS[outer];
        if (check !== undefined && container !== 'raw' && container !== 'vhd') await output(...check, file);
        const found = await OUTERS[outer]!(file);
        await output('cmp', found, at(container));
        await rm(found);
      });
    }
  }
});

const OVF_FACTS = `
import json, sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
ovf = '{http://schemas.dmtf.org/ovf/envelope/1}'
rasd = '{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}'
file, disk = root.find(f'.//{ovf}File'), root.find(f'.//{ovf}Disk')
print(json.dumps({
    'root': root.tag.removeprefix(ovf),
    'file': [file.get(ovf + 'href'), file.get(ovf + 'size')],
    'disk': [disk.get(ovf + 'capacity'), disk.get(ovf + 'capacityAllocationUnits')],
    'system': root.find(f'.//{ovf}VirtualSystem/{ovf}Name').text,
    'items': [item.find(rasd + 'ResourceType').text for item in root.iter(ovf + 'Item')],
}))
`;

/** The digest of a file that comes in parts, none of which is kept. */
async function digestOfParts(suffix: string, parts: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const range of parts) {
    const response = await open(factory.url, path(suffix), { headers: { range } });
    assert.equal(response.statusCode, 206, range);
    for await (const chunk of response) hash.update(chunk);
  }
  return hash.digest('hex');
}

describe('ranges', () => {
  for (const suffix of ['raw', 'vhd', 'raw.zst', 'raw.xz', 'qcow2', 'ova']) {
    test(`parts of ${suffix} put together are the whole`, async () => {
      const answer = await send(factory.url, path(suffix), { method: 'HEAD' });
      const size = Number(answer.headers['content-length']);
      const places = [0, 1, 511, 512, 1 << 20, Math.floor(size / 3), size - 512, size].sort((a, b) => a - b);
      const parts = places.slice(1).map((end, i) => `bytes=${places[i]}-${end - 1}`);
      const whole = (await send(factory.url, `${path(suffix)}.sha256`)).text.split(' ')[0];
      assert.equal(await digestOfParts(suffix, parts), whole);
      const last = await send(factory.url, path(suffix), { headers: { range: 'bytes=-512' } });
      assert.equal(last.headers['content-range'], `bytes ${size - 512}-${size - 1}/${size}`);
      if (suffix === 'vhd') assert.equal(last.body.toString('latin1', 0, 8), 'conectix');
    });
  }
});
