import { FactoryError } from '../../errors.ts';
import { MetadataWriter } from './metadata-writer.ts';
import { RecordWriter } from './record.ts';
import { type BlockCompressor, NONE_32, XATTR_PREFIXES } from './types.ts';

/** XATTR_NAME_MAX and XATTR_SIZE_MAX of Linux. */
const NAME_LIMIT = 255;
const VALUE_LIMIT = 65536;

/** Sets of extended attributes, each kept once; inodes refer to them by number. */
export class XattrWriter {
  readonly #numbers = new Map<string, number>();
  readonly #sets: { readonly bytes: Uint8Array; readonly count: number; readonly size: number }[] = [];

  /** The number of this set; `NONE_32` for an empty one. Throws `SQUASHFS_XATTR_UNSUPPORTED`. */
  add(path: string, xattrs: ReadonlyMap<string, Uint8Array> | undefined): number {
    if (xattrs === undefined || xattrs.size === 0) return NONE_32;
    const record = new RecordWriter();
    let size = 0;
    for (const [name, value] of [...xattrs].sort(([a], [b]) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    )) {
      const type = XATTR_PREFIXES.findIndex((prefix) => name.startsWith(prefix));
      const prefix = XATTR_PREFIXES[type];
      const nameSize = Buffer.byteLength(name);
      if (
        prefix === undefined ||
        nameSize === prefix.length ||
        nameSize > NAME_LIMIT ||
        name.includes('\0')
      ) {
        throw unsupported(path, `the attribute ${JSON.stringify(name.slice(0, 300))} cannot be kept`);
      }
      if (value.length > VALUE_LIMIT)
        throw unsupported(path, `the attribute ${name} is larger than ${VALUE_LIMIT} bytes`);
      const suffix = Buffer.from(name.slice(prefix.length));
      record.u16(type, suffix.length).bytes(suffix).u32(value.length).bytes(value);
      // As mksquashfs counts: full names with a final NUL, and values.
      size += nameSize + 1 + value.length;
    }
    const bytes = record.finish();
    const key = Buffer.from(bytes).toString('latin1');
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#sets.length;
    this.#sets.push({ bytes, count: xattrs.size, size });
    this.#numbers.set(key, number);
    return number;
  }

  /**
   * The attributes, the table of sets and its header, to be written at `position`; `start` is where the header
   * will be. `undefined` when there are no sets.
   */
  async finish(
    compressor: BlockCompressor,
    position: number,
    signal?: AbortSignal,
  ): Promise<{ readonly chunks: readonly Uint8Array[]; readonly start: number } | undefined> {
    if (this.#sets.length === 0) return undefined;
    const values = new MetadataWriter(compressor, signal);
    const ids = new MetadataWriter(compressor, signal);
    for (const { bytes, count, size } of this.#sets) {
      const { block, offset } = values.position;
      await values.write(bytes);
      await ids.write(
        new RecordWriter()
          .u64(BigInt(block) * 65536n + BigInt(offset))
          .u32(count, size)
          .finish(),
      );
    }
    const valueTable = await values.finish();
    const idTable = await ids.finish();
    const idsAt = position + total(valueTable.blocks);
    const header = new RecordWriter()
      .u64(position)
      .u32(this.#sets.length, 0)
      .u64s(idTable.starts.map((start) => idsAt + start))
      .finish();
    return {
      chunks: [...valueTable.blocks, ...idTable.blocks, header],
      start: idsAt + total(idTable.blocks),
    };
  }
}

function total(blocks: readonly Uint8Array[]): number {
  return blocks.reduce((sum, block) => sum + block.length, 0);
}

function unsupported(path: string, reason: string): FactoryError {
  return new FactoryError(
    'invalid',
    'SQUASHFS_XATTR_UNSUPPORTED',
    `cannot write ${JSON.stringify(path)} into a squashfs: ${reason}`,
  );
}
