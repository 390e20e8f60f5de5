import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { placedBlob } from '../../blob/compose.ts';
import { readRange } from '../../blob/consume.ts';
import { gptParts } from '../../formats/gpt.ts';
import { diskSize } from '../../talos/disk-size.ts';
import { parseTalosVersion } from '../../talos/version.ts';
import { type PartitioningSpec, partitionDisk } from './partitions.ts';

const MIB = 1 << 20;

function spec(
  version: string,
  bootloader: PartitioningSpec['bootloader'],
  sectorSize: 512 | 4096 = 512,
  offsetLbas = 0,
): PartitioningSpec {
  const parsed = parseTalosVersion(version);
  const size = diskSize('metal', parsed, bootloader);
  return { version: parsed, bootloader, size, sectorSize, overlay: { offsetLbas } };
}

// spec/outputs-disk.md §2.4
const VECTORS = [
  {
    spec: spec('1.11.0', 'sd-boot'),
    mebibytes: 2246,
    layout: 'EFI 2048-4304895, META 4304896-4306943',
    crcs: ['4658f9b0', 'd761d95b', '9efe7f31'],
    head: 'cbdc922e658366cf88f0b813e96cb0ebfbfccf37ce7a6805e59cf67e1f6ae834',
  },
  {
    spec: spec('1.8.0', 'sd-boot'),
    mebibytes: 1246,
    layout: 'EFI 2048-2256895, META 2256896-2258943',
    crcs: ['c4df4811', 'c708e0dc', '1165b1fb'],
    head: '9c76bb2da4d87191977afec8ee55be23502cfc887bb22f8a92f3843f5696c083',
  },
  {
    spec: spec('1.14.0', 'dual-boot'),
    mebibytes: 4247,
    layout: 'EFI 2048-4304895, BIOS 4304896-4306943, BOOT 4306944-8402943, META 8402944-8404991',
    crcs: ['cc3f57c9', '5f5d904d', 'd1bdfe51'],
    head: '08b7e76a56619b80a8880d65a5edb15e1a64a420d4bfc0e8d9d86c9a81b5de22',
  },
  {
    spec: spec('1.10.3', 'dual-boot'),
    mebibytes: 2247,
    layout: 'EFI 2048-2256895, BIOS 2256896-2258943, BOOT 2258944-4306943, META 4306944-4308991',
    crcs: ['19ebaf80', '5aa56694', 'df24daa5'],
    head: '19728317bae3e49e63f56d2376eb760bab0c2031168bcaae9fa72cb92c33d243',
  },
  {
    spec: spec('1.9.5', 'grub'),
    mebibytes: 1246,
    layout: 'EFI 2048-206847, BIOS 206848-208895, BOOT 208896-2256895, META 2256896-2258943',
    crcs: ['b8a91e24', '481a592a', '9e77080d'],
    head: '4a8535b9dba0b8b036cb2f4b30f0e1f3f471547feb8f80a6683b517f71aeb781',
  },
  {
    spec: spec('1.7.6', 'grub'),
    mebibytes: 1246,
    layout:
      'EFI 2048-206847, BIOS 206848-208895, BOOT 208896-2256895, META 2256896-2258943, ' +
      'STATE 2258944-2463743, EPHEMERAL 2463744-2549759',
    crcs: ['4e493cac', '519ef1b5', '87f3a092'],
    head: 'e727f28d9c8750b8db1d74def5bcde8c9dd746590f7e612a2ff80d3a4eda7069',
  },
  {
    spec: spec('1.11.0', 'dual-boot', 4096),
    mebibytes: 4247,
    layout: 'EFI 256-538111, BIOS 538112-538367, BOOT 538368-1050367, META 1050368-1050623',
    crcs: ['23d431fd', '2c9514c7', 'f7c20e33'],
    head: 'daecccbfcc06c627a98809b2e902c5a6dec28ba603302f89f195f5326929c92a',
  },
] as const;

