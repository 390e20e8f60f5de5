import type { Blob } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';
import { inOrder } from './in-order.ts';
import { planSegments, type Segment } from './segments.ts';
import { ZSTD_ZERO_UNIT, zstdZeroFrames } from './zstd-zeros.ts';

/** Both give one whole frame with content size and checksum, the same bytes for the same input. */
export interface ZstdCompressor {
  compress(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** For bytes that do not shrink: raw blocks (RFC 8878 §3.1.1.2.2). */
  store(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}

export interface ZstdStreamOptions {
  readonly compressor: ZstdCompressor;
  readonly signal?: AbortSignal | undefined;
}

/** The content of a frame is less than the window that every decoder has (RFC 8878 §3.1.1.1.2: 8 MiB). */
const LIMITS = { minZero: 4096, minPacked: 4096, plain: 1 << 20, packed: 1 << 20 };
const IN_FLIGHT = 4 << 20;

/**
 * A `.zst` file: frames one after the other, each with its content size and checksum, so that every part of
 * the blob is known to have arrived. Zero runs cost 4 bytes for 128 KiB, packed bytes are stored.
 * The size is not known before the end, unless there is no plain extent.
 */
export async function* zstdStream(blob: Blob, options: ZstdStreamOptions): AsyncGenerator<Uint8Array> {
  const { compressor } = options;
  const segments = splitZeros(planSegments(blob, LIMITS));
  // A file of nothing is one frame of nothing.
  if (segments.length === 0) yield await compressor.compress(new Uint8Array(0), options.signal);
  const frames = inOrder(segments, encode, {
    cost: (segment) => (isUnits(segment) ? 0 : segment.length),
    limit: IN_FLIGHT,
    signal: options.signal,
  });
  for await (const some of frames) yield* some;

  async function encode(segment: Segment, signal: AbortSignal): Promise<Iterable<Uint8Array>> {
    if (isUnits(segment)) return zstdZeroFrames(segment.length);
    const bytes = await readRange(blob, segment.offset, segment.length, signal);
    return [
      segment.kind === 'packed'
        ? await compressor.store(bytes, signal)
        : await compressor.compress(bytes, signal),
    ];
  }
}

function isUnits(segment: Segment): boolean {
  return segment.kind === 'zero' && segment.length % ZSTD_ZERO_UNIT === 0;
}

/** What is no whole number of units becomes a segment of its own, at the end. */
function splitZeros(segments: readonly Segment[]): readonly Segment[] {
  return segments.flatMap((segment) => {
    const rest = segment.length % ZSTD_ZERO_UNIT;
    const whole = segment.length - rest;
    if (segment.kind !== 'zero' || rest === 0 || whole === 0) return [segment];
    return [
      { ...segment, length: whole },
      { ...segment, offset: segment.offset + whole, length: rest },
    ];
  });
}
