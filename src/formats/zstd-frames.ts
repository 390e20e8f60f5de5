import { FactoryError } from '../errors.ts';
import { StreamReader } from './stream-reader.ts';

const FRAME_MAGIC = 0xfd2fb528;
/** RFC 8878 §3.1.2: the last four bits are any. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_SIZES = [0, 1, 2, 4];
const CONTENT_SIZE_SIZES = [0, 2, 4, 8];
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/**
 * The zstd frames of a stream, each with its bytes (RFC 8878 §3.1); skippable frames are left out. A frame has to
 * be read to its end before the next one is asked for. Throws `invalid` `ZSTD_INVALID` when the stream is cut off
 * or what follows a frame is none.
 */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
): AsyncIterable<AsyncIterable<Uint8Array>> {
  await using reader = new StreamReader(source);
  for (;;) {
    const magic = await reader.take(4);
    if (magic.length === 0) return;
    const number = littleEndian(magic, 4);
    if (number === FRAME_MAGIC) {
      yield frame(reader, magic);
    } else if ((number & ~0xf) === SKIPPABLE_MAGIC) {
      const size = littleEndian(await exactly(reader, 4), 4);
      if ((await reader.skip(size)) !== size) throw cutOff();
    } else {
      throw new FactoryError(
        'invalid',
        'ZSTD_INVALID',
        'invalid zstd stream: there is no frame where one has to be',
      );
    }
  }
}

async function* frame(reader: StreamReader, magic: Uint8Array): AsyncIterable<Uint8Array> {
  yield magic;
  const descriptor = await exactly(reader, 1);
  yield descriptor;
  const flags = descriptor[0] ?? 0;
  yield await exactly(reader, headerRest(flags));
  for (let last = false; !last; ) {
    const header = await exactly(reader, 3);
    yield header;
    const fields = littleEndian(header, 3);
    last = (fields & 1) === 1;
    const type = (fields >> 1) & 3;
    if (type === BLOCK_RESERVED) {
      throw new FactoryError('invalid', 'ZSTD_INVALID', 'invalid zstd stream: a block of a reserved type');
    }
    for (let left = type === BLOCK_RLE ? 1 : fields >> 3; left > 0; ) {
      const bytes = await reader.some(left);
      if (bytes === undefined) throw cutOff();
      left -= bytes.length;
      yield bytes;
    }
  }
  if ((flags & 4) !== 0) yield await exactly(reader, 4);
}

/** §3.1.1.1: bytes of the frame header after its descriptor. */
function headerRest(flags: number): number {
  const single = (flags & 0x20) !== 0;
  const contentSize = flags >> 6 === 0 && single ? 1 : (CONTENT_SIZE_SIZES[flags >> 6] ?? 0);
  return (single ? 0 : 1) + (DICTIONARY_ID_SIZES[flags & 3] ?? 0) + contentSize;
}

async function exactly(reader: StreamReader, length: number): Promise<Uint8Array> {
  const bytes = await reader.take(length);
  if (bytes.length !== length) throw cutOff();
  return bytes;
}

function littleEndian(bytes: Uint8Array, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

function cutOff(): FactoryError {
  return new FactoryError('invalid', 'ZSTD_INVALID', 'invalid zstd stream: it is cut off');
}
