import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';

/** Bytes that do not shrink and are the same for the same seed. */
export function noise(length: number, seed: number): Uint8Array {
  return createHash('shake256', { outputLength: length }).update(String(seed)).digest();
}

/** Bytes that shrink: lines of changing numbers. */
export function prose(length: number, seed: number): Uint8Array {
  const lines: string[] = [];
  for (let i = 0, size = 0; size < length; i++) {
    const line = `inode ${(i * 7919 + seed) % 100003}: mode 0644, owner 0, blocks ${(i * 31) % 4096}\n`;
    lines.push(line);
    size += line.length;
  }
  return Buffer.from(lines.join('')).subarray(0, length);
}

/** What a disk image is made of, small: tables, a compressed kernel, files, and much emptiness. */
export function mixedDisk(): Blob {
  const packed = (length: number, seed: number): Blob =>
    bytesBlob(noise(length, seed), { nature: 'packed', key: `noise-${seed}` });
  return wholeSectors([
    bytesBlob(prose(3000, 1)),
    zeroBlob((1 << 20) - 3000),
    bytesBlob(prose(700_000, 2)),
    packed(5_000_001, 3),
    zeroBlob(511),
    packed(100, 4),
    bytesBlob(prose(2_500_000, 5)),
    zeroBlob(20 << 20),
    packed(3_333_333, 6),
    zeroBlob((9 << 20) + 77_777),
    bytesBlob(prose(512, 7)),
  ]);
}

function wholeSectors(parts: readonly Blob[]): Blob {
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  return concatBlobs([...parts, zeroBlob((512 - (size % 512)) % 512)]);
}

/** Disks of whole sectors with any extents, long and short, some of whose plain ones are empty after all. */
export const anyDisk: fc.Arbitrary<Blob> = fc
  .array(
    fc.record({
      kind: fc.constantFrom('zero', 'packed', 'plain', 'empty'),
      length: fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 300_000 })),
      seed: fc.nat(1000),
    }),
    { maxLength: 12 },
  )
  .map((parts) => {
    const blobs = parts.map(({ kind, length, seed }) => {
      if (kind === 'zero') return zeroBlob(length);
      if (kind === 'packed') return bytesBlob(noise(length, seed), { nature: 'packed' });
      return bytesBlob(kind === 'plain' ? prose(length, seed) : new Uint8Array(length));
    });
    return wholeSectors(blobs);
  });

export async function contents(blob: Blob): Promise<Buffer> {
  return Buffer.from(await readRange(blob, 0, blob.size));
}
