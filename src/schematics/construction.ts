import { textOfBytes } from './binary-text.ts';
import { resolvePlain, type TypedScalar } from './scalar-types.ts';
import { invalidSchematic } from './yaml/errors.ts';
import type { AliasNode, MappingNode, Node, ScalarNode } from './yaml/nodes.ts';

export type ContentNode = AliasNode['target'];

/** A scalar with its type: `tag` names it in errors, `text` is the source text (for `!!binary` the decoded one). */
export interface Scalar {
  readonly typed: TypedScalar;
  readonly tag: string;
  readonly text: string;
}

/** An entry of a mapping; what came by a merge key must not replace anything. */
export interface Entry {
  readonly key: ContentNode;
  readonly value: Node;
  readonly merged: boolean;
}

/** Errors that are told; a hostile text can have as many as it has lines. */
const MAX_ERRORS = 32;
/** Longest name that an error repeats. */
const MAX_NAME = 100;

/**
 * One pass over a document: follows aliases, applies merge keys, finds duplicate keys, collects errors
 * (`spec/schematic.md` §2.2).
 */
export class Construction {
  readonly #errors: string[] = [];
  #errorCount = 0;
  #nodes = 0;
  #aliasedNodes = 0;
  #aliasDepth = 0;
  /** Collections that are being read: an alias to one of them would never end. */
  readonly #open = new Set<ContentNode>();

