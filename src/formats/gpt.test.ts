import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { placedBlob, sliceBlob } from '../blob/compose.ts';
import { readRange, sha256, writeBlob } from '../blob/consume.ts';
import { type DiskSpec, type GptTable, gptParts, layoutDisk, type PartitionRequest } from './gpt.ts';
import { readGpt } from './gpt-reader.ts';
import { efiGuidBytes, efiGuidText, guidOfName } from './guid.ts';
import { mbrSector, protectiveMbr, readMbr } from './mbr.ts';

const run = promisify(execFile);
const MIB = 1 << 20;
const ESP = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';
const BIOS = '21686148-6449-6e6f-744e-656564454649';
const LINUX = '0fc63daf-8483-4772-8e79-3d69d8477de4';

function request(name: string, size: number | 'rest'): PartitionRequest {
  const typeGuid = name === 'EFI' ? ESP : name === 'BIOS' ? BIOS : LINUX;
  const attributes = name === 'BIOS' ? 4n : 0n;
  return { name, typeGuid, guid: guidOfName(name), size: size === 'rest' ? size : size * MIB, attributes };
}

interface Vector {
  readonly name: string;
  readonly size: number;
  readonly sectorSize?: 512 | 4096;
  readonly skip?: number;
  readonly partitions: Readonly<Record<string, number | 'rest'>>;
  readonly places: readonly (readonly [string, number, number])[];
  readonly checks?: readonly [entries: string, primary: string, secondary: string, head: string];
}

/** `spec/outputs-disk.md` §2.4. */
const vectors: readonly Vector[] = [
  {
    name: 'sd-boot >= 1.11',
    size: 2246,
    partitions: { EFI: 2101, META: 1 },
    places: [
      ['EFI', 2048, 4304895],
      ['META', 4304896, 4306943],
    ],
    checks: [
      '4658f9b0',
      'd761d95b',
      '9efe7f31',
      'cbdc922e658366cf88f0b813e96cb0ebfbfccf37ce7a6805e59cf67e1f6ae834',
    ],
  },
  {
    name: 'sd-boot 1.10',
    size: 1246,
    partitions: { EFI: 1101, META: 1 },
    places: [
      ['EFI', 2048, 2256895],
      ['META', 2256896, 2258943],
    ],
    checks: [
      'c4df4811',
      'c708e0dc',
      '1165b1fb',
      '9c76bb2da4d87191977afec8ee55be23502cfc887bb22f8a92f3843f5696c083',
    ],
  },
  {
    name: 'dual >= 1.11',
    size: 4247,
    partitions: { EFI: 2101, BIOS: 1, BOOT: 2000, META: 1 },
    places: [
      ['EFI', 2048, 4304895],
      ['BIOS', 4304896, 4306943],
      ['BOOT', 4306944, 8402943],
      ['META', 8402944, 8404991],
    ],
    checks: [
      'cc3f57c9',
      '5f5d904d',
      'd1bdfe51',
      '08b7e76a56619b80a8880d65a5edb15e1a64a420d4bfc0e8d9d86c9a81b5de22',
    ],
  },
  {
    name: 'dual 1.10',
    size: 2247,
    partitions: { EFI: 1101, BIOS: 1, BOOT: 1000, META: 1 },
    places: [
      ['EFI', 2048, 2256895],
      ['BIOS', 2256896, 2258943],
      ['BOOT', 2258944, 4306943],
      ['META', 4306944, 4308991],
    ],
    checks: [
      '19ebaf80',
      '5aa56694',
      'df24daa5',
      '19728317bae3e49e63f56d2376eb760bab0c2031168bcaae9fa72cb92c33d243',
    ],
  },
  {
    name: 'grub 1.8',
    size: 1246,
    partitions: { EFI: 100, BIOS: 1, BOOT: 1000, META: 1 },
    places: [
      ['EFI', 2048, 206847],
      ['BIOS', 206848, 208895],
      ['BOOT', 208896, 2256895],
      ['META', 2256896, 2258943],
    ],
    checks: [
      'b8a91e24',
      '481a592a',
      '9e77080d',
      '4a8535b9dba0b8b036cb2f4b30f0e1f3f471547feb8f80a6683b517f71aeb781',
    ],
  },
  {
    name: 'grub < 1.8',
    size: 1246,
    partitions: { EFI: 100, BIOS: 1, BOOT: 1000, META: 1, STATE: 100, EPHEMERAL: 'rest' },
    places: [
      ['EFI', 2048, 206847],
      ['BIOS', 206848, 208895],
      ['BOOT', 208896, 2256895],
      ['META', 2256896, 2258943],
      ['STATE', 2258944, 2463743],
      ['EPHEMERAL', 2463744, 2549759],
    ],
    checks: [
      '4e493cac',
      '519ef1b5',
      '87f3a092',
      'e727f28d9c8750b8db1d74def5bcde8c9dd746590f7e612a2ff80d3a4eda7069',
    ],
  },
  {
    name: 'dual >= 1.11, sectors of 4096 bytes',
    size: 4247,
    sectorSize: 4096,
    partitions: { EFI: 2101, BIOS: 1, BOOT: 2000, META: 1 },
    places: [
      ['EFI', 256, 538111],
      ['BIOS', 538112, 538367],
      ['BOOT', 538368, 1050367],
      ['META', 1050368, 1050623],
    ],
    checks: [
      '23d431fd',
      '2c9514c7',
      'f7c20e33',
      'daecccbfcc06c627a98809b2e902c5a6dec28ba603302f89f195f5326929c92a',
    ],
  },
  {
    name: 'rockchip overlay',
    size: 2246,
    skip: 20480,
    partitions: { EFI: 100, BIOS: 1, BOOT: 2000, META: 1 },
    places: [
      ['EFI', 22528, 227327],
      ['BIOS', 227328, 229375],
      ['BOOT', 229376, 4325375],
      ['META', 4325376, 4327423],
    ],
  },
];

