import { type Blob, checkRange, type Extent } from '../blob/blob.ts';
import { bytesBlob } from '../blob/bytes.ts';

/** How bytes are cut into chunks, each behind a header of its own. */
export interface Chunking {
  /** Bytes of a chunk; the last one may have fewer. */
  readonly chunkSize: number;
  readonly headerSize: number;
  /** The header of the chunk of `length` bytes that begins at `offset` of the source: `headerSize` bytes. */
  readonly header: (offset: number, length: number) => Uint8Array;
}

/** `source` cut into chunks behind headers, which are made when they are read; the source is referred to. */
export function chunkedBlob(source: Blob, chunking: Chunking): Blob {
  const { chunkSize, headerSize } = chunking;
  const unit = headerSize + chunkSize;
  const size = source.size + headerSize * Math.ceil(source.size / chunkSize);
  const header = (index: number): Uint8Array =>
    chunking.header(index * chunkSize, Math.min(chunkSize, source.size - index * chunkSize));
  /** Bytes of the source before a position. */
  const sourceBefore = (at: number): number =>
    Math.floor(at / unit) * chunkSize + Math.max(0, (at % unit) - headerSize);

  return {
    size,
    async *read(offset, length, signal) {
      checkRange(size, offset, length);
      const end = offset + length;
      const from = sourceBefore(offset);
      let at = offset;
      /** The rest of the header at `at`, as far as it is asked for. */
      const restOfHeader = (): Uint8Array => {
        const skip = at % unit;
        const part = header(Math.floor(at / unit)).subarray(skip, Math.min(headerSize, skip + end - at));
        at += part.length;
        return part;
      };
      for await (const bytes of source.read(from, sourceBefore(end) - from, signal)) {
        for (let left = bytes; left.length > 0; ) {
          if (at % unit < headerSize) yield restOfHeader();
          const part = left.subarray(0, unit - (at % unit));
          at += part.length;
          left = left.subarray(part.length);
          yield part;
        }
      }
      if (at < end) yield restOfHeader();
    },
    *extents() {
      let at = 0;
      for (const extent of source.extents()) {
        for (let done = 0; done < extent.length; ) {
          const position = extent.offset + done;
          if (position % chunkSize === 0) {
            const leaf = bytesBlob(header(position / chunkSize), { nature: 'packed' });
            yield { kind: 'data', offset: at, length: headerSize, source: leaf, sourceOffset: 0 };
            at += headerSize;
          }
          const length = Math.min(extent.length - done, chunkSize - (position % chunkSize));
          yield part(extent, done, length, at);
          done += length;
          at += length;
        }
      }
    },
  };
}

function part(extent: Extent, skip: number, length: number, offset: number): Extent {
  return extent.kind === 'zero'
    ? { kind: 'zero', offset, length }
    : { ...extent, offset, length, sourceOffset: extent.sourceOffset + skip };
}
