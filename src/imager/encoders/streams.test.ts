import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { Blob } from '../../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../../blob/bytes.ts';
import { concatBlobs } from '../../blob/compose.ts';
import { anyDisk, collect, contents, mixedDisk, noise, prose } from '../../formats/disk-sample.testing.ts';
import { gzipStream } from '../../formats/gzip-stream.ts';
import { xzStream } from '../../formats/xz-stream.ts';
import { zstdStream } from '../../formats/zstd-stream.ts';
import { type Compressors, diskCompressors } from './compressors.ts';

type Encode = (blob: Blob, compressors: Compressors, signal?: AbortSignal) => AsyncIterable<Uint8Array>;

interface Format {
  readonly name: string;
  readonly encode: Encode;
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
    encode: (blob, { zstd }, signal) => zstdStream(blob, { compressor: zstd, signal }),
    check: ['zstd', '--test', '--quiet'],
    reference: ['zstd', '-18', '--quiet', '--stdout'],
    decoders: [['zstd', '--decompress', '--stdout', '--quiet']],
  },
  {
    name: 'xz',
    encode: (blob, { xz }, signal) => xzStream(blob, { compress: xz, signal }),
    check: ['xz', '--test'],
    reference: ['xz', '-0', '--threads=1', '--stdout'],
    decoders: [['xz', '--decompress', '--stdout'], ['busybox', 'unxz', '-c'], python('lzma')],
  },
  {
    name: 'gz',
    encode: (blob, { deflate }, signal) => gzipStream(blob, { compress: deflate, signal }),
    check: ['gzip', '--test'],
    reference: ['gzip', '-6', '--stdout', '--no-name'],
    decoders: [['gzip', '--decompress', '--stdout'], ['busybox', 'gunzip', '-c'], python('gzip')],
  },
];

function run(command: readonly string[], input: Uint8Array): Buffer {
  const [program = '', ...args] = command;
  return execFileSync(program, args, { input, maxBuffer: 1 << 30, stdio: ['pipe', 'pipe', 'pipe'] });
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const format of formats) {
  test(`${format.name}: a disk is accepted, decoded by every program, and no larger than theirs`, async () => {
    const disk = mixedDisk();
    const bytes = await contents(disk);
    const encoded = await collect(format.encode(disk, diskCompressors()));
    run(format.check, encoded);
    for (const decoder of format.decoders) {
      assert.equal(digest(run(decoder, encoded)), digest(bytes), decoder.join(' '));
    }
    const usual = run(format.reference, bytes).length;
    assert.ok(encoded.length <= usual * 1.1, `${encoded.length} bytes, ${usual} by ${format.reference[0]}`);
    const again = await collect(format.encode(disk, diskCompressors()));
    assert.equal(digest(again), digest(encoded), 'the same bytes every time');
  });

  test(`${format.name}: a bit that changed is noticed`, async () => {
    const disk = concatBlobs([
      zeroBlob(1 << 20),
      bytesBlob(prose(50_000, 1)),
      bytesBlob(noise(50_000, 2), { nature: 'packed' }),
    ]);
    const encoded = await collect(format.encode(disk, diskCompressors()));
    for (let i = 1; i < 12; i++) {
      const damaged = Buffer.from(encoded);
      const at = Math.floor((i * encoded.length) / 12);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      assert.throws(() => run(format.check, damaged), `byte ${at}`);
    }
  });

  test(`${format.name}: nothing at all is a file too`, async () => {
    const encoded = await collect(format.encode(zeroBlob(0), diskCompressors()));
    run(format.check, encoded);
    for (const decoder of format.decoders) assert.equal(run(decoder, encoded).length, 0);
  });

  test(`${format.name}: zero runs of every length`, async () => {
    // Around a match of deflate and of LZMA, a zstd frame, an LZMA2 chunk, and the largest piece of each.
    const lengths = [
      1, 2, 3, 258, 259, 260, 273, 274, 275, 276, 8191, 131_071, 131_073, 2_097_152, 2_097_153, 67_239_937,
    ];
    for (const length of lengths) {
      const encoded = await collect(format.encode(zeroBlob(length), diskCompressors()));
      const [decoder = []] = format.decoders;
      const decoded = run(decoder, encoded);
      assert.equal(decoded.length, length);
      assert.equal(
        decoded.findIndex((byte) => byte !== 0),
        -1,
      );
      assert.ok(encoded.length <= 150 + length / 1000, `${encoded.length} for ${length}`);
    }
  });

  test(`${format.name}: an aborted signal ends the stream`, async () => {
    const controller = new AbortController();
    const stream = format.encode(mixedDisk(), diskCompressors(), controller.signal);
    const drain = async (): Promise<void> => {
      for await (const _ of stream) controller.abort();
    };
    await assert.rejects(drain(), { name: 'AbortError' });
  });
}

test('what goes in comes out, whatever the extents are', async () => {
  const compressors = diskCompressors();
  await fc.assert(
    fc.asyncProperty(anyDisk, async (disk) => {
      const bytes = digest(await contents(disk));
      const [zst, xz, gz] = await Promise.all(
        formats.map(async (format) => await collect(format.encode(disk, compressors))),
      );
      assert.equal(digest(run(['zstd', '--decompress', '--stdout', '--quiet'], zst!)), bytes);
      assert.equal(digest(gunzipSync(gz!)), bytes);
      assert.equal(digest(run(['xz', '--decompress', '--stdout'], xz!)), bytes);
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
  for (const { name, encode } of formats) {
    const packed = await collect(encode(bytesBlob(noise(size, 1), { nature: 'packed' }), diskCompressors()));
    assert.ok(packed.length > size && packed.length < size + 2000, `${name}: ${packed.length}`);
    let zeros = 0;
    for await (const chunk of encode(unreadable, diskCompressors())) zeros += chunk.length;
    assert.ok(zeros < 21 << 20, `${name}: ${zeros} bytes for 20 GiB of zeros`);
  }
});