function specOf(vector: Vector): DiskSpec {
  return {
    size: vector.size * MIB,
    sectorSize: vector.sectorSize ?? 512,
    diskGuid: guidOfName('talos-image-disk'),
    skip: vector.skip ?? 0,
    partitions: Object.entries(vector.partitions).map(([name, size]) => request(name, size)),
  };
}

function diskOf(table: GptTable): Blob {
  return placedBlob((table.lastLba + 1) * table.sectorSize, gptParts(table));
}

test('layouts and bytes of the specification', async (t) => {
  for (const vector of vectors) {
    await t.test(vector.name, async () => {
      const spec = specOf(vector);
      const table = layoutDisk(spec);
      assert.deepEqual(
        table.partitions.map(({ name, firstLba, lastLba }) => [name, firstLba, lastLba]),
        vector.places,
      );
      assert.equal(table.entriesLba, 2 + (vector.skip ?? 0));
      const disk = diskOf(table);
      assert.equal(disk.size, spec.size);
      assert.deepEqual(await readGpt(disk, spec.sectorSize), table);
      if (vector.checks === undefined) return;
      const hex = async (lba: number, offset: number): Promise<string> =>
        Buffer.from(await readRange(disk, lba * spec.sectorSize + offset, 4))
          .readUInt32LE()
          .toString(16)
          .padStart(8, '0');
      assert.deepEqual(
        [
          await hex(1, 88),
          await hex(1, 16),
          await hex(table.lastLba, 16),
          await sha256(sliceBlob(disk, 0, 2 * spec.sectorSize)),
        ],
        vector.checks,
      );
    });
  }
});

test('last usable sector for sectors of 4096 bytes', () => {
  const table = layoutDisk({ size: 4247 * MIB, sectorSize: 4096, diskGuid: guidOfName('x'), partitions: [] });
  assert.deepEqual([table.lastLba, table.lastUsableLba], [1087231, 1087226]);
});

test('GUIDs of names', () => {
  const names = {
    'talos-image-disk': 'd92d45b3-cde9-8760-be9f-a2a71fac8d11',
    EFI: 'bca5174b-0118-8a6a-af0b-2c6e1585acae',
    BIOS: 'a2a02ff5-d88d-8e6e-9c95-26b9b6c80bc3',
    BOOT: '24c73076-4092-85dd-9d98-686a2dbf6d81',
    META: 'cf04f137-101e-8ec6-9627-fa3f51cdabb8',
    STATE: 'f7f88648-df7c-8acb-b4d2-6f124659d923',
    EPHEMERAL: 'c5e02400-0e5e-80bc-99ec-53b3e45ad6c4',
    IMAGECACHE: '3b5449bc-c21f-8009-8b51-18945967f8df',
  };
  for (const [name, guid] of Object.entries(names)) assert.equal(guidOfName(name), guid);
  const bytes = '28732ac11ff8d211ba4b00a0c93ec93b';
  assert.equal(Buffer.from(efiGuidBytes(ESP)).toString('hex'), bytes);
  assert.equal(efiGuidText(Buffer.from(bytes, 'hex')), ESP);
  assert.throws(() => efiGuidBytes('EFI'), RangeError);
});

