import { crc32 } from 'node:zlib';
import type { Blob } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';
import { concatBlobs, sliceBlob } from '../blob/compose.ts';
import { blobCrc32, type ChecksumMemory } from './checksums.ts';
import { DEFLATE_END, deflateStored, deflateZeros } from './gzip-deflate.ts';
import { lazyBytes } from './lazy-bytes.ts';
import { encodePlain, type NatureOf, planSegments, SEGMENT_LIMITS, type Segment } from './segments.ts';
import { combineCrc32, zeroCrc32 } from './zero-crc32.ts';

/**
 * The bytes as blocks of a raw deflate stream that refer to nothing before, none of them the last, ended at a byte
 * by an empty stored block (zlib: `Z_SYNC_FLUSH`); the same output for the same input.
 */
export type DeflateCompressor = (bytes: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>;

export interface GzipFileOptions {
  readonly compress: DeflateCompressor;
  readonly checksums: ChecksumMemory;
  readonly natureOf?: NatureOf;
  readonly signal?: AbortSignal | undefined;
}

/** RFC 1952 §2.3.1: deflate, no flags, no time, nothing about the level, Unix. */
const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
const TRAILER_SIZE = 8;
/** Zero bytes of one piece, whose 64 KiB are made once. */
const ZERO_PIECE = 64 << 20;

interface Encoded {
  readonly pieces: readonly Uint8Array[];
  readonly crc: number;
}

/** A segment encoded; the CRC-32 of what is referred to is there when somebody wants it. */
interface Part {
  readonly blobs: readonly Blob[];
  readonly length: number;
  readonly crc: number | ((signal?: AbortSignal) => Promise<number>);
}

/**
 * A `.gz` file of one member, which even readers that know of one only read whole. Zero runs cost 1 byte
 * for 1032 and are not touched (not for the checksum either); packed bytes are referred to, and read for the
 * checksum when that is read; plain ones are compressed here, into memory.
 */
export async function gzipFile(blob: Blob, options: GzipFileOptions): Promise<Blob> {
  const { compress, checksums, natureOf, signal } = options;
  const segments = planSegments(blob, SEGMENT_LIMITS, natureOf);
  const compressed = await encodePlain(
    blob,
    segments,
    async (bytes, inner): Promise<Encoded> => ({ pieces: [await compress(bytes, inner)], crc: crc32(bytes) }),
    signal,
  );
  const zeros = zeroPieces();
  const parts = segments.map((segment): Part => {
    const encoded = segment.kind === 'zero' ? zeros(segment.length) : compressed.get(segment);
    if (encoded === undefined) return stored(segment);
    return { blobs: encoded.pieces.map(packed), length: segment.length, crc: encoded.crc };
  });
  return concatBlobs([
    packed(HEADER),
    ...parts.flatMap((part) => part.blobs),
    packed(DEFLATE_END),
    lazyBytes(TRAILER_SIZE, (inner) => trailer(parts, inner)),
  ]);

  function stored({ offset, length }: Segment): Part {
    const content = sliceBlob(blob, offset, length);
    return { blobs: [deflateStored(content)], length, crc: (inner) => blobCrc32(content, checksums, inner) };
  }
}

async function trailer(parts: readonly Part[], signal: AbortSignal | undefined): Promise<Uint8Array> {
  let crc = 0;
  let size = 0;
  for (const part of parts) {
    const own = typeof part.crc === 'number' ? part.crc : await part.crc(signal);
    crc = combineCrc32(crc, own, part.length);
    size += part.length;
  }
  const bytes = new DataView(new ArrayBuffer(TRAILER_SIZE));
  bytes.setUint32(0, crc, true);
  // §2.3.1: modulo 2^32.
  bytes.setUint32(4, size % 2 ** 32, true);
  return new Uint8Array(bytes.buffer);
}

/** Makes the pieces of some number of zero bytes; those that are the same share their bytes. */
function zeroPieces(): (length: number) => Encoded {
  let full: Uint8Array | undefined;
  return (length) => {
    const pieces: Uint8Array[] = [];
    let left = length;
    for (; left >= ZERO_PIECE; left -= ZERO_PIECE) {
      full ??= deflateZeros(ZERO_PIECE);
      pieces.push(full);
    }
    if (left > 0) pieces.push(deflateZeros(left));
    return { pieces, crc: zeroCrc32(length) };
  };
}

function packed(bytes: Uint8Array): Blob {
  return bytesBlob(bytes, { nature: 'packed' });
}
