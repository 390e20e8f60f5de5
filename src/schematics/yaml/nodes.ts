/** A document as it was written: no types, aliases not followed. Lines count from 1. */
export type Node = ScalarNode | SequenceNode | MappingNode | AliasNode;

export interface ScalarNode {
  readonly kind: 'scalar';
  /** After unquoting and folding. */
  readonly value: string;
  readonly plain: boolean;
  /** `''` when none is written; `!!x` for the tags of YAML itself. */
  readonly tag: string;
  readonly line: number;
}

export interface SequenceNode {
  readonly kind: 'sequence';
  readonly items: readonly Node[];
  readonly tag: string;
  readonly line: number;
}

export interface MappingNode {
  readonly kind: 'mapping';
  /** Keys at even places, each followed by its value. */
  readonly items: readonly Node[];
  readonly tag: string;
  readonly line: number;
}

export interface AliasNode {
  readonly kind: 'alias';
  readonly name: string;
  readonly target: ScalarNode | SequenceNode | MappingNode;
  readonly line: number;
}
