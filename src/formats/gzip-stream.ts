import { crc32 } from 'node:zlib';
import type { Blob } from '../blob/blob.ts';
import { readRange } from '../blob/consume.ts';
import { DEFLATE_END, deflateStored, deflateZeros } from './gzip-deflate.ts';
import { inOrder } from './in-order.ts';
import { planSegments, type Segment } from './segments.ts';
import { combineCrc32, zeroCrc32 } from './zero-crc32.ts';

/**
 * The bytes as blocks of a raw deflate stream that refer to nothing before, none of them the last, ended at a byte
 * by an empty stored block (zlib: `Z_SYNC_FLUSH`); the same output for the same input.
 */
export type DeflateCompressor = (bytes: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;

export interface GzipStreamOptions {
  readonly compress: DeflateCompressor;
  readonly signal?: AbortSignal | undefined;
}

/** RFC 1952 §2.3.1: deflate, no flags, no time, nothing about the level, Unix. */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);

const LIMITS = { minZero: 4096, minPacked: 4096, plain: 1 << 20, packed: 1 << 20 };
const IN_FLIGHT = 4 << 20;
/** Zero bytes of one piece, whose 64 KiB are made once. */
const ZERO_PIECE = 64 << 20;

interface Encoded {
  readonly pieces: Iterable<Uint8Array>;
  readonly crc: number;
  readonly length: number;
}

/**
 * A `.gz` file of one member, which even readers that know of one only read whole. Zero runs cost 1 byte
 * for 1032 and are not touched (not for the checksum either); packed bytes are stored.
 * The size is not known before the end, unless there is no plain extent.
 */
export async function* gzipStream(blob: Blob, options: GzipStreamOptions): AsyncGenerator<Uint8Array> {
  yield HEADER;
  let crc = 0;
  let zeroPiece: Uint8Array | undefined;
  const encoded = inOrder(planSegments(blob, LIMITS), encode, {
    cost: (segment) => (segment.kind === 'zero' ? 0 : segment.length),
    limit: IN_FLIGHT,
    signal: options.signal,
  });
  for await (const part of encoded) {
    yield* part.pieces;
    crc = combineCrc32(crc, part.crc, part.length);
  }
  yield DEFLATE_END;
  const trailer = new DataView(new ArrayBuffer(8));
  trailer.setUint32(0, crc, true);
  // §2.3.1: modulo 2^32.
  trailer.setUint32(4, blob.size % 2 ** 32, true);
  yield new Uint8Array(trailer.buffer);

  async function encode({ kind, offset, length }: Segment, signal: AbortSignal): Promise<Encoded> {
    if (kind === 'zero') return { pieces: zeros(length), crc: zeroCrc32(length), length };
    const bytes = await readRange(blob, offset, length, signal);
    const piece = kind === 'packed' ? deflateStored(bytes) : await options.compress(bytes, signal);
    return { pieces: [piece], crc: crc32(bytes), length };
  }

  function* zeros(length: number): Iterable<Uint8Array> {
    let left = length;
    for (; left >= ZERO_PIECE; left -= ZERO_PIECE) {
      zeroPiece ??= deflateZeros(ZERO_PIECE);
      yield zeroPiece;
    }
    if (left > 0) yield deflateZeros(left);
  }
}
