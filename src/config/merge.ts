import type { Node, Section } from './fields.ts';
import { parseRepository } from './repositories.ts';

/** One value for a place of the configuration; the place as it was written, in any case. */
export interface Setting {
  readonly path: readonly string[];
  readonly value: unknown;
  /** How the place is called in warnings: a path or the name of a variable. */
  readonly written: string;
  /** Of an environment: lists and maps are written as JSON text. */
  readonly textual: boolean;
}

/** The settings of one source. */
export interface Settings {
  /** For warnings: `environment` or the path of a file. */
  readonly source: string;
  readonly settings: readonly Setting[];
  /** The source holds other things too (a whole environment): what does not fit is none of our business. */
  readonly mixed: boolean;
}

/** A setting that nothing reads. */
export interface UnknownKey {
  readonly source: string;
  readonly key: string;
}

/** Settings by canonical names; values as they were written. */
export type Tree = Map<string, unknown>;

/**
 * Lays settings over a tree: maps are merged, everything else replaces what was there, lists as a whole; `null`
 * says nothing. Names match in any case, so that the later source wins however it spells a name.
 */
export function mergeSettings(tree: Tree, root: Section, settings: Settings): readonly UnknownKey[] {
  const unknown: UnknownKey[] = [];
  for (const setting of settings.settings) {
    const context: Context = { ...setting, mixed: settings.mixed, unknown: [] };
    if (setting.path.length === 0) putMap(tree, root, setting.value, context, []);
    else put(tree, root, setting.path, setting.value, context, []);
    if (settings.mixed) continue;
    for (const key of context.unknown) unknown.push({ source: settings.source, key });
  }
  return unknown;
}

interface Context {
  readonly written: string;
  readonly textual: boolean;
  readonly mixed: boolean;
  readonly unknown: string[];
}

function put(
  tree: Tree,
  section: Section,
  path: readonly string[],
  value: unknown,
  context: Context,
  below: readonly string[],
): void {
  const [name = '', ...rest] = path;
  const found = memberOf(section, name);
  if (found === undefined || (rest.length > 0 && found.node.kind === 'field')) {
    context.unknown.push([context.written, ...below].filter((part) => part !== '').join('.'));
    return;
  }
  const { key, node } = found;
  if (value === null || value === undefined) return;
  if (node.kind === 'field') {
    tree.set(key, context.textual && node.type === '[]string' ? fromJson(value) : value);
    return;
  }
  if (rest.length > 0) {
    put(subtree(tree, key), node, rest, value, context, below);
    return;
  }
  const given = context.textual ? fromJson(value) : value;
  if (isMap(given)) putMap(subtree(tree, key), node, given, context, below);
  else if (node.repository && typeof given === 'string') {
    tree.set(key, new Map(Object.entries(parseRepository(given))));
  } else if (!context.mixed) tree.set(key, given);
}

function putMap(
  tree: Tree,
  section: Section,
  value: unknown,
  context: Context,
  below: readonly string[],
): void {
  if (!isMap(value)) return;
  for (const [name, member] of Object.entries(value)) {
    put(tree, section, [name], member, context, [...below, name]);
  }
}

function memberOf(section: Section, name: string): { key: string; node: Node } | undefined {
  const folded = name.toLowerCase();
  for (const [key, node] of section.members) if (key.toLowerCase() === folded) return { key, node };
  return undefined;
}

function subtree(tree: Tree, key: string): Tree {
  const there = tree.get(key);
  if (there instanceof Map) return there;
  const made: Tree = new Map();
  tree.set(key, made);
  return made;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text that is a JSON list or map as that; everything else as it is. */
function fromJson(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    // Not JSON, so it means itself: a plain text that starts with a bracket.
    return value;
  }
}

/** The tree as plain objects, for the schema. */
export function plain(tree: Tree): Record<string, unknown> {
  return Object.fromEntries(
    [...tree].map(([key, value]) => [key, value instanceof Map ? plain(value) : value]),
  );
}
