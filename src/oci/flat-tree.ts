import { badAnswer } from './errors.ts';

/** Where the bytes of a file are in the content file. */
export interface StoredContent {
  readonly offset: number;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly isPacked: boolean;
}

/** What a member of a layer is, apart from its place. */
export type NodeFacts = {
  readonly mode: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
} & (
  | { readonly type: 'directory' }
  | { readonly type: 'symlink'; readonly target: string }
  | {
      readonly type: 'file';
      /** `undefined`: the bytes were not kept. */
      readonly content: StoredContent | undefined;
      /** The member that brought the bytes. */
      readonly origin: string;
    }
  | {
      readonly type: 'character-device' | 'block-device' | 'fifo';
      readonly major: number;
      readonly minor: number;
    }
);

export interface FlatNode {
  readonly path: string;
  readonly facts: NodeFacts;
}

class Node {
  readonly path: string;
  readonly children = new Map<string, Node>();
  facts: NodeFacts;
  /** The layer that said it last. */
  layer: number;
  /** The layer that took all lower things below it away last. */
  prunedIn = -1;

  constructor(path: string, facts: NodeFacts, layer: number) {
    this.path = path;
    this.facts = facts;
    this.layer = layer;
  }
}

/** A directory that no layer describes, only things in it. */
const IMPLIED: NodeFacts = { type: 'directory', mode: 0o755, xattrs: new Map() };
/** As many symbolic links as Linux follows on one path (`MAXSYMLINKS`). */
const MAX_LINKS = 40;

/**
 * A file system while layers are applied to it from the base up (image-spec 1.1 "Image Layer Filesystem
 * Changeset"). Paths never leave the root: symbolic links on the way are followed inside it.
 */
export class FlatTree {
  readonly #root = new Node('', IMPLIED, -1);
  #layer = -1;
  #count = 0;

  /** What comes next is of the next layer. */
  nextLayer(): void {
    this.#layer++;
  }

  /** Nodes in the tree. */
  get count(): number {
    return this.#count;
  }

  /**
   * Where a member of that name comes to be: the same name, unless there are symbolic links on the way.
   * Directories that are missing are made. Throws when something on the way is no directory.
   */
  place(name: string): string {
    const { parent, last } = this.#locate(name);
    return join(parent.path, last);
  }

  put(name: string, facts: NodeFacts): void {
    const { parent, last } = this.#locate(name);
    const known = parent.children.get(last);
    if (known !== undefined && known.facts.type === 'directory' && facts.type === 'directory') {
      known.facts = facts;
      known.layer = this.#layer;
      return;
    }
    if (known !== undefined) this.#count -= countNodes(known);
    parent.children.set(last, new Node(join(parent.path, last), facts, this.#layer));
    this.#count++;
  }

  /** What a hard link of name `name` is linked to. */
  get(target: string): NodeFacts | undefined {
    const parent = this.#walk(target.split('/').slice(0, -1), target, false);
    return parent?.children.get(target.slice(target.lastIndexOf('/') + 1))?.facts;
  }

  /** A whiteout: takes away what lower layers say of a path and below, not what this one does. */
  whiteout(name: string): void {
    const { parent, last } = this.#locate(name, false) ?? {};
    const node = last === undefined ? undefined : parent?.children.get(last);
    if (parent !== undefined && last !== undefined && node !== undefined && !this.#prune(node)) {
      parent.children.delete(last);
      this.#count--;
    }
  }

  /** An opaque whiteout: takes away what lower layers have in a directory. */
  opaque(directory: string): void {
    const node = directory === '' ? this.#root : this.#walk(directory.split('/'), directory, false);
    if (node !== undefined) this.#prune(node);
  }

  /** All nodes but the root in tree order: parents before children, siblings by the bytes of their names. */
  *nodes(): Generator<FlatNode, void, undefined> {
    const waiting: Node[] = sorted(this.#root).reverse();
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      yield { path: node.path, facts: node.facts };
      waiting.push(...sorted(node).reverse());
    }
  }

  /** True when something of the present layer stays. Each subtree is gone through once a layer at most. */
  #prune(node: Node): boolean {
    if (node.prunedIn !== this.#layer) {
      node.prunedIn = this.#layer;
      for (const [name, child] of node.children) {
        if (this.#prune(child)) continue;
        node.children.delete(name);
        this.#count--;
      }
    }
    return node.layer === this.#layer || node.children.size > 0;
  }

  #locate(name: string): { parent: Node; last: string };
  #locate(name: string, isMaking: false): { parent: Node; last: string } | undefined;
  #locate(name: string, isMaking = true): { parent: Node; last: string } | undefined {
    const parts = name.split('/');
    const last = parts.pop() ?? '';
    const parent = this.#walk(parts, name, isMaking);
    return parent === undefined ? undefined : { parent, last };
  }

  #walk(parts: readonly string[], name: string, isMaking: boolean): Node | undefined {
    const way: Node[] = [this.#root];
    const left = [...parts].reverse();
    let links = 0;
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const at = way.at(-1) ?? this.#root;
      let next = at.children.get(part);
      if (next === undefined) {
        if (!isMaking) return undefined;
        next = new Node(join(at.path, part), IMPLIED, this.#layer);
        at.children.set(part, next);
        this.#count++;
      }
      if (next.facts.type === 'symlink') {
        if (++links > MAX_LINKS) throw unplaceable(name, `${next.path} leads in a circle`);
        if (next.facts.target.startsWith('/')) way.length = 1;
        left.push(...next.facts.target.split('/').reverse());
      } else if (next.facts.type === 'directory') way.push(next);
      else if (isMaking) throw unplaceable(name, `${next.path} is a ${next.facts.type}, not a directory`);
      else return undefined;
    }
    return way.at(-1);
  }
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

function sorted(node: Node): Node[] {
  const children = [...node.children].map(([name, child]) => ({ name: Buffer.from(name), child }));
  children.sort((a, b) => Buffer.compare(a.name, b.name));
  return children.map(({ child }) => child);
}

function countNodes(node: Node): number {
  let count = 0;
  const waiting = [node];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    count++;
    for (const child of at.children.values()) waiting.push(child);
  }
  return count;
}

function unplaceable(name: string, why: string): Error {
  return badAnswer(
    'OCI_LAYER_INVALID',
    `the member ${JSON.stringify(name.slice(0, 200))} of a layer has no place: ${why}`,
  );
}
