import { isDeepStrictEqual } from 'node:util';
import { FactoryError } from '../errors.ts';
import { decodeSchematic } from './decode.ts';
import { encodeSchematic } from './encode.ts';
import { type SchematicId, schematicId } from './id.ts';
import type { Schematic } from './schematic.ts';
import { invalidSchematic } from './yaml/errors.ts';

/** A schematic with its canonical YAML and the hash of it. */
export interface CanonicalSchematic {
  readonly id: SchematicId;
  readonly canonical: string;
  readonly schematic: Schematic;
}

/**
 * The canonical form, which has to read back as what it was made of: the canonical form of some texts, fixed as it
 * is, does not (`spec/schematic.md` §3.5), and an id that nobody can use is worse than an error.
 * Throws `invalid` `SCHEMATIC_INVALID`.
 */
export function canonicalize(schematic: Schematic): CanonicalSchematic {
  const canonical = encodeSchematic(schematic);
  const bytes = Buffer.from(canonical);
  if (!readsBack(schematic, canonical, bytes)) {
    throw invalidSchematic(
      'the canonical form of this schematic cannot be read back; ' +
        'let no text of several lines begin with a blank or a tab',
    );
  }
  return { id: schematicId(bytes), canonical, schematic };
}

function readsBack(schematic: Schematic, canonical: string, bytes: Uint8Array): boolean {
  let again: Schematic;
  try {
    again = decodeSchematic(bytes);
  } catch (error) {
    if (error instanceof FactoryError && error.code === 'SCHEMATIC_INVALID') return false;
    throw error;
  }
  // Options are compared by their text: a float without fraction reads back as an integer.
  return (
    encodeSchematic(again) === canonical &&
    again.owner === schematic.owner &&
    again.overlay.image === schematic.overlay.image &&
    again.overlay.name === schematic.overlay.name &&
    isDeepStrictEqual(again.customization, schematic.customization)
  );
}
