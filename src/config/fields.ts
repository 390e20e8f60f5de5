import { z } from 'zod';
import {
  formatDuration,
  formatSize,
  parseBoolean,
  parseDuration,
  parseInteger,
  parseSize,
  type Reading,
} from './go-values.ts';

/** The type of a key as the documentation names it. */
export type FieldType =
  | 'string'
  | 'bool'
  | 'int'
  | 'uint64'
  | 'uint16'
  | '[]string'
  | 'time.Duration'
  | 'size';

/** `seed`: of the users' own reference; `newer`: of later versions of it; `ours`: of this factory alone. */
export type Origin = 'seed' | 'newer' | 'ours';

export interface Field {
  readonly kind: 'field';
  readonly type: FieldType;
  readonly origin: Origin;
  readonly fallback: unknown;
  readonly description: string;
  /** Never printed. */
  readonly secret: boolean;
}

export interface Section {
  readonly kind: 'section';
  readonly description: string;
  /** May also be written as one string (`spec/configuration.md` §3). */
  readonly repository: boolean;
  readonly members: ReadonlyMap<string, Node>;
}

/** What is known of a place in the configuration. */
export type Node = Field | Section;

const nodes = new WeakMap<z.core.$ZodType, Node>();

/** What is known of a schema made here. */
export function nodeOf(schema: z.core.$ZodType): Node {
  const node = nodes.get(schema);
  if (node === undefined)
    throw new TypeError('a schema of the configuration that is neither field nor section');
  return node;
}

export function sectionOf(schema: z.core.$ZodType): Section {
  const node = nodeOf(schema);
  if (node.kind !== 'section') throw new TypeError('expected a section of the configuration');
  return node;
}

/** `written` is the default as a file would write it. */
function field<T>(
  about: Omit<Field, 'kind' | 'secret'>,
  written: unknown,
  read: (value: unknown) => Reading<T>,
) {
  const schema = z
    .unknown()
    .transform((value, context): T => {
      const reading = read(value);
      if ('value' in reading) return reading.value;
      context.addIssue({ code: 'custom', message: reading.problem });
      return z.NEVER;
    })
    .prefault(() => written);
  nodes.set(schema, { kind: 'field', secret: false, ...about });
  return schema;
}

export function text(origin: Origin, fallback: string, description: string) {
  return field({ type: 'string', origin, fallback, description }, fallback, readString);
}

/** A text that is never printed. */
export function secret(origin: Origin, description: string) {
  const schema = text(origin, '', description);
  const node = nodeOf(schema);
  if (node.kind === 'field') nodes.set(schema, { ...node, secret: true });
  return schema;
}

export function flag(origin: Origin, description: string) {
  return field({ type: 'bool', origin, fallback: false, description }, false, readBoolean);
}

export function number(
  origin: Origin,
  type: 'int' | 'uint64' | 'uint16',
  fallback: number,
  description: string,
) {
  return field({ type, origin, fallback, description }, fallback, (value) => readInteger(type, value));
}

export function list(origin: Origin, fallback: readonly string[], description: string) {
  return field({ type: '[]string', origin, fallback, description }, fallback, readList);
}

/** `fallback` in Go notation; the value is in milliseconds. */
export function duration(origin: Origin, fallback: string, description: string) {
  const parsed = parseDuration(fallback);
  const milliseconds = 'value' in parsed ? parsed.value : Number.NaN;
  const about = { type: 'time.Duration', origin, fallback: milliseconds, description } as const;
  return field(about, fallback, readDuration);
}

/** The value is in bytes. */
export function size(origin: Origin, fallback: number, description: string) {
  return field({ type: 'size', origin, fallback, description }, fallback, readSize);
}

export function section<S extends z.core.$ZodLooseShape>(description: string, shape: S, repository = false) {
  const schema = z
    .object(shape, { error: (issue) => `expected a map or struct, got "${goType(issue.input)}"` })
    .readonly()
    // Every member has a default, so that an empty map is a valid input; the generic shape cannot say so.
    .prefault({} as never);
  const members = new Map(Object.entries(shape).map(([key, member]) => [key, nodeOf(member)]));
  nodes.set(schema, { kind: 'section', description, repository, members });
  return schema;
}

