import type { Construction, ContentNode } from './construction.ts';
import type { OptionMap, OptionScalar, OptionValue } from './schematic.ts';
import type { Timestamp } from './timestamp.ts';
import { runSteps, type Steps } from './trampoline.ts';
import { invalidSchematic } from './yaml/errors.ts';
import type { MappingNode, Node, ScalarNode } from './yaml/nodes.ts';

/** Reads the free-form options of an overlay (`spec/schematic.md` §2.3). */
export class OptionReader {
  readonly #construction: Construction;
  /** Timestamps of the same text are the same, so that they are the same key. */
  readonly #timestamps = new Map<string, Timestamp>();

  constructor(construction: Construction) {
    this.#construction = construction;
  }

  /** The outermost mapping: its keys are texts, whatever they look like. `textKey` notes what is none. */
  topLevel(mapping: MappingNode, textKey: (key: ContentNode) => string | undefined): OptionMap {
    const options = new Map<OptionScalar, OptionValue>();
    for (const { key, value, merged } of this.#construction.entries(mapping) ?? []) {
      const name = textKey(key);
      if (name === undefined || (merged && options.has(name))) continue;
      options.set(name, runSteps(this.#value(value)));
    }
    return options;
  }

  *#value(node: Node): Steps<OptionValue> {
    const content = this.#construction.enter(node);
    let value: OptionValue;
    switch (content.kind) {
      case 'scalar':
        value = this.#scalar(content);
        break;
      case 'sequence': {
        const list: OptionValue[] = [];
        for (const item of content.items) list.push(yield this.#value(item));
        value = list;
        break;
      }
      case 'mapping': {
        const map = new Map<OptionScalar, OptionValue>();
        for (const entry of this.#construction.entries(content) ?? []) {
          const key = this.#key(entry.key);
          if (entry.merged && map.has(key)) continue;
          map.set(key, yield this.#value(entry.value));
        }
        value = map;
      }
    }
    this.#construction.leave(node);
    return value;
  }

  #key(key: ContentNode): OptionScalar {
    if (key.kind === 'scalar') return this.#scalar(key);
    throw invalidSchematic(`yaml: line ${key.line}: invalid map key: a ${key.kind}`);
  }

  #scalar(node: ScalarNode): OptionScalar {
    const { typed, text } = this.#construction.scalar(node);
    switch (typed.type) {
      case 'null':
        return null;
      case 'bool':
      case 'int':
      case 'float':
        return typed.value;
      case 'timestamp':
        return this.#intern(typed.value);
      case 'string':
      case 'merge':
        return text;
    }
  }

  #intern(timestamp: Timestamp): Timestamp {
    const known = this.#timestamps.get(timestamp.text);
    if (known !== undefined) return known;
    this.#timestamps.set(timestamp.text, timestamp);
    return timestamp;
  }
}