test('a partition that does not fit is named', () => {
  for (const size of [98, 'rest'] as const) {
    const partitions = [request('EFI', size === 'rest' ? 98 : 1), request('META', size)];
    assert.throws(
      () => layoutDisk({ size: 100 * MIB, sectorSize: 512, diskGuid: guidOfName('x'), partitions }),
      {
        code: 'PARTITION_NO_ROOM',
        message: `failed to allocate partition META: no allocatable range found`,
      },
    );
  }
});

test('every changed byte of header or entries is noticed', async () => {
  const table = layoutDisk(specOf(vectors[0] as Vector));
  const parts = gptParts(table);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.nat(91),
      fc.integer({ min: 1, max: 255 }),
      async (i, at, bit) => {
        const changed = await Promise.all(
          parts.map(async (part, index) => {
            if (index !== i) return part;
            const bytes = await readRange(part.blob, 0, part.blob.size);
            bytes[at] = (bytes[at] as number) ^ bit;
            return { offset: part.offset, blob: bytesBlob(bytes) };
          }),
        );
        await assert.rejects(readGpt(placedBlob(2246 * MIB, changed), 512), { code: 'GPT_INVALID' });
      },
    ),
    { numRuns: 100 },
  );
});

test('a header that lies about itself with a right checksum is refused', async (t) => {
  const table = layoutDisk(specOf(vectors[0] as Vector));
  const lies: readonly (readonly [string, (header: Buffer) => void])[] = [
    ['header size', (header) => void header.writeUInt32LE(600, 12)],
    ['entry size', (header) => void header.writeUInt32LE(1, 84)],
    ['count', (header) => void header.writeUInt32LE(0xffffffff, 80)],
    ['entries beyond the end', (header) => void header.writeBigUInt64LE(2n ** 60n, 72)],
    ['entries at the end', (header) => void header.writeBigUInt64LE(BigInt(table.lastLba), 72)],
    ['own address', (header) => void header.writeBigUInt64LE(7n, 24)],
    ['other address', (header) => void header.writeBigUInt64LE(2n ** 40n, 32)],
  ];
  for (const [name, lie] of lies) {
    await t.test(name, async () => {
      const parts = await Promise.all(
        gptParts(table).map(async (part, index) => {
          if (index !== 1) return part;
          const header = Buffer.from(await readRange(part.blob, 0, 512));
          lie(header);
          header.writeUInt32LE(0, 16);
          header.writeUInt32LE(crc32(header.subarray(0, 92)), 16);
          return { offset: part.offset, blob: bytesBlob(header) };
        }),
      );
      await assert.rejects(readGpt(placedBlob(2246 * MIB, parts), 512), { code: 'GPT_INVALID' });
    });
  }
});

test('sgdisk finds no problem', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'gpt-'));
  t.after(() => rm(dir, { recursive: true }));
  for (const [i, vector] of vectors.entries()) {
    // sgdisk takes a plain file to have sectors of 512 bytes.
    if (vector.sectorSize === 4096) continue;
    const file = join(dir, String(i));
    await writeBlob(diskOf(layoutDisk(specOf(vector))), file);
    const { stdout } = await run('sgdisk', ['-v', file]);
    assert.match(stdout, /No problems found/, vector.name);
    assert.doesNotMatch(stdout, /Problem:|corrupt|invalid/, vector.name);
  }
});

test('master boot records', () => {
  const code = new Uint8Array(512).fill(0xaa);
  const pmbr = Buffer.from(protectiveMbr(2 ** 33, code));
  assert.equal(
    pmbr.toString('hex', 440, 512),
    `${'aa'.repeat(6)}00000200eeffffff01000000ffffffff${'00'.repeat(48)}55aa`,
  );
  const partitions = [
    { status: 0, type: 0x83, firstLba: 64, sectors: 32704 },
    { status: 0x80, type: 0xef, firstLba: 32768, sectors: 2 ** 25 },
  ];
  const sector = mbrSector(partitions);
  assert.deepEqual(
    readMbr(sector).map(({ chs: _, ...partition }) => partition),
    partitions,
  );
  // 64 = head 1, sector 2; the end of the second lies beyond what cylinders can say.
  assert.equal(Buffer.from(sector).toString('hex', 447, 450), '010200');
  assert.equal(Buffer.from(sector).toString('hex', 467, 470), 'feffff');
  assert.throws(() => readMbr(new Uint8Array(512)), { code: 'MBR_INVALID' });
});
