import type { Bootloader } from '../talos/bootloader.ts';
import type { MetaValue } from '../talos/meta.ts';
import type { Timestamp } from './timestamp.ts';

/**
 * What a user wants of an image (`spec/schematic.md` §1). Every field is there; what was not given has its zero
 * value. Names, keys and texts are not checked against releases here, but when an asset is made.
 */
export interface Schematic {
  /** Name of the user it belongs to; `''` for nobody. */
  readonly owner: string;
  readonly overlay: OverlaySelection;
  readonly customization: Customization;
}

export interface OverlaySelection {
  readonly image: string;
  /** `''` for no overlay. */
  readonly name: string;
  /** Free form: what the overlay's installer understands. */
  readonly options: OptionMap;
}

export interface Customization {
  readonly embeddedMachineConfiguration: string;
  readonly extraKernelArgs: readonly string[];
  readonly meta: readonly MetaValue[];
  readonly systemExtensions: { readonly officialExtensions: readonly string[] };
  readonly bootloader: Bootloader;
  readonly secureboot: {
    /** Free text here; a build checks it. */
    readonly enrollKeys: string;
    readonly includeWellKnownCertificates: boolean;
  };
  readonly diskImage: {
    /** Bytes, up to 64 bits; 0 for the default. */
    readonly sectorSize: bigint;
  };
}

/** Integers are `bigint`, floats `number`: they are written differently. */
export type OptionScalar = string | boolean | bigint | number | null | Timestamp;
export type OptionValue = OptionScalar | readonly OptionValue[] | OptionMap;
export type OptionMap = ReadonlyMap<OptionScalar, OptionValue>;

export function isOptionMap(value: OptionValue): value is OptionMap {
  return value instanceof Map;
}

export function isOptionList(value: OptionValue): value is readonly OptionValue[] {
  return Array.isArray(value);
}

export function isTimestamp(value: OptionValue): value is Timestamp {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

/** The schematic of an image without any customization. */
export function emptySchematic(): Schematic {
  return {
    owner: '',
    overlay: { image: '', name: '', options: new Map() },
    customization: {
      embeddedMachineConfiguration: '',
      extraKernelArgs: [],
      meta: [],
      systemExtensions: { officialExtensions: [] },
      bootloader: 'none',
      secureboot: { enrollKeys: '', includeWellKnownCertificates: false },
      diskImage: { sectorSize: 0n },
    },
  };
}
