import { scanBlockScalar } from './block-scalars.ts';
import { BOM, isBlankOrEnd, isBreak, SPACE, TAB } from './characters.ts';
import { Cursor } from './cursor.ts';
import { type Mark, syntaxError } from './errors.ts';
import { atDocumentIndicator, scanPlain, scanQuoted } from './flow-scalars.ts';
import { scanDirective, scanName } from './names.ts';
import type { SourceText } from './source-text.ts';
import { scanTag } from './tags.ts';
import type { IndicatorToken, Token } from './tokens.ts';

/** A key without `?` has to end on its line, within so many characters (YAML 1.1 §7.8.2). */
const SIMPLE_KEY_LIMIT = 1024;

/** Where a key may have begun: a `:` that follows in time makes it one. */
interface SimpleKey {
  readonly token: number;
  readonly index: number;
  readonly mark: Mark;
  /** It stands where nothing but a key may stand. */
  readonly required: boolean;
}

type FlowIndicator = '[' | ']' | '{' | '}' | ',';

/**
 * Makes tokens of a text: indentation becomes start and end tokens, and a `key` token is put before what turns out
 * to be one. Works in one pass, holding back tokens only while they may still be a key; so time and memory are
 * linear in the text, whatever its nesting.
 */
export class Scanner {
  readonly #cursor: Cursor;
  /** Tokens not yet taken, from `#head` on; `#taken` have been before. */
  #queue: Token[] = [];
  #head = 0;
  #taken = 0;
  #ended = false;
  #flowDepth = 0;
  #indent = -1;
  readonly #indents: number[] = [];
  #simpleKeyAllowed = true;
  /** The possible key of each flow level, the block level first. */
  readonly #simpleKeys: (SimpleKey | undefined)[] = [undefined];
  /** Numbers of the tokens that possible keys begin with. */
  readonly #keyTokens = new Set<number>();

  constructor(source: SourceText) {
    this.#cursor = new Cursor(source);
  }

  peek(): Token {
    for (;;) {
      const token = this.#queue[this.#head];
      if (token !== undefined && !this.#mayBeKey(this.#taken)) return token;
      this.#fetch();
    }
  }

  next(): Token {
    const token = this.peek();
    this.#head++;
    this.#taken++;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
    return token;
  }

  #mayBeKey(tokenNumber: number): boolean {
    if (!this.#keyTokens.has(tokenNumber)) return false;
    const level = this.#simpleKeys.findLastIndex((key) => key?.token === tokenNumber);
    return this.#validKey(level) !== undefined;
  }

  /** The possible key of a level, unless it is too far back by now. */
  #validKey(level: number): SimpleKey | undefined {
    const key = this.#simpleKeys[level];
    if (key === undefined) return undefined;
    if (key.mark.line === this.#cursor.line && this.#cursor.index - key.index <= SIMPLE_KEY_LIMIT) return key;
    if (key.required) throw this.#keyError(key);
    this.#setKey(level, undefined);
    return undefined;
  }

  #setKey(level: number, key: SimpleKey | undefined): void {
    const old = this.#simpleKeys[level];
    if (old !== undefined) this.#keyTokens.delete(old.token);
    if (key !== undefined) this.#keyTokens.add(key.token);
    this.#simpleKeys[level] = key;
  }

