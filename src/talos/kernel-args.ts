/**
 * A kernel command line: keys in order, each with its values in order (`spec/initramfs.md` §11.1). That the
 * values of one key stand together is visible in what is printed: `a=1 b a=2` prints as `a=1 a=2 b`.
 */
export class KernelArgs {
  readonly #entries = new Map<string, string[]>();

  /** Split at white space, each word at its first `=`. */
  static parse(text: string): KernelArgs {
    const args = new KernelArgs();
    for (const word of text.split(WHITE_SPACE)) {
      if (word === '') continue;
      const equals = word.indexOf('=');
      if (equals < 0) args.append(word, '');
      else args.append(word.slice(0, equals), word.slice(equals + 1));
    }
    return args;
  }

  /** Adds to the values of a key, in the key's place, or adds the key at the end. */
  append(key: string, value: string): void {
    const values = this.#entries.get(key);
    if (values === undefined) this.#entries.set(key, [value]);
    else values.push(value);
  }

  /** Each key replaces what it had, in its place, or is added at the end. */
  setAll(args: readonly string[]): void {
    for (const [key, values] of KernelArgs.parse(args.join(' ')).#entries) this.#entries.set(key, values);
  }

  /**
   * Appends; keys in `overwrite` replace instead. With `negation`, `-key` deletes the key and `-key=value` that
   * value. All arguments are grouped by key before the first is applied.
   */
  appendAll(
    args: readonly string[],
    options: { readonly overwrite?: ReadonlySet<string>; readonly negation?: boolean } = {},
  ): void {
    for (const [key, values] of KernelArgs.parse(args.join(' ')).#entries) {
      if (options.negation === true && key.length > 1 && key.startsWith('-')) {
        this.#remove(key.slice(1), values);
      } else if (options.overwrite?.has(key) === true) this.#entries.set(key, values);
      else for (const value of values) this.append(key, value);
    }
  }

  /** A key whose values are all gone keeps its place. */
  #remove(key: string, values: readonly string[]): void {
    if (values[0] === '') this.#entries.delete(key);
    else {
      const present = this.#entries.get(key);
      if (present !== undefined) {
        const unwanted = new Set(values);
        this.#entries.set(
          key,
          present.filter((value) => !unwanted.has(value)),
        );
      }
    }
  }

  /** One blank between arguments, none at the end; `key=` is printed as `key`. */
  toString(): string {
    const words: string[] = [];
    for (const [key, values] of this.#entries) {
      for (const value of values) words.push(value === '' ? key : `${key}=${value}`);
    }
    return words.join(' ');
  }
}

/** Unicode White_Space, which is what separates words. */
const WHITE_SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;
