import { readRange } from '../../blob/consume.ts';
import {
  type MetadataCursor,
  type MetadataReader,
  type ReaderContext,
  tableRecord,
} from './metadata-reader.ts';
import { invalidSquashfs } from './superblock.ts';
import { NONE_32, NONE_64, XATTR_OUT_OF_LINE, XATTR_PREFIXES } from './types.ts';

/** Of one inode: attributes, and bytes of all values (Linux allows 64 KiB for a value). */
const COUNT_LIMIT = 1024;
const VALUES_LIMIT = 1 << 20;
const VALUE_LIMIT = 65536;
const NAME_LIMIT = 255;

/** Sets of extended attributes by their numbers. */
export class XattrReader {
  readonly #context: ReaderContext;
  readonly #metadata: MetadataReader;
  readonly #table: bigint;
  readonly #known = new Map<number, ReadonlyMap<string, Uint8Array>>();
  #header: { readonly values: number; readonly ids: number } | undefined;

  constructor(context: ReaderContext, metadata: MetadataReader, table: bigint) {
    this.#context = context;
    this.#metadata = metadata;
    this.#table = table;
  }

  /** `undefined` for an inode without attributes. Throws `SQUASHFS_INVALID`. */
  async get(number: number, signal?: AbortSignal): Promise<ReadonlyMap<string, Uint8Array> | undefined> {
    if (number === NONE_32 || this.#table === NONE_64) return undefined;
    const known = this.#known.get(number);
    if (known !== undefined) return known;
    const set = await this.#read(number, signal);
    // Sets are shared by many inodes, but a hostile file system could have any number of them.
    if (this.#known.size < 256) this.#known.set(number, set);
    return set;
  }

  async #read(number: number, signal?: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>> {
    const { values, ids } = await this.#readHeader(signal);
    if (number >= ids) throw invalidSquashfs(`attributes ${number} of ${ids}`);
    const record = await tableRecord(
      this.#context,
      this.#metadata,
      Number(this.#table) + 16,
      16,
      number,
      signal,
    );
    const count = record.getUint32(8, true);
    if (count > COUNT_LIMIT) throw invalidSquashfs(`${count} extended attributes of one file`);
    const cursor = this.#cursor(values, record.getBigUint64(0, true), signal);
    const set = new Map<string, Uint8Array>();
    let left = VALUES_LIMIT;
    for (let i = 0; i < count; i++) {
      const head = await cursor.view(4);
      const type = head.getUint16(0, true);
      const prefix = XATTR_PREFIXES[type & 0xff];
      const length = head.getUint16(2, true);
      if (prefix === undefined || length === 0 || length > NAME_LIMIT) {
        throw invalidSquashfs(`an extended attribute of type ${type} with a name of ${length} bytes`);
      }
      const name = prefix + Buffer.from(await cursor.take(length)).toString('utf8');
      const value = await this.#readValue(cursor, values, (type & XATTR_OUT_OF_LINE) !== 0, signal);
      left -= value.length;
      if (left < 0) throw invalidSquashfs(`extended attributes of more than ${VALUES_LIMIT} bytes`);
      set.set(name, value);
    }
    return set;
  }

  async #readValue(
    cursor: MetadataCursor,
    values: number,
    elsewhere: boolean,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const size = (await cursor.view(4)).getUint32(0, true);
    if (size > VALUE_LIMIT) throw invalidSquashfs(`an extended attribute of ${size} bytes`);
    if (!elsewhere) return (await cursor.take(size)).slice();
    if (size !== 8) throw invalidSquashfs('a wrong reference to an extended attribute');
    const place = this.#cursor(values, (await cursor.view(8)).getBigUint64(0, true), signal);
    return this.#readValue(place, values, false, signal);
  }

  #cursor(values: number, reference: bigint, signal?: AbortSignal): MetadataCursor {
    const table = { start: values, end: Number(this.#table) };
    return this.#metadata.cursor(table, Number(reference >> 16n), Number(reference & 0xffffn), signal);
  }

  async #readHeader(signal?: AbortSignal): Promise<{ readonly values: number; readonly ids: number }> {
    if (this.#header === undefined) {
      const at = Number(this.#table);
      if (at + 16 > this.#context.bytesUsed)
        throw invalidSquashfs('the attribute table leads out of the file system');
      const bytes = await readRange(this.#context.blob, at, 16, signal);
      const view = new DataView(bytes.buffer);
      this.#header = { values: Number(view.getBigUint64(0, true)), ids: view.getUint32(8, true) };
    }
    return this.#header;
  }
}