  #keyError(key: SimpleKey): Error {
    return syntaxError('scanner', "could not find expected ':'", this.#cursor.mark(), {
      while: 'while scanning a simple key',
      since: key.mark,
    });
  }

  /** What comes next may be a key. */
  #saveKey(): void {
    const required = this.#flowDepth === 0 && this.#indent === this.#cursor.column;
    if (!this.#simpleKeyAllowed) return;
    this.#removeKey();
    this.#setKey(this.#flowDepth, {
      token: this.#taken + this.#queue.length - this.#head,
      index: this.#cursor.index,
      mark: this.#cursor.mark(),
      required,
    });
  }

  #removeKey(): void {
    const key = this.#validKey(this.#flowDepth);
    if (key?.required === true) throw this.#keyError(key);
    this.#setKey(this.#flowDepth, undefined);
  }

  #fetch(): void {
    const cursor = this.#cursor;
    if (this.#ended) throw syntaxError('scanner', 'found unexpected end of stream', cursor.mark());
    this.#skipToToken();
    this.#validKey(this.#flowDepth);
    this.#unroll(cursor.column);
    if (cursor.atEnd()) {
      this.#fetchEnd();
      return;
    }
    const code = cursor.peek();
    if (cursor.column === 0 && code === 0x25) {
      this.#fetchDirective();
      return;
    }
    if (atDocumentIndicator(cursor)) {
      this.#unroll(-1);
      this.#removeKey();
      this.#simpleKeyAllowed = false;
      this.#pushIndicator(code === 0x2d ? 'document-start' : 'document-end', 3);
      return;
    }
    const blankFollows = isBlankOrEnd(cursor.peek(1));
    const inFlow = this.#flowDepth > 0;
    const character = String.fromCharCode(code);
    switch (character) {
      case '[':
      case '{':
      case ']':
      case '}':
      case ',':
        this.#fetchFlowIndicator(character);
        return;
      case '*':
      case '&':
        this.#saveKey();
        this.#simpleKeyAllowed = false;
        this.#push(scanName(cursor, character === '*' ? 'alias' : 'anchor'));
        return;
      case '!':
        this.#saveKey();
        this.#simpleKeyAllowed = false;
        this.#push(scanTag(cursor));
        return;
      case "'":
      case '"':
        this.#saveKey();
        this.#simpleKeyAllowed = false;
        this.#push(scanQuoted(cursor));
        return;
      case '|':
      case '>':
        if (inFlow) break;
        this.#removeKey();
        this.#simpleKeyAllowed = true;
        this.#push(scanBlockScalar(cursor, character === '>', this.#indent));
        return;
      case '-':
        if (!blankFollows) {
          this.#fetchPlain();
          return;
        }
        if (inFlow) break;
        this.#fetchBlockEntry();
        return;
      case '?':
        if (!inFlow && !blankFollows) {
          this.#fetchPlain();
          return;
        }
        this.#fetchKey();
        return;
      case ':':
        if (!inFlow && !blankFollows) {
          this.#fetchPlain();
          return;
        }
        this.#fetchValue();
        return;
      case '#':
      case '%':
      case '@':
      case '`':
      case '\t':
        break;
      default:
        this.#fetchPlain();
        return;
    }
    throw syntaxError('scanner', 'found character that cannot start any token', cursor.mark(), {
      while: 'while scanning for the next token',
      since: cursor.mark(),
    });
  }

  #fetchEnd(): void {
    this.#cursor.endLine();
    this.#unroll(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    this.#ended = true;
    this.#pushIndicator('stream-end', 0);
  }

  #fetchDirective(): void {
    this.#unroll(-1);
    this.#removeKey();
    this.#simpleKeyAllowed = false;
    this.#push(scanDirective(this.#cursor));
  }

  #fetchFlowIndicator(character: FlowIndicator): void {
    switch (character) {
      case '[':
      case '{':
        this.#saveKey();
        this.#flowDepth++;
        this.#simpleKeys.push(undefined);
        this.#simpleKeyAllowed = true;
        this.#pushIndicator(character === '[' ? 'flow-sequence-start' : 'flow-mapping-start', 1);
        return;
      case ']':
      case '}':
        this.#removeKey();
        if (this.#flowDepth > 0) {
          this.#flowDepth--;
          this.#simpleKeys.pop();
        }
        this.#simpleKeyAllowed = false;
        this.#pushIndicator(character === ']' ? 'flow-sequence-end' : 'flow-mapping-end', 1);
        return;
      case ',':
        this.#removeKey();
        this.#simpleKeyAllowed = true;
        this.#pushIndicator('flow-entry', 1);
    }
  }

  #fetchBlockEntry(): void {
    if (!this.#simpleKeyAllowed) {
      throw syntaxError(
        'scanner',
        'block sequence entries are not allowed in this context',
        this.#cursor.mark(),
      );
    }
    this.#roll('block-sequence-start', this.#cursor.column, this.#cursor.mark());
    this.#removeKey();
    this.#simpleKeyAllowed = true;
    this.#pushIndicator('block-entry', 1);
  }

  #fetchKey(): void {
    if (this.#flowDepth === 0) {
      if (!this.#simpleKeyAllowed) {
        throw syntaxError('scanner', 'mapping keys are not allowed in this context', this.#cursor.mark());
      }
      this.#roll('block-mapping-start', this.#cursor.column, this.#cursor.mark());
    }
    this.#removeKey();
    this.#simpleKeyAllowed = this.#flowDepth === 0;
    this.#pushIndicator('key', 1);
  }

  #fetchValue(): void {
    const key = this.#validKey(this.#flowDepth);
    if (key !== undefined) {
      this.#setKey(this.#flowDepth, undefined);
      this.#insert(key.token, { kind: 'key', start: key.mark, end: key.mark });
      this.#roll('block-mapping-start', key.mark.column, key.mark, key.token);
      this.#simpleKeyAllowed = false;
    } else {
      if (this.#flowDepth === 0) {
        if (!this.#simpleKeyAllowed) {
          throw syntaxError('scanner', 'mapping values are not allowed in this context', this.#cursor.mark());
        }
        this.#roll('block-mapping-start', this.#cursor.column, this.#cursor.mark());
      }
      this.#simpleKeyAllowed = this.#flowDepth === 0;
    }
    this.#pushIndicator('value', 1);
  }

  #fetchPlain(): void {
    this.#saveKey();
    this.#simpleKeyAllowed = false;
    const { token, atLineStart } = scanPlain(this.#cursor, this.#flowDepth > 0, this.#indent + 1);
    if (atLineStart) this.#simpleKeyAllowed = true;
    this.#push(token);
  }

  /** White space, comments, line ends, and a byte order mark where a line begins. */
  #skipToToken(): void {
    const cursor = this.#cursor;
    for (;;) {
      if (cursor.column === 0 && cursor.peek() === BOM) cursor.skip();
      const tabs = this.#flowDepth > 0 || !this.#simpleKeyAllowed;
      cursor.take((code) => code === SPACE || (tabs && code === TAB));
      if (cursor.peek() === 0x23) cursor.take(() => true);
      if (!isBreak(cursor.peek())) return;
      cursor.takeBreak();
      if (this.#flowDepth === 0) this.#simpleKeyAllowed = true;
    }
  }

  /** A column further right than before begins a block collection. */
  #roll(
    kind: 'block-sequence-start' | 'block-mapping-start',
    column: number,
    mark: Mark,
    tokenNumber?: number,
  ): void {
    if (this.#flowDepth > 0 || this.#indent >= column) return;
    this.#indents.push(this.#indent);
    this.#indent = column;
    const token: IndicatorToken = { kind, start: mark, end: mark };
    if (tokenNumber === undefined) this.#push(token);
    else this.#insert(tokenNumber, token);
  }

  /** A column further left ends the block collections that began right of it. */
  #unroll(column: number): void {
    if (this.#flowDepth > 0) return;
    while (this.#indent > column) {
      this.#pushIndicator('block-end', 0);
      this.#indent = this.#indents.pop() ?? -1;
    }
  }

  #push(token: Token): void {
    this.#queue.push(token);
  }

  #insert(tokenNumber: number, token: Token): void {
    this.#queue.splice(tokenNumber - this.#taken + this.#head, 0, token);
  }

  #pushIndicator(kind: IndicatorToken['kind'], length: number): void {
    const start = this.#cursor.mark();
    this.#cursor.skip(length);
    this.#push({ kind, start, end: this.#cursor.mark() });
  }
}