  /** Notes an error and goes on, so that a user sees all of them. */
  error(line: number, message: string): void {
    this.#errorCount++;
    if (this.#errors.length < MAX_ERRORS) this.#errors.push(`line ${line}: ${message}`);
  }

  /** Throws what was noted. */
  finish(): void {
    if (this.#errorCount === 0) return;
    const rest = this.#errorCount - this.#errors.length;
    const more = rest === 0 ? '' : `; and ${rest} more`;
    throw invalidSchematic(`yaml: construct errors: ${this.#errors.join('; ')}${more}`);
  }

  /** Notes that a node cannot become a `type`. */
  typeError(node: ContentNode, type: string): void {
    if (node.kind !== 'scalar') {
      this.error(node.line, `cannot construct ${node.kind === 'mapping' ? '!!map' : '!!seq'} into ${type}`);
      return;
    }
    const { tag } = this.scalar(node);
    this.error(node.line, `cannot construct ${tag} \`${shortened(node.value)}\` into ${type}`);
  }

  /** The content of a node, which has to be given back to `leave`. */
  enter(node: Node): ContentNode {
    const content = node.kind === 'alias' ? node.target : node;
    if (this.#open.has(content)) {
      const name = node.kind === 'alias' ? node.name : '';
      throw invalidSchematic(`yaml: anchor '${name}' value contains itself`);
    }
    if (node.kind === 'alias') this.#aliasDepth++;
    this.#count();
    if (content.kind !== 'scalar') this.#open.add(content);
    return content;
  }

  leave(node: Node): void {
    if (node.kind === 'alias') this.#aliasDepth--;
    this.#open.delete(node.kind === 'alias' ? node.target : node);
  }

  /** A small document that expands to a large one by aliases is refused; how much may be aliases depends on size. */
  #count(): void {
    this.#nodes++;
    if (this.#aliasDepth > 0) this.#aliasedNodes++;
    if (this.#aliasedNodes <= 100 || this.#nodes <= 1000) return;
    const grown = Math.min(Math.max((this.#nodes - 400_000) / (4_000_000 - 400_000), 0), 1);
    if (this.#aliasedNodes / this.#nodes > 0.99 - grown * (0.99 - 0.1)) {
      throw invalidSchematic('yaml: document contains excessive aliasing');
    }
  }

  /** Type and text of a scalar. */
  scalar(node: ScalarNode): Scalar {
    const { value, tag } = node;
    switch (tag) {
      case '':
        if (!node.plain) return { typed: { type: 'string' }, tag: '!!str', text: value };
        return describe(resolvePlain(value), value);
      case '!!binary':
        return { typed: { type: 'string' }, tag: '!!str', text: decodeBase64(node) };
      case '!!null':
      case '!!bool':
      case '!!int':
      case '!!float':
      case '!!timestamp':
        return explicitlyTyped(node);
      case '!':
      case '!!str':
        return { typed: { type: 'string' }, tag: '!!str', text: value };
      default:
        return { typed: { type: 'string' }, tag, text: value };
    }
  }

  /**
   * The entries of a mapping, merged ones last; `undefined` after duplicate keys, which are noted. Explicit keys
   * win over merged ones, earlier merged mappings over later ones.
   */
  entries(mapping: MappingNode): readonly Entry[] | undefined {
    const errorsBefore = this.#errorCount;
    const entries: Entry[] = [];
    const work: { readonly node: Node; readonly done: boolean }[] = [];
    this.#ownEntries(mapping, false, entries, work);
    for (let next = work.pop(); next !== undefined; next = work.pop()) {
      if (next.done) {
        this.leave(next.node);
        continue;
      }
      const merged = this.enter(next.node);
      work.push({ node: next.node, done: true });
      if (merged.kind !== 'mapping') throw notMergeable();
      this.#ownEntries(merged, true, entries, work);
    }
    return this.#errorCount === errorsBefore ? entries : undefined;
  }

  #ownEntries(
    mapping: MappingNode,
    merged: boolean,
    entries: Entry[],
    work: { readonly node: Node; readonly done: boolean }[],
  ): void {
    const lines = new Map<string, number>();
    const merges: Node[] = [];
    for (let i = 0; i + 1 < mapping.items.length; i += 2) {
      const [keyNode, value] = mapping.items.slice(i, i + 2);
      if (keyNode === undefined || value === undefined) break;
      const key = keyNode.kind === 'alias' ? keyNode.target : keyNode;
      this.#count();
      if (key.kind === 'scalar') {
        const before = lines.get(key.value);
        if (before === undefined) lines.set(key.value, keyNode.line);
        else {
          const name = JSON.stringify(key.value.slice(0, MAX_NAME));
          this.error(keyNode.line, `mapping key ${name} already defined at line ${before}`);
        }
        if (isMergeKey(key)) {
          merges.push(value);
          continue;
        }
      }
      entries.push({ key, value, merged });
    }
    // The first to merge is the first to be taken from the stack.
    for (const merge of merges.flatMap(mergedMappings).reverse()) work.push({ node: merge, done: false });
  }
}

function isMergeKey(key: ScalarNode): boolean {
  return key.value === '<<' && ((key.plain && key.tag === '') || key.tag === '!!merge');
}

function mergedMappings(value: Node): readonly Node[] {
  return value.kind === 'sequence' ? value.items : [value];
}

function notMergeable(): Error {
  return invalidSchematic('yaml: map merge requires map or sequence of maps as the value');
}

function describe(typed: TypedScalar, text: string): Scalar {
  switch (typed.type) {
    case 'string':
      return { typed, tag: '!!str', text };
    case 'merge':
      return { typed: { type: 'string' }, tag: '!!merge', text };
    default:
      return { typed, tag: `!!${typed.type}`, text };
  }
}

/** `!!int "10"` is 10; an integer may be a `!!float`. */
function explicitlyTyped(node: ScalarNode): Scalar {
  const typed = resolvePlain(node.value);
  if (`!!${typed.type}` === node.tag) return { typed, tag: node.tag, text: node.value };
  if (node.tag === '!!float' && typed.type === 'int') {
    return { typed: { type: 'float', value: Number(typed.value) }, tag: node.tag, text: node.value };
  }
  const is = typed.type === 'string' || typed.type === 'merge' ? '!!str' : `!!${typed.type}`;
  throw invalidSchematic(
    `yaml: line ${node.line}: cannot construct ${is} \`${shortened(node.value)}\` as a ${node.tag}`,
  );
}

function decodeBase64(node: ScalarNode): string {
  const digits = node.value.replace(/[\r\n]/g, '');
  if (digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(digits)) {
    throw invalidSchematic(`yaml: line ${node.line}: !!binary value contains invalid base64 data`);
  }
  return textOfBytes(Buffer.from(digits, 'base64'));
}

/** Errors repeat at most so much of a value. */
function shortened(value: string): string {
  if (value.length <= 10 && Buffer.byteLength(value) <= 10) return value;
  const bytes = Buffer.from(value.slice(0, 10)).subarray(0, 7);
  return `${bytes.toString('utf8').replace(/\ufffd+$/, '')}...`;
}