/** A value of the configuration as it is written in files. */
export function printed(field: Field, value: unknown): string | number | boolean | readonly string[] {
  if (field.secret && value !== '') return '(hidden)';
  if (field.type === 'time.Duration') return formatDuration(Number(value));
  if (field.type === 'size') return formatSize(Number(value));
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return Array.isArray(value) ? value.map(String) : String(value);
}

function readString(value: unknown): Reading<string> {
  if (typeof value === 'string') return { value };
  if (typeof value === 'boolean') return { value: value ? '1' : '0' };
  if (typeof value === 'number') return { value: String(value) };
  return { problem: `expected type 'string', got unconvertible type '${goType(value)}'` };
}

function readBoolean(value: unknown): Reading<boolean> {
  if (typeof value === 'boolean') return { value };
  if (typeof value === 'number') return { value: value !== 0 };
  if (value === '') return { value: false };
  const parsed = typeof value === 'string' ? parseBoolean(value) : undefined;
  if (parsed !== undefined) return { value: parsed };
  if (typeof value === 'string') {
    return { problem: "cannot parse value as 'bool': strconv.ParseBool: invalid syntax" };
  }
  return { problem: `expected type 'bool', got unconvertible type '${goType(value)}'` };
}

function readInteger(type: 'int' | 'uint64' | 'uint16', value: unknown): Reading<number> {
  const family = type === 'int' ? 'int' : 'uint';
  const parser = type === 'int' ? 'ParseInt' : 'ParseUint';
  if (typeof value === 'boolean') return { value: value ? 1 : 0 };
  if (value === '') return { value: 0 };
  let integer: bigint | undefined;
  if (typeof value === 'number' && Number.isFinite(value)) integer = BigInt(Math.trunc(value));
  else if (typeof value === 'string' && (family === 'int' || !/^[+-]/.test(value))) {
    integer = parseInteger(value);
  } else if (typeof value !== 'string' && typeof value !== 'number') {
    return { problem: `expected type '${type}', got unconvertible type '${goType(value)}'` };
  }
  if (integer === undefined) {
    return { problem: `cannot parse value as '${family}': strconv.${parser}: invalid syntax` };
  }
  const most = type === 'uint16' ? 65535n : BigInt(Number.MAX_SAFE_INTEGER);
  const least = type === 'int' ? -most : 0n;
  if (integer < least || integer > most) {
    return { problem: `cannot parse value as '${family}': strconv.${parser}: value out of range` };
  }
  return { value: Number(integer) };
}

function readDuration(value: unknown): Reading<number> {
  if (typeof value === 'string') return parseDuration(value);
  if (value === 0) return { value: 0 };
  // A bare number would be nanoseconds, which nobody who writes `5` means.
  return { problem: 'time: missing unit in duration' };
}

function readSize(value: unknown): Reading<number> {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return { value };
  if (typeof value === 'string') return parseSize(value);
  return { problem: `expected a size, got "${goType(value)}"` };
}

function readList(value: unknown): Reading<readonly string[]> {
  if (value === '') return { value: [] };
  if (typeof value === 'string') return { value: bracketed(value) ?? [value] };
  if (!Array.isArray(value)) {
    const only = readString(value);
    return 'problem' in only
      ? { problem: `expected type '[]string', got unconvertible type '${goType(value)}'` }
      : { value: [only.value] };
  }
  const values: string[] = [];
  for (const [index, element] of value.entries()) {
    const reading = readString(element);
    if ('problem' in reading) return { problem: `element [${index}] ${reading.problem}` };
    values.push(reading.value);
  }
  return { value: values };
}

/** `[a b, c]` with bare words: how printed defaults of older documents show lists (`[*]`). */
function bracketed(text: string): readonly string[] | undefined {
  const match = /^\s*\[([^[\]"'{}]*)\]\s*$/.exec(text);
  if (match === null) return undefined;
  return (match[1] ?? '').split(/[\s,]+/).filter((word) => word !== '');
}

/** What Go calls the type of a value, which existing error texts show. */
function goType(value: unknown): string {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (Array.isArray(value)) return 'slice';
  return value === null || value === undefined ? 'nil' : 'map';
}
