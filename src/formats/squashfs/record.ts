/** A little-endian record, field by field: structures of squashfs are short and have no padding. */
export class RecordWriter {
  readonly #parts: Uint8Array[] = [];

  u16(...values: readonly number[]): this {
    return this.#numbers(2, values, (view, at, value) => view.setUint16(at, value, true));
  }

  i16(value: number): this {
    return this.#numbers(2, [value], (view, at) => view.setInt16(at, value, true));
  }

  u32(...values: readonly number[]): this {
    return this.u32s(values);
  }

  /** For long lists, which cannot be arguments. */
  u32s(values: ArrayLike<number>): this {
    return this.#numbers(4, values, (view, at, value) => view.setUint32(at, value, true));
  }

  u64(...values: readonly (number | bigint)[]): this {
    return this.u64s(values);
  }

  u64s(values: readonly (number | bigint)[]): this {
    const part = new Uint8Array(8 * values.length);
    const view = new DataView(part.buffer);
    for (const [i, value] of values.entries()) view.setBigUint64(8 * i, BigInt(value), true);
    return this.bytes(part);
  }

  bytes(part: Uint8Array): this {
    this.#parts.push(part);
    return this;
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #numbers(
    width: number,
    values: ArrayLike<number>,
    set: (view: DataView, at: number, value: number) => void,
  ): this {
    const part = new Uint8Array(width * values.length);
    const view = new DataView(part.buffer);
    for (let i = 0; i < values.length; i++) set(view, width * i, values[i] ?? 0);
    return this.bytes(part);
  }
}
