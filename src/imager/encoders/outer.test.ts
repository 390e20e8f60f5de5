import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Blob, LeafBlob } from '../../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../../blob/bytes.ts';
import { concatBlobs } from '../../blob/compose.ts';
import { readRange, sha256 } from '../../blob/consume.ts';
import { fromPortable, toPortable } from '../../blob/portable.ts';
import { anyDisk, contents, mixedDisk, noise, prose } from '../../formats/disk-sample.testing.ts';
import { diskCompressors } from './compressors.ts';
import { encodeOuter } from './formats.ts';

interface Format {
  readonly name: 'zst' | 'xz' | 'gz';
  /** A program that checks a file on its standard input, and one that makes one, for the size. */
  readonly check: readonly string[];
  readonly reference: readonly string[];
  /** Programs that decode standard input. */
  readonly decoders: readonly (readonly string[])[];
}

const python = (module: string): readonly string[] => [
  '/usr/bin/python3',
  '-c',
  `import sys, ${module}; sys.stdout.buffer.write(${module}.decompress(sys.stdin.buffer.read()))`,
];

const formats: readonly Format[] = [
  {
    name: 'zst',
    check: ['zstd', '--test', '--quiet'],
    reference: ['zstd', '-18', '--quiet', '--stdout'],
    decoders: [['zstd', '--decompress', '--stdout', '--quiet']],
  },
  {
    name: 'xz',
    check: ['xz', '--test'],
    reference: ['xz', '-0', '--threads=1', '--stdout'],
    decoders: [['xz', '--decompress', '--stdout'], ['busybox', 'unxz', '-c'], python('lzma')],
  },
  {
    name: 'gz',
    check: ['gzip', '--test'],
    reference: ['gzip', '-6', '--stdout', '--no-name'],
    decoders: [['gzip', '--decompress', '--stdout'], ['busybox', 'gunzip', '-c'], python('gzip')],
  },
];

