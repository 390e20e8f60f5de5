import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { FactoryError, isAbort } from '../errors.ts';
import { zstdFrames } from '../formats/zstd-frames.ts';
import { runProgram } from './run.ts';

export type StreamCompression = 'gzip' | 'zstd' | 'xz' | 'none';

export interface DecompressOptions {
  /** The most bytes that may come out; more is an error. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of one decoded chunk: with the 16 KiB of node:zlib most of the time goes into handing them over. */
const DECODED_CHUNK = 128 << 10;
/** Errors that mean a damaged stream here. */
const DAMAGE_CODES: ReadonlySet<string> = new Set(['PROGRAM_FAILED', 'ZSTD_INVALID']);

/** What the first bytes of a stream say (6 are enough); `none` for all that is not known. */
export function compressionOf(start: Uint8Array): StreamCompression {
  const hex = Buffer.from(start.subarray(0, 6)).toString('hex');
  if (hex.startsWith('1f8b08')) return 'gzip';
  // A zstd frame, or a skippable one before it (RFC 8878 §3.1).
  if (hex.startsWith('28b52ffd') || /^5.2a4d18/.test(hex)) return 'zstd';
  if (hex === 'fd377a585a00') return 'xz';
  return 'none';
}

/**
 * The decompressed form of a stream that is gzip, zstd or xz by its first bytes; any other stream as it is.
 * Streams of one format that follow one another decompress to one. The source is read to its end, and its errors
 * are passed on as they are. Throws `invalid` `DECOMPRESSION_LIMIT` when more than `limit` bytes come out and
 * `DECOMPRESSION_FAILED` for damaged or cut off streams.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  { limit, signal }: DecompressOptions,
): AsyncIterable<Uint8Array> {
  const watched = new WatchedSource(source);
  const { start, all } = await peek(watched);
  const compression = compressionOf(start);
  let size = 0;
  try {
    for await (const chunk of decode(compression, all, signal)) {
      signal?.throwIfAborted();
      size += chunk.length;
      if (size > limit) {
        throw new FactoryError(
          'invalid',
          'DECOMPRESSION_LIMIT',
          `a ${compression === 'none' ? 'plain' : compression} stream decompresses to more than ${limit} bytes`,
        );
      }
      yield chunk;
    }
  } catch (error) {
    if (watched.failed) throw watched.error;
    if (isAbort(error) || (error instanceof FactoryError && !DAMAGE_CODES.has(error.code))) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new FactoryError(
      'invalid',
      'DECOMPRESSION_FAILED',
      `cannot decompress a ${compression} stream: ${reason}`,
      {
        cause: error,
      },
    );
  }
}

function decode(
  compression: StreamCompression,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return source;
    case 'gzip':
      return through(createGunzip({ chunkSize: DECODED_CHUNK }), source, signal);
    case 'zstd':
      return throughZstd(source, signal);
    case 'xz':
      return throughXz(source, signal);
  }
}

async function* through(
  decoder: NodeJS.ReadWriteStream & AsyncIterable<Uint8Array>,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const fed = pipeline(source, decoder, signal === undefined ? {} : { signal });
  // Reading the decoder gives the same error.
  fed.catch(() => {});
  for await (const chunk of decoder) yield chunk;
  await fed;
}

/** Frame by frame, because node:zlib forgets what follows a frame in the same chunk. */
async function* throughZstd(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  for await (const frame of zstdFrames(source))
    yield* through(createZstdDecompress({ chunkSize: DECODED_CHUNK }), frame, signal);
}

async function* throughXz(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const run = runProgram({
    program: 'xz',
    args: ['--decompress', '--format=xz', '--threads=1', '--stdout', '--quiet'],
    stdin: source,
    onOutput: (chunk) => writer.write(chunk),
    ...(signal === undefined ? {} : { signal }),
  }).then(
    () => writer.close(),
    (error: unknown) => writer.abort(error),
  );
  run.catch(() => {});
  for await (const chunk of readable) yield chunk;
  await run;
}

/** The first 6 bytes, and all bytes with them. */
async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly start: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let start: Uint8Array = new Uint8Array(0);
  while (start.length < 6) {
    const next = await iterator.next();
    if (next.done === true) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  const all = async function* (): AsyncIterable<Uint8Array> {
    try {
      if (start.length > 0) yield start;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
        yield next.value;
    } finally {
      await iterator.return?.();
    }
  };
  return { start, all: all() };
}

/** Remembers the error of the source, to tell it from those of the decoder. */
class WatchedSource implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  failed = false;
  error: unknown;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#source;
    } catch (error) {
      this.failed = true;
      this.error = error;
      throw error;
    }
  }
}