for (const vector of VECTORS) {
  const { version, bootloader, sectorSize, size } = vector.spec;
  test(`${bootloader} 1.${version.minor}, sectors of ${sectorSize}`, async () => {
    assert.equal(size, vector.mebibytes * MIB);
    const table = partitionDisk(vector.spec);
    assert.equal(layoutText(vector.spec), vector.layout);
    const disk = placedBlob(size, gptParts(table));
    const at = async (lba: number, offset: number): Promise<string> => {
      const header = Buffer.from(await readRange(disk, lba * sectorSize, 92));
      return header.readUInt32LE(offset).toString(16).padStart(8, '0');
    };
    assert.deepEqual([await at(1, 88), await at(1, 16), await at(table.lastLba, 16)], vector.crcs);
    const head = await readRange(disk, 0, 2 * sectorSize);
    assert.equal(createHash('sha256').update(head).digest('hex'), vector.head);
  });
}

function layoutText(of: PartitioningSpec): string {
  const { partitions } = partitionDisk(of);
  return partitions.map(({ name, firstLba, lastLba }) => `${name} ${firstLba}-${lastLba}`).join(', ');
}

test('BIOS alone is marked bootable', () => {
  const attributes = partitionDisk(spec('1.12.0', 'dual-boot')).partitions.map((p) => p.attributes);
  assert.deepEqual(attributes, [0n, 4n, 0n, 0n]);
});

test('sizes of all versions and bootloaders (spec/outputs-disk.md §1)', () => {
  const rows: readonly (readonly [string, PartitioningSpec['bootloader'], string])[] = [
    ['1.3.7', 'grub', 'EFI 100, BIOS 1, BOOT 1000, META 1, STATE 100, EPHEMERAL 42'],
    ['1.5.5', 'sd-boot', 'EFI 1101, META 1, STATE 100, EPHEMERAL 42'],
    ['1.7.9', 'sd-boot', 'EFI 1101, META 1, STATE 100, EPHEMERAL 42'],
    ['1.8.0-alpha.0', 'grub', 'EFI 100, BIOS 1, BOOT 1000, META 1'],
    ['1.10.0', 'sd-boot', 'EFI 1101, META 1'],
    ['1.10.0', 'dual-boot', 'EFI 1101, BIOS 1, BOOT 1000, META 1'],
    ['1.11.0-alpha.2', 'grub', 'EFI 100, BIOS 1, BOOT 2000, META 1'],
    ['1.13.0', 'sd-boot', 'EFI 2101, META 1'],
    ['1.14.0', 'dual-boot', 'EFI 2101, BIOS 1, BOOT 2000, META 1'],
  ];
  for (const [version, bootloader, expected] of rows) {
    for (const sectorSize of [512, 4096] as const) {
      const { partitions } = partitionDisk(spec(version, bootloader, sectorSize));
      const sizes = partitions.map(
        ({ name, firstLba, lastLba }) => `${name} ${((lastLba - firstLba + 1) * sectorSize) / MIB}`,
      );
      assert.equal(sizes.join(', '), expected, `${version} ${bootloader} ${sectorSize}`);
    }
  }
});

test('a board keeps room before the entries (spec/outputs-disk.md §2.4)', () => {
  const table = partitionDisk(spec('1.11.0', 'grub', 512, 20480));
  assert.deepEqual([table.entriesLba, table.firstUsableLba], [20482, 22528]);
  assert.equal(
    layoutText(spec('1.11.0', 'grub', 512, 20480)),
    'EFI 22528-227327, BIOS 227328-229375, BOOT 229376-4325375, META 4325376-4327423',
  );
  assert.equal(partitionDisk(spec('1.11.0', 'grub', 4096, 20480)).firstUsableLba * 4096, 81 * MIB);
});

test('a disk that is too small is refused with its sizes', () => {
  const small = { ...spec('1.12.0', 'sd-boot'), size: 2000 * MIB };
  assert.throws(() => partitionDisk(small), {
    kind: 'invalid',
    code: 'DISK_TOO_SMALL',
    message:
      'a disk of 2000 MiB is too small for its partitions (EFI 2101 MiB, META 1 MiB): ' +
      'failed to allocate partition EFI: no allocatable range found',
  });
});

test('impossible sizes and offsets are refused', () => {
  const wanted = spec('1.12.0', 'sd-boot', 4096);
  for (const size of [0, -4096, 4096 * 1000 + 512, Number.NaN, 2 ** 60])
    assert.throws(() => partitionDisk({ ...wanted, size }), { code: 'DISK_SIZE_INVALID' });
  for (const offsetLbas of [-1, 0.5, 2 ** 30])
    assert.throws(() => partitionDisk({ ...wanted, overlay: { offsetLbas } }), {
      code: 'OVERLAY_OFFSET_INVALID',
    });
});