function run(command: readonly string[], input: Uint8Array): Buffer {
  const [program = '', ...args] = command;
  return execFileSync(program, args, { input, maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** The bytes of the encoded file, whose size has to have been true. */
async function encoded(blob: Blob, format: Format['name']): Promise<Buffer> {
  return await contents(await encodeOuter(blob, format, diskCompressors()));
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const format of formats) {
  test(`${format.name}: a disk is accepted, decoded by every program, and no larger than theirs`, async () => {
    const disk = mixedDisk();
    const bytes = await contents(disk);
    const file = await encoded(disk, format.name);
    run(format.check, file);
    for (const decoder of format.decoders) {
      assert.equal(digest(run(decoder, file)), digest(bytes), decoder.join(' '));
    }
    const usual = run(format.reference, bytes).length;
    assert.ok(file.length <= usual * 1.1, `${file.length} bytes, ${usual} by ${format.reference[0]}`);
    const again = await encoded(disk, format.name);
    assert.equal(digest(again), digest(file), 'the same bytes every time');
  });

  test(`${format.name}: a bit that changed is noticed`, async () => {
    const disk = concatBlobs([
      zeroBlob(1 << 20),
      bytesBlob(prose(50_000, 1)),
      bytesBlob(noise(50_000, 2), { nature: 'packed' }),
    ]);
    const file = await encoded(disk, format.name);
    for (let i = 1; i < 12; i++) {
      const damaged = Buffer.from(file);
      const at = Math.floor((i * file.length) / 12);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      assert.throws(() => run(format.check, damaged), `byte ${at}`);
    }
  });

  test(`${format.name}: nothing at all is a file too`, async () => {
    const file = await encoded(zeroBlob(0), format.name);
    run(format.check, file);
    for (const decoder of format.decoders) assert.equal(run(decoder, file).length, 0);
  });

  test(`${format.name}: zero runs of every length`, async () => {
    // Around a match of deflate and of LZMA, a zstd frame, an LZMA2 chunk, and the largest piece of each.
    const lengths = [
      1, 2, 3, 258, 259, 260, 273, 274, 275, 276, 8191, 131_071, 131_073, 2_097_152, 2_097_153, 67_239_937,
    ];
    for (const length of lengths) {
      const file = await encoded(zeroBlob(length), format.name);
      const [decoder = []] = format.decoders;
      const decoded = run(decoder, file);
      assert.equal(decoded.length, length);
      assert.equal(
        decoded.findIndex((byte) => byte !== 0),
        -1,
      );
      assert.ok(file.length <= 150 + length / 1000, `${file.length} for ${length}`);
    }
  });

  test(`${format.name}: an aborted signal ends encoding and reading`, async () => {
    const aborted = AbortSignal.abort();
    const disk = mixedDisk();
    await assert.rejects(encodeOuter(disk, format.name, diskCompressors(), aborted), { name: 'AbortError' });
    const file = await encodeOuter(disk, format.name, diskCompressors());
    await assert.rejects(readRange(file, 0, file.size, aborted), { name: 'AbortError' });
  });

  test(`${format.name}: the map of the file tells of the same bytes, in another thread too`, async () => {
    const file = await encodeOuter(mixedDisk(), format.name, diskCompressors());
    assert.equal(await sha256(fromPortable(await toPortable(file))), await sha256(file));
  });

  test(`${format.name}: packed bytes are not read for the size, nor a second time for the checksum`, async () => {
    const compressors = diskCompressors();
    let read = 0;
    const leaf = bytesBlob(noise(3 << 20, 1), { nature: 'packed', key: 'noise' });
    const watched: LeafBlob = {
      ...leaf,
      read(offset, length, signal) {
        read += length;
        return leaf.read(offset, length, signal);
      },
      extents: () => [{ kind: 'data', offset: 0, length: leaf.size, source: watched, sourceOffset: 0 }],
    };
    const files: Buffer[] = [];
    // Behind something else, as in an image of other options.
    for (const before of [10, 20_000]) {
      const disk = concatBlobs([bytesBlob(prose(before, 1)), zeroBlob(100_000), watched]);
      const file = await encodeOuter(disk, format.name, compressors);
      assert.equal(read, 0, `for the size, behind ${before}`);
      files.push(await contents(file));
      run(format.check, files.at(-1)!);
      assert.equal(read, files.length === 1 ? 2 * leaf.size : leaf.size);
      read = 0;
    }
    // Nor is it known by another name.
    const other = { ...leaf, key: 'other' };
    const file = await encodeOuter(other, format.name, compressors);
    run(format.check, await contents(file));
  });
}

test('what goes in comes out, whatever the extents are, and any range is a part of the whole', async () => {
  const compressors = diskCompressors();
  const decode = {
    zst: (file: Buffer) => run(['zstd', '--decompress', '--stdout', '--quiet'], file),
    gz: (file: Buffer) => gunzipSync(file),
    xz: (file: Buffer) => run(['xz', '--decompress', '--stdout'], file),
  };
  await fc.assert(
    fc.asyncProperty(anyDisk, fc.array(fc.tuple(fc.nat(), fc.nat())), async (disk, ranges) => {
      const bytes = digest(await contents(disk));
      for (const { name } of formats) {
        const file = await encodeOuter(disk, name, compressors);
        // Before the whole is read, so that what is made when it is read is made for a part.
        const parts = await Promise.all(
          ranges.map(async ([a, b]) => {
            const offset = a % (file.size + 1);
            const length = b % (file.size - offset + 1);
            return { offset, length, part: Buffer.from(await readRange(file, offset, length)) };
          }),
        );
        const whole = Buffer.concat(await Array.fromAsync(file.read(0, file.size)));
        assert.equal(whole.length, file.size);
        assert.equal(digest(decode[name](whole)), bytes);
        for (const { offset, length, part } of parts) {
          assert.ok(part.equals(whole.subarray(offset, offset + length)), `${name}: ${offset}+${length}`);
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('packed bytes are stored, and zeros are not read', async () => {
  const size = 9 << 20;
  const unreadable: Blob = {
    size: 20 * 2 ** 30,
    read: () => {
      throw new Error('zeros were read');
    },
    extents: () => [{ kind: 'zero', offset: 0, length: 20 * 2 ** 30 }],
  };
  for (const { name } of formats) {
    const packed = await encodeOuter(
      bytesBlob(noise(size, 1), { nature: 'packed' }),
      name,
      diskCompressors(),
    );
    assert.ok(packed.size > size && packed.size < size + 2000, `${name}: ${packed.size}`);
    const zeros = await encodeOuter(unreadable, name, diskCompressors());
    let length = 0;
    for await (const chunk of zeros.read(0, zeros.size)) length += chunk.length;
    assert.equal(length, zeros.size);
    assert.ok(length < 21 << 20, `${name}: ${length} bytes for 20 GiB of zeros`);
  }
});

test('what was compressed once is not compressed again', async () => {
  const { zstd, xz, deflate, grain } = diskCompressors();
  for (const compress of [zstd.compress, xz, deflate, grain]) {
    const first = await compress(prose(10_000, 1));
    assert.equal(await compress(prose(10_000, 1)), first);
    assert.notDeepEqual(await compress(prose(10_000, 2)), first);
  }
});

test('a large leaf that calls itself plain and does not shrink is stored', async () => {
  for (const { name } of formats) {
    let asked = 0;
    const compressors = diskCompressors();
    const refuse = async (): Promise<never> => {
      asked++;
      throw new Error('noise was compressed');
    };
    const none = {
      ...compressors,
      zstd: { ...compressors.zstd, compress: refuse },
      xz: refuse,
      deflate: refuse,
    };
    const file = await encodeOuter(bytesBlob(noise(2 << 20, 1)), name, none);
    assert.ok(file.size > 2 << 20 && asked === 0);
    await assert.rejects(encodeOuter(bytesBlob(prose(2 << 20, 1)), name, none), /noise was compressed/);
  }
});
