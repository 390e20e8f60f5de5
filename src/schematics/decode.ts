import { BOOTLOADERS, type Bootloader } from '../talos/bootloader.ts';
import type { MetaValue } from '../talos/meta.ts';
import { Construction, type ContentNode } from './construction.ts';
import { OptionReader } from './options.ts';
import { legacyBoolean } from './scalar-types.ts';
import { type Customization, emptySchematic, type OverlaySelection, type Schematic } from './schematic.ts';
import type { Node } from './yaml/nodes.ts';
import { parseDocument } from './yaml/parser.ts';

/**
 * Reads a schematic strictly (`spec/schematic.md` §2): unknown fields, duplicate keys and wrong types are errors.
 * Throws `invalid` `SCHEMATIC_INVALID`, the message with the lines of everything that is wrong.
 */
export function decodeSchematic(bytes: Uint8Array): Schematic {
  const root = parseDocument(bytes);
  const construction = new Construction();
  const schematic = new SchematicReader(construction).schematic(root);
  construction.finish();
  return schematic;
}

type Fields = Readonly<Record<string, (value: Node) => void>>;

/** A type with mutable fields, for what is being read. */
type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Follows the schema; what is null keeps its zero value. */
class SchematicReader {
  readonly #construction: Construction;

  constructor(construction: Construction) {
    this.#construction = construction;
  }

