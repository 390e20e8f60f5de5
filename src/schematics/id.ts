import { createHash } from 'node:crypto';
import { FactoryError } from '../errors.ts';

/** SHA-256 of the canonical YAML: 64 lower-case hexadecimal digits. */
export type SchematicId = string & { readonly __brand: 'SchematicId' };

/** Throws `not-found`: what is no id names no schematic (`spec/schematic.md` §4.1). */
export function parseSchematicId(text: string): SchematicId {
  if (!/^[0-9a-f]{64}$/.test(text)) throw schematicNotFound(text);
  return text as SchematicId;
}

export function schematicId(canonical: string | Uint8Array): SchematicId {
  return createHash('sha256').update(canonical).digest('hex') as SchematicId;
}

/** `schematic ID "x" not found`, the id cut when it is none. */
export function schematicNotFound(text: string): FactoryError {
  const shown = text.length <= 64 ? text : `${text.slice(0, 64)}…`;
  return new FactoryError(
    'not-found',
    'SCHEMATIC_NOT_FOUND',
    `schematic ID ${JSON.stringify(shown)} not found`,
  );
}
