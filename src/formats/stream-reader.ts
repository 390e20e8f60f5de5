/** Takes bytes from a stream in portions of the caller's choosing. Holds at most one chunk and what was asked. */
export class StreamReader implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#position;
  }

  /** Up to `limit` bytes, at least one; `undefined` at the end of the stream. */
  async some(limit: number): Promise<Uint8Array | undefined> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#chunk = next.value;
    }
    const taken = this.#chunk.subarray(0, limit);
    this.#chunk = this.#chunk.subarray(taken.length);
    this.#position += taken.length;
    return taken;
  }

  /** `length` bytes, or all that is left when that is fewer. `length` is bounded by the caller. */
  async take(length: number): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    let first = await this.some(length);
    if (first === undefined) return new Uint8Array(0);
    if (first.length === length) return first;
    const bytes = new Uint8Array(length);
    let at = 0;
    while (first !== undefined) {
      bytes.set(first, at);
      at += first.length;
      if (at === length) return bytes;
      first = await this.some(length - at);
    }
    return bytes.subarray(0, at);
  }

  /** Passes over `length` bytes; gives how many there were. */
  async skip(length: number): Promise<number> {
    let left = length;
    while (left > 0) {
      const bytes = await this.some(left);
      if (bytes === undefined) break;
      left -= bytes.length;
    }
    return length - left;
  }

  /** Gives bytes back that were the last ones taken, so that they are taken again. */
  putBack(bytes: Uint8Array): void {
    this.#chunk = this.#chunk.length === 0 ? bytes : Buffer.concat([bytes, this.#chunk]);
    this.#position -= bytes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#chunk = new Uint8Array(0);
    await this.#source.return?.();
  }
}
