import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { concatBlobs, sliceBlob } from '../blob/compose.ts';
import { readRange } from '../blob/consume.ts';
import { type ChecksumMemory, rememberedChecksum } from './checksums.ts';
import { lazyBytes } from './lazy-bytes.ts';
import { encodePlain, type NatureOf, planSegments, SEGMENT_LIMITS, type Segment } from './segments.ts';
import { ZSTD_CHECKSUM_SIZE, zstdRawBlocks } from './zstd-blocks.ts';
import { ZSTD_ZERO_UNIT, zstdZeroFrames } from './zstd-zeros.ts';

export interface ZstdCompressor {
  /** One whole frame with content size and checksum, the same bytes for the same input. */
  compress(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** The checksum of a frame: the lower half of XXH64 (RFC 8878 §3.1.1). */
  checksum(bytes: Uint8Array, signal?: AbortSignal): Promise<number>;
}

export interface ZstdFileOptions {
  readonly compressor: ZstdCompressor;
  readonly checksums: ChecksumMemory;
  readonly natureOf?: NatureOf;
  readonly signal?: AbortSignal | undefined;
}

/** Packed bytes of one frame, which are held in memory together for their checksum. */
const LIMITS = { ...SEGMENT_LIMITS, packed: 2 << 20 };

/**
 * A `.zst` file: frames one after the other, each with its content size and checksum, so that every part of
 * the blob is known to have arrived. Zero runs cost 4 bytes for 128 KiB; packed bytes are referred to, and read
 * for their checksum when that is read; plain ones are compressed here, into memory.
 */
export async function zstdFile(blob: Blob, options: ZstdFileOptions): Promise<Blob> {
  const { compressor, checksums, natureOf, signal } = options;
  const segments = splitZeros(planSegments(blob, LIMITS, natureOf));
  const compressed = await encodePlain(
    blob,
    segments,
    (bytes, inner) => compressor.compress(bytes, inner),
    signal,
  );
  const zeroFrames = zstdZeroFrames();
  // A file of nothing is one frame of nothing.
  if (segments.length === 0) return packed(await compressor.compress(new Uint8Array(0), signal));
  return concatBlobs(
    segments.flatMap((segment) => {
      if (segment.kind === 'zero') return zeroFrames(segment.length).map(packed);
      const frame = compressed.get(segment);
      return [frame === undefined ? rawFrame(segment) : packed(frame)];
    }),
  );

  function rawFrame({ offset, length }: Segment): Blob {
    const content = sliceBlob(blob, offset, length);
    const checksum = lazyBytes(ZSTD_CHECKSUM_SIZE, async (inner) => {
      const value = await rememberedChecksum('xxh64', content, checksums, async () =>
        compressor.checksum(await readRange(content, 0, length, inner), inner),
      );
      const bytes = new Uint8Array(ZSTD_CHECKSUM_SIZE);
      new DataView(bytes.buffer).setUint32(0, value, true);
      return bytes;
    });
    return concatBlobs([zstdRawBlocks(content), checksum]);
  }
}

function packed(bytes: Uint8Array): Blob {
  return bytesBlob(bytes, { nature: 'packed' });
}

/** What is no whole number of units becomes a segment of its own, at the end, for the compressor. */
function splitZeros(segments: readonly Segment[]): readonly Segment[] {
  return segments.flatMap((segment): readonly Segment[] => {
    const rest = segment.length % ZSTD_ZERO_UNIT;
    const whole = segment.length - rest;
    if (segment.kind !== 'zero' || rest === 0) return [segment];
    const last: Segment = { kind: 'plain', offset: segment.offset + whole, length: rest };
    return whole === 0 ? [last] : [{ ...segment, length: whole }, last];
  });
}
