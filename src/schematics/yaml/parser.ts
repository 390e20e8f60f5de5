import { invalidSchematic, type Mark, syntaxError } from './errors.ts';
import type { AliasNode, MappingNode, Node, ScalarNode, SequenceNode } from './nodes.ts';
import { Scanner } from './scanner.ts';
import { decodeSource } from './source-text.ts';
import { TagHandles } from './tag-handles.ts';
import type { Token } from './tokens.ts';

/** Collections inside of collections. */
const MAX_DEPTH = 10000;

type FrameKind =
  | 'block-sequence'
  | 'indentless-sequence'
  | 'block-mapping'
  | 'flow-sequence'
  | 'flow-mapping'
  | 'flow-pair';

/** A collection that is being read. */
interface Frame {
  readonly kind: FrameKind;
  readonly node: SequenceNode | MappingNode;
  readonly items: Node[];
  readonly mark: Mark;
  /** The last key of a flow mapping was written without `:`. */
  bareKey: boolean;
}

interface Properties {
  readonly anchor: string | undefined;
  readonly tag: string;
}

/**
 * Reads the first document of a text (YAML 1.1 with libyaml's grammar, which is what decides whether a text is
 * a schematic; a YAML 1.2 parser accepts and refuses other ones). What follows it is not looked at.
 * Throws `invalid` `SCHEMATIC_INVALID` with the place, and `EOF` when there is no document.
 */
export function parseDocument(bytes: Uint8Array): Node {
  return new Parser(new Scanner(decodeSource(bytes))).document();
}

/** Recursive descent with a stack of its own: what is nested deeply must not exhaust the program's. */
class Parser {
  readonly #scanner: Scanner;
  readonly #frames: Frame[] = [];
  readonly #anchors = new Map<string, AliasNode['target']>();
  readonly #tags = new TagHandles();
  #root: Node | undefined;

  constructor(scanner: Scanner) {
    this.#scanner = scanner;
  }

