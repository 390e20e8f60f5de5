import { FactoryError } from '../errors.ts';
import { sortedEntries } from './natural-order.ts';
import { isSimpleKey, scalarLines, scalarText } from './scalar-text.ts';
import {
  isOptionList,
  isOptionMap,
  type OptionMap,
  type OptionScalar,
  type OptionValue,
  type Schematic,
} from './schematic.ts';
import { runSteps, type Steps } from './trampoline.ts';

/** Characters of a canonical form. Aliases and indentation can make much of little. */
export const MAX_CANONICAL_LENGTH = 16 * 1024 * 1024;

/**
 * The canonical YAML of a schematic, whose SHA-256 is its id (`spec/schematic.md` §3). Fields have the order of
 * the schema and are left out when zero; options are sorted.
 * Throws `invalid` `SCHEMATIC_INVALID` for what would be too large.
 */
export function encodeSchematic(schematic: Schematic): string {
  const writer = new Writer();
  runSteps(writer.mapping(fixedFields(schematic), 0, false));
  return writer.text();
}

/** A mapping whose entries are in the order of the schema, down to where options begin. */
class FixedMap extends Map<OptionScalar, OptionValue> {
  /** Leaves out what is `undefined`. */
  static of(entries: readonly (readonly [string, OptionValue | undefined])[]): FixedMap {
    const map = new FixedMap();
    for (const [key, value] of entries) if (value !== undefined) map.set(key, value);
    return map;
  }
}

function fixedFields(schematic: Schematic): FixedMap {
  const { overlay, customization } = schematic;
  const { secureboot, diskImage, bootloader } = customization;
  const hasOverlay = overlay.image !== '' || overlay.name !== '' || overlay.options.size > 0;
  return FixedMap.of([
    ['owner', nonEmpty(schematic.owner)],
    [
      'overlay',
      hasOverlay
        ? FixedMap.of([
            ['image', overlay.image],
            ['name', overlay.name],
            ['options', overlay.options.size === 0 ? undefined : overlay.options],
          ])
        : undefined,
    ],
    [
      'customization',
      FixedMap.of([
        ['embeddedMachineConfiguration', nonEmpty(customization.embeddedMachineConfiguration)],
        ['extraKernelArgs', nonEmptyList(customization.extraKernelArgs)],
        [
          'meta',
          nonEmptyList(
            customization.meta.map(({ key, value }) =>
              FixedMap.of([
                ['key', BigInt(key)],
                ['value', value],
              ]),
            ),
          ),
        ],
        [
          'systemExtensions',
          nonEmptyMap([
            ['officialExtensions', nonEmptyList(customization.systemExtensions.officialExtensions)],
          ]),
        ],
        ['bootloader', bootloader === 'none' ? undefined : bootloader],
        [
          'secureboot',
          nonEmptyMap([
            ['enrollKeys', nonEmpty(secureboot.enrollKeys)],
            ['includeWellKnownCertificates', secureboot.includeWellKnownCertificates ? true : undefined],
          ]),
        ],
        [
          'diskImage',
          nonEmptyMap([['sectorSize', diskImage.sectorSize === 0n ? undefined : diskImage.sectorSize]]),
        ],
      ]),
    ],
  ]);
}

function nonEmpty(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function nonEmptyList(list: readonly OptionValue[]): readonly OptionValue[] | undefined {
  return list.length === 0 ? undefined : list;
}

function nonEmptyMap(entries: readonly (readonly [string, OptionValue | undefined])[]): FixedMap | undefined {
  const map = FixedMap.of(entries);
  return map.size === 0 ? undefined : map;
}

/** The smallest multiple of 4 that is greater. */
function nextIndent(indent: number): number {
  return 4 * Math.floor((indent + 4) / 4);
}

/** The layout of `spec/schematic.md` §3.1; what is `inline` begins on the line that is being written. */
class Writer {
  readonly #parts: string[] = [];
  #length = 0;

  text(): string {
    return this.#parts.join('');
  }

  *mapping(map: OptionMap, indent: number, inline: boolean): Steps<void> {
    const child = nextIndent(indent);
    let first = inline;
    for (const [key, value] of map instanceof FixedMap ? map : sortedEntries(map)) {
      if (!first) this.#indent(indent);
      first = false;
      const simple = isSimpleKey(key);
      if (simple) this.#write(`${scalarText(key)}:`);
      else {
        this.#write(`? ${scalarLines(key, child)}`);
        this.#indent(indent);
        this.#write(':');
      }
      if (!isCollection(value) || isEmpty(value)) this.#leaf(' ', value, child);
      else {
        // A collection begins on the line of an explicit key's colon, else on the next one.
        if (simple) this.#write('\n');
        else this.#indent(child - indent - 1);
        yield this.#collection(value, child, !simple);
      }
    }
  }

  *#list(list: readonly OptionValue[], indent: number, inline: boolean): Steps<void> {
    let first = inline;
    for (const item of list) {
      if (!first) this.#indent(indent);
      first = false;
      if (!isCollection(item) || isEmpty(item)) this.#leaf('- ', item, indent + 2);
      else {
        this.#write('- ');
        yield this.#collection(item, indent + 2, true);
      }
    }
  }

  #collection(value: OptionMap | readonly OptionValue[], indent: number, inline: boolean): Steps<void> {
    return isOptionMap(value) ? this.mapping(value, indent, inline) : this.#list(value, indent, inline);
  }

  /** A scalar or an empty collection. */
  #leaf(before: string, value: OptionValue, indent: number): void {
    this.#write(before);
    if (isOptionMap(value)) this.#write('{}\n');
    else if (isOptionList(value)) this.#write('[]\n');
    else this.#write(scalarLines(value, indent));
  }

  #indent(columns: number): void {
    this.#write(' '.repeat(columns));
  }

  #write(text: string): void {
    this.#length += text.length;
    if (this.#length > MAX_CANONICAL_LENGTH) {
      throw new FactoryError(
        'invalid',
        'SCHEMATIC_INVALID',
        `the canonical form of the schematic would be longer than ${MAX_CANONICAL_LENGTH} characters`,
      );
    }
    this.#parts.push(text);
  }
}

function isCollection(value: OptionValue): value is OptionMap | readonly OptionValue[] {
  return isOptionMap(value) || isOptionList(value);
}

function isEmpty(value: OptionMap | readonly OptionValue[]): boolean {
  return isOptionMap(value) ? value.size === 0 : value.length === 0;
}
