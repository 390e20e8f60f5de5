import { CR, END, isBreak, isLowSurrogate, LF } from './characters.ts';
import { type Mark, syntaxError } from './errors.ts';
import type { SourceText } from './source-text.ts';

/** A place in a text that only moves forward, and knows its line and column. */
export class Cursor {
  readonly #text: string;
  readonly #flaw: string | undefined;
  #at = 0;
  #line = 0;
  /** Characters before the cursor and before its line; less than code units by the surrogate pairs. */
  #characters = 0;
  #lineCharacters = 0;

  constructor(source: SourceText) {
    this.#text = source.text;
    this.#flaw = source.flaw;
  }

  /** The code unit `ahead` of the cursor, `END` behind the end. */
  peek(ahead = 0): number {
    const at = this.#at + ahead;
    return at < this.#text.length ? this.#text.charCodeAt(at) : END;
  }

  /** Whether the text ends here; a text that should go on is an error. */
  atEnd(): boolean {
    if (this.#at < this.#text.length) return false;
    if (this.#flaw !== undefined) throw syntaxError('reader', this.#flaw, this.mark());
    return true;
  }

  startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  get line(): number {
    return this.#line;
  }

  get column(): number {
    return this.#characters - this.#lineCharacters;
  }

  /** Characters before the cursor. */
  get index(): number {
    return this.#characters;
  }

  mark(): Mark {
    return { line: this.#line, column: this.column };
  }

  /** Moves over code units that are no line breaks. */
  skip(count = 1): void {
    for (let i = 0; i < count; i++) {
      if (!isLowSurrogate(this.#text.charCodeAt(this.#at))) this.#characters++;
      this.#at++;
    }
  }

  /** Moves over code units while `accept` holds and no line ends; returns them. */
  take(accept: (code: number) => boolean): string {
    const start = this.#at;
    while (this.#at < this.#text.length) {
      const code = this.#text.charCodeAt(this.#at);
      if (isBreak(code) || !accept(code)) break;
      if (!isLowSurrogate(code)) this.#characters++;
      this.#at++;
    }
    return this.#text.slice(start, this.#at);
  }

  /** Moves over `count` code units and returns them. */
  takeCount(count: number): string {
    const start = this.#at;
    this.skip(count);
    return this.#text.slice(start, this.#at);
  }

  /**
   * Moves over a line break, if there is one, and returns it normalised (YAML 1.1 §5.4): CR, LF, CR LF and NEL
   * are one LF, LS and PS stay.
   */
  takeBreak(): string {
    const code = this.peek();
    if (!isBreak(code)) return '';
    const length = code === CR && this.peek(1) === LF ? 2 : 1;
    this.#at += length;
    this.#characters += length;
    this.#line++;
    this.#lineCharacters = this.#characters;
    return code === 0x2028 || code === 0x2029 ? String.fromCharCode(code) : '\n';
  }

  /** The end of a text counts as the begin of a new line. */
  endLine(): void {
    if (this.column === 0) return;
    this.#line++;
    this.#lineCharacters = this.#characters;
  }
}