  document(): Node {
    this.#prologue();
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1))
      this.#advance(frame);
    // The token after the document has to be one, whatever it is.
    this.#scanner.peek();
    if (this.#root === undefined) throw invalidSchematic('EOF');
    return this.#root;
  }

  /** Directives, `---`, and the begin of the content. */
  #prologue(): void {
    const directives = this.#directives();
    const token = this.#scanner.peek();
    if (token.kind === 'document-start') this.#scanner.next();
    else if (directives) {
      throw syntaxError('parser', 'did not find expected <document start>', token.start);
    } else if (token.kind === 'stream-end') throw invalidSchematic('EOF');
    else {
      this.#begin(true, false);
      return;
    }
    const { kind, start } = this.#scanner.peek();
    switch (kind) {
      case 'version-directive':
      case 'tag-directive':
      case 'document-start':
      case 'document-end':
      case 'stream-end':
        this.#deliver(emptyScalar(start));
        return;
      default:
        this.#begin(true, false);
        return;
    }
  }

  #directives(): boolean {
    let any = false;
    for (;;) {
      const token = this.#scanner.peek();
      if (token.kind === 'version-directive') {
        if (token.major !== 1) throw syntaxError('parser', 'found incompatible YAML document', token.start);
      } else if (token.kind === 'tag-directive') this.#tags.declare(token);
      else return any;
      any = true;
      this.#scanner.next();
    }
  }

  #advance(frame: Frame): void {
    switch (frame.kind) {
      case 'block-sequence':
        this.#advanceBlockSequence(frame);
        return;
      case 'indentless-sequence':
        this.#advanceIndentlessSequence();
        return;
      case 'block-mapping':
        this.#advanceBlockMapping(frame);
        return;
      case 'flow-sequence':
        this.#advanceFlowSequence(frame);
        return;
      case 'flow-mapping':
        this.#advanceFlowMapping(frame);
        return;
      case 'flow-pair':
        this.#advanceFlowPair(frame);
        return;
    }
  }

  #advanceBlockSequence(frame: Frame): void {
    const token = this.#scanner.next();
    if (token.kind === 'block-entry') {
      this.#beginUnless(token, ['block-entry', 'block-end'], true, false);
      return;
    }
    if (token.kind === 'block-end') {
      this.#close();
      return;
    }
    throw this.#unexpected(
      frame,
      token,
      'while parsing a block collection',
      "did not find expected '-' indicator",
    );
  }

  /** A sequence whose dashes stand under the key it belongs to. */
  #advanceIndentlessSequence(): void {
    if (this.#scanner.peek().kind !== 'block-entry') {
      this.#close();
      return;
    }
    this.#beginUnless(this.#scanner.next(), ['block-entry', 'key', 'value', 'block-end'], true, false);
  }

  #advanceBlockMapping(frame: Frame): void {
    const ends: readonly Token['kind'][] = ['key', 'value', 'block-end'];
    const token = this.#scanner.peek();
    if (frame.items.length % 2 === 1) {
      if (token.kind !== 'value') {
        this.#deliver(emptyScalar(token.start));
        return;
      }
      this.#beginUnless(this.#scanner.next(), ends, true, true);
      return;
    }
    if (token.kind === 'key') {
      this.#beginUnless(this.#scanner.next(), ends, true, true);
      return;
    }
    if (token.kind !== 'block-end') {
      throw this.#unexpected(frame, token, 'while parsing a block mapping', 'did not find expected key');
    }
    this.#scanner.next();
    this.#close();
  }

  #advanceFlowSequence(frame: Frame): void {
    if (frame.items.length > 0 && this.#scanner.peek().kind !== 'flow-sequence-end') {
      const separator = this.#scanner.peek();
      if (separator.kind !== 'flow-entry') {
        throw this.#unexpected(
          frame,
          separator,
          'while parsing a flow sequence',
          "did not find expected ',' or ']'",
        );
      }
      this.#scanner.next();
    }
    const token = this.#scanner.peek();
    if (token.kind === 'flow-sequence-end') {
      this.#scanner.next();
      this.#close();
      return;
    }
    if (token.kind !== 'key') {
      this.#begin(false, false);
      return;
    }
    // `[a: b]` is a sequence of one mapping.
    this.#open('flow-pair', 'mapping', token.start, { anchor: undefined, tag: '' });
  }

  #advanceFlowPair(frame: Frame): void {
    const token = this.#scanner.peek();
    switch (frame.items.length) {
      case 0:
        this.#beginUnless(this.#scanner.next(), ['value', 'flow-entry', 'flow-sequence-end'], false, false);
        return;
      case 1:
        if (token.kind !== 'value') {
          this.#deliver(emptyScalar(token.start));
          return;
        }
        this.#beginUnless(this.#scanner.next(), ['flow-entry', 'flow-sequence-end'], false, false);
        return;
      default:
        this.#close();
        return;
    }
  }

  #advanceFlowMapping(frame: Frame): void {
    const token = this.#scanner.peek();
    if (frame.items.length % 2 === 1) {
      if (frame.bareKey || token.kind !== 'value') {
        frame.bareKey = false;
        this.#deliver(emptyScalar(token.start));
        return;
      }
      this.#beginUnless(this.#scanner.next(), ['flow-entry', 'flow-mapping-end'], false, false);
      return;
    }
    if (frame.items.length > 0 && token.kind !== 'flow-mapping-end') {
      if (token.kind !== 'flow-entry') {
        throw this.#unexpected(
          frame,
          token,
          'while parsing a flow mapping',
          "did not find expected ',' or '}'",
        );
      }
      this.#scanner.next();
    }
    const next = this.#scanner.peek();
    if (next.kind === 'flow-mapping-end') {
      this.#scanner.next();
      this.#close();
      return;
    }
    if (next.kind === 'key') {
      this.#beginUnless(this.#scanner.next(), ['value', 'flow-entry', 'flow-mapping-end'], false, false);
      return;
    }
    frame.bareKey = true;
    this.#begin(false, false);
  }

  /** The node after an indicator: nothing at all when one of `ends` follows. */
  #beginUnless(
    after: Token,
    ends: readonly Token['kind'][],
    block: boolean,
    indentlessSequence: boolean,
  ): void {
    if (ends.includes(this.#scanner.peek().kind)) this.#deliver(emptyScalar(after.end));
    else this.#begin(block, indentlessSequence);
  }

  /** Reads a scalar or an alias, or the begin of a collection. */
  #begin(block: boolean, indentlessSequence: boolean): void {
    const first = this.#scanner.peek();
    if (first.kind === 'alias') {
      this.#scanner.next();
      const target = this.#anchors.get(first.name);
      if (target === undefined) {
        throw syntaxError('composer', `unknown anchor '${first.name}' referenced`, first.start);
      }
      this.#deliver({ kind: 'alias', name: first.name, target, line: first.start.line + 1 });
      return;
    }
    const properties = this.#properties();
    const token = this.#scanner.peek();
    const start = properties === undefined ? token.start : first.start;
    const { anchor, tag } = properties ?? { anchor: undefined, tag: '' };
    const known = { anchor, tag };
    if (indentlessSequence && token.kind === 'block-entry') {
      this.#open('indentless-sequence', 'sequence', start, known);
      return;
    }
    switch (token.kind) {
      case 'scalar':
        this.#scanner.next();
        this.#scalar(anchor, {
          kind: 'scalar',
          value: token.value,
          plain: token.plain,
          tag,
          line: start.line + 1,
        });
        return;
      case 'flow-sequence-start':
        this.#scanner.next();
        this.#open('flow-sequence', 'sequence', start, known);
        return;
      case 'flow-mapping-start':
        this.#scanner.next();
        this.#open('flow-mapping', 'mapping', start, known);
        return;
      case 'block-sequence-start':
        if (!block) break;
        this.#scanner.next();
        this.#open('block-sequence', 'sequence', start, known);
        return;
      case 'block-mapping-start':
        if (!block) break;
        this.#scanner.next();
        this.#open('block-mapping', 'mapping', start, known);
        return;
      default:
    }
    if (properties !== undefined) {
      this.#scalar(anchor, { ...emptyScalar(start), tag });
      return;
    }
    throw syntaxError('parser', 'did not find expected node content', token.start, {
      while: block ? 'while parsing a block node' : 'while parsing a flow node',
      since: start,
    });
  }

  /** Anchor and tag, in any order. */
  #properties(): Properties | undefined {
    let anchor: string | undefined;
    let tag: string | undefined;
    for (;;) {
      const token = this.#scanner.peek();
      if (token.kind === 'anchor' && anchor === undefined) anchor = token.name;
      else if (token.kind === 'tag' && tag === undefined) tag = this.#tags.resolve(token);
      else break;
      this.#scanner.next();
    }
    return anchor === undefined && tag === undefined ? undefined : { anchor, tag: tag ?? '' };
  }

  #scalar(anchor: string | undefined, node: ScalarNode): void {
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    this.#deliver(node);
  }

  #open(kind: FrameKind, collection: 'sequence' | 'mapping', mark: Mark, properties: Properties): void {
    if (this.#frames.length >= MAX_DEPTH) {
      throw syntaxError('scanner', `exceeded max depth of ${MAX_DEPTH}`, mark);
    }
    const items: Node[] = [];
    const node = { kind: collection, items, tag: properties.tag, line: mark.line + 1 };
    // An alias inside may refer to what is not finished yet; that is found out when it is followed.
    if (properties.anchor !== undefined) this.#anchors.set(properties.anchor, node);
    this.#frames.push({ kind, node, items, mark, bareKey: false });
  }

  #close(): void {
    const frame = this.#frames.pop();
    if (frame !== undefined) this.#deliver(frame.node);
  }

  #deliver(node: Node): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.#root = node;
    else frame.items.push(node);
  }

  #unexpected(frame: Frame, token: Token, context: string, message: string): Error {
    return syntaxError('parser', message, token.start, { while: context, since: frame.mark });
  }
}

/** What stands where nothing is written. */
function emptyScalar(at: Mark): ScalarNode {
  return { kind: 'scalar', value: '', plain: true, tag: '', line: at.line + 1 };
}
