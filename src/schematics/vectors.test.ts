import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { FactoryError } from '../errors.ts';
import { canonicalize } from './canonicalize.ts';
import { decodeSchematic } from './decode.ts';
import { encodeSchematic } from './encode.ts';
import { schematicId } from './id.ts';

/** Texts with what a factory of the reference makes of them (`spec/schematic.md` §5, §6 and 800 more). */
type Vector =
  | { readonly in: string; readonly out: string; readonly id: string; readonly roundtrip: boolean }
  | { readonly in: string; readonly err: string };

const vectors = readFileSync(new URL('testdata/vectors.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector);

function outcome(input: string): unknown {
  try {
    const schematic = decodeSchematic(Buffer.from(input));
    const out = encodeSchematic(schematic);
    return { in: input, id: schematicId(out), out, roundtrip: isCanonical(() => canonicalize(schematic)) };
  } catch (error) {
    assert.ok(error instanceof FactoryError && error.code === 'SCHEMATIC_INVALID', String(error));
    return { in: input, err: error.message };
  }
}

function isCanonical(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch (error) {
    assert.ok(error instanceof FactoryError && /cannot be read back/.test(error.message), String(error));
    return false;
  }
}

describe('schematic vectors', () => {
  it('are all there', () => assert.equal(vectors.length, 824));

  for (const [index, vector] of vectors.entries()) {
    it(`${index + 1}: ${JSON.stringify(vector.in).slice(0, 80)}`, () => {
      assert.deepEqual(outcome(vector.in), vector);
    });
  }
});