  schematic(node: Node): Schematic {
    const read: Draft<Schematic> = emptySchematic();
    this.#fields(node, 'Schematic', {
      owner: (value) => {
        read.owner = this.#string(value) ?? '';
      },
      overlay: (value) => {
        read.overlay = this.#overlay(value, read.overlay);
      },
      customization: (value) => {
        read.customization = this.#customization(value, read.customization);
      },
    });
    return read;
  }

  #overlay(node: Node, empty: OverlaySelection): OverlaySelection {
    const read: Draft<OverlaySelection> = { ...empty };
    this.#fields(node, 'Overlay', {
      image: (value) => {
        read.image = this.#string(value) ?? '';
      },
      name: (value) => {
        read.name = this.#string(value) ?? '';
      },
      options: (value) => {
        const content = this.#construction.enter(value);
        if (content.kind === 'mapping') {
          const reader = new OptionReader(this.#construction);
          read.options = reader.topLevel(content, (key) => this.#fieldName(key));
        } else if (!this.#isNull(content)) this.#construction.typeError(content, 'map[string]interface {}');
        this.#construction.leave(value);
      },
    });
    return read;
  }

  #customization(node: Node, empty: Customization): Customization {
    const read: Draft<Customization> = { ...empty };
    this.#fields(node, 'Customization', {
      embeddedMachineConfiguration: (value) => {
        read.embeddedMachineConfiguration = this.#string(value) ?? '';
      },
      extraKernelArgs: (value) => {
        read.extraKernelArgs = this.#list(value, '[]string', (item) => this.#string(item));
      },
      meta: (value) => {
        read.meta = this.#list(value, '[]schematic.MetaValue', (item) => this.#meta(item));
      },
      systemExtensions: (value) => {
        this.#fields(value, 'SystemExtensions', {
          officialExtensions: (names) => {
            const officialExtensions = this.#list(names, '[]string', (item) => this.#string(item));
            read.systemExtensions = { officialExtensions };
          },
        });
      },
      bootloader: (value) => {
        read.bootloader = this.#bootloader(value);
      },
      secureboot: (value) => {
        const secureboot: Draft<Customization['secureboot']> = { ...empty.secureboot };
        this.#fields(value, 'SecureBootCustomization', {
          enrollKeys: (keys) => {
            secureboot.enrollKeys = this.#string(keys) ?? '';
          },
          includeWellKnownCertificates: (include) => {
            secureboot.includeWellKnownCertificates = this.#boolean(include);
          },
        });
        read.secureboot = secureboot;
      },
      diskImage: (value) => {
        this.#fields(value, 'DiskImageCustomization', {
          sectorSize: (size) => {
            read.diskImage = { sectorSize: this.#unsigned(size, 'uint', 2n ** 64n - 1n) };
          },
        });
      },
    });
    return read;
  }

  /** `undefined` for a null element, which does not count. */
  #meta(node: Node): MetaValue | undefined {
    const read: Draft<MetaValue> = { key: 0, value: '' };
    const isMapping = this.#fields(node, 'MetaValue', {
      key: (key) => {
        read.key = Number(this.#unsigned(key, 'uint8', 255n));
      },
      value: (value) => {
        read.value = this.#string(value) ?? '';
      },
    });
    return isMapping ? read : undefined;
  }

  /** Calls what belongs to each field of a mapping; false when the node is none. */
  #fields(node: Node, type: string, fields: Fields): boolean {
    const content = this.#construction.enter(node);
    if (content.kind === 'mapping') {
      const known = new Map(Object.entries(fields));
      const seen = new Set<string>();
      for (const { key, value, merged } of this.#construction.entries(content) ?? []) {
        const name = this.#fieldName(key);
        if (name === undefined || (merged && seen.has(name))) continue;
        seen.add(name);
        const read = known.get(name);
        if (read !== undefined) read(value);
        else {
          const shown = name.slice(0, 100);
          this.#construction.error(key.line, `field ${shown} not found in type schematic.${type}`);
        }
      }
    } else if (!this.#isNull(content)) this.#construction.typeError(content, `schematic.${type}`);
    this.#construction.leave(node);
    return content.kind === 'mapping';
  }

  #fieldName(key: ContentNode): string | undefined {
    if (key.kind === 'scalar') {
      const { typed, text } = this.#construction.scalar(key);
      if (typed.type === 'null') return '';
      if (typed.type !== 'timestamp') return text;
    }
    this.#construction.typeError(key, 'string');
    return undefined;
  }

  #list<T>(node: Node, type: string, read: (item: Node) => T | undefined): readonly T[] {
    const content = this.#construction.enter(node);
    const list: T[] = [];
    if (content.kind === 'sequence') {
      for (const item of content.items) {
        const value = read(item);
        if (value !== undefined) list.push(value);
      }
    } else if (!this.#isNull(content)) this.#construction.typeError(content, type);
    this.#construction.leave(node);
    return list;
  }

  /** Source text of any scalar but timestamps; `undefined` for null. */
  #string(node: Node): string | undefined {
    return this.#scalar(node, 'string', (typed, text) => {
      if (typed.type === 'null') return { value: undefined };
      return typed.type === 'timestamp' ? undefined : { value: text };
    });
  }

  #boolean(node: Node): boolean {
    const value = this.#scalar(node, 'bool', (typed, text) => {
      if (typed.type === 'null') return { value: false };
      const value = typed.type === 'bool' ? typed.value : legacyBoolean(text);
      return value === undefined ? undefined : { value };
    });
    return value ?? false;
  }

  #unsigned(node: Node, type: string, most: bigint): bigint {
    const value = this.#scalar(node, type, (typed) => {
      if (typed.type === 'null') return { value: 0n };
      const number =
        typed.type === 'float' && Number.isInteger(typed.value) ? BigInt(typed.value) : undefined;
      const value = typed.type === 'int' ? typed.value : number;
      return value !== undefined && value >= 0n && value <= most ? { value } : undefined;
    });
    return value ?? 0n;
  }

  #bootloader(node: Node): Bootloader {
    const content = this.#construction.enter(node);
    this.#construction.leave(node);
    if (content.kind !== 'scalar') {
      this.#construction.typeError(content, 'schematic.BootloaderKind');
      return 'none';
    }
    if (this.#isNull(content)) return 'none';
    const { text } = this.#construction.scalar(content);
    const name = text.toLowerCase();
    // The API's document lists `auto`, which means that nothing was chosen (`spec/http-api.md` §6.2).
    if (name === 'auto') return 'none';
    const bootloader = BOOTLOADERS.find((known) => known === name);
    if (bootloader === undefined) {
      const shown = text.slice(0, 100);
      this.#construction.error(content.line, `${shown} does not belong to BootloaderKind values`);
    }
    return bootloader ?? 'none';
  }

  /** What `convert` makes of a scalar; a type error is noted when it makes nothing of it. */
  #scalar<T>(
    node: Node,
    type: string,
    convert: (
      typed: ReturnType<Construction['scalar']>['typed'],
      text: string,
    ) => { readonly value: T } | undefined,
  ): T | undefined {
    const content = this.#construction.enter(node);
    this.#construction.leave(node);
    if (content.kind === 'scalar') {
      const { typed, text } = this.#construction.scalar(content);
      const converted = convert(typed, text);
      if (converted !== undefined) return converted.value;
    }
    this.#construction.typeError(content, type);
    return undefined;
  }

  #isNull(content: ContentNode): boolean {
    return content.kind === 'scalar' && this.#construction.scalar(content).typed.type === 'null';
  }
}
