import { createHash } from 'node:crypto';
import type { Digest } from '../oci/names.ts';
import type { OptionMap } from '../schematics/schematic.ts';
import type { Arch } from '../talos/arch.ts';
import type { Bootloader } from '../talos/bootloader.ts';
import type { MetaValue } from '../talos/meta.ts';
import type { TalosVersion } from '../talos/version.ts';
import { versionTag } from '../talos/version.ts';
import type { DiskContainer, OuterFormat } from './encoders/formats.ts';
import type { InstallerRecipe } from './installer/recipe.ts';
import { overlayOptionsYaml } from './overlay/options-yaml.ts';

/**
 * Raised whenever the builder gives other bytes for the same inputs, so that nothing made by an older one is
 * taken for its own.
 */
export const BUILDER_REVISION = 2;

/** Everything that decides the bytes of an asset, explicitly and by digest: no defaults, no names to resolve. */
export type Recipe =
  | KernelRecipe
  | CommandLineRecipe
  | InitramfsRecipe
  | UkiRecipe
  | IsoRecipe
  | ImageRecipe
  | InstallerRecipe;

interface Release {
  readonly version: TalosVersion;
  readonly arch: Arch;
  /** Digest of the imager image's manifest: kernel, initramfs, systemd-boot and stub come from it. */
  readonly boot: Digest;
}

export interface KernelRecipe extends Release {
  readonly kind: 'kernel';
}

export interface CommandLineRecipe {
  readonly kind: 'cmdline';
  readonly commandLine: string;
}

export interface InitramfsRecipe extends Release {
  readonly kind: 'initramfs';
  /** In the order of the schematic; the virtual ones last. */
  readonly extensions: readonly ExtensionSource[];
}

export interface UkiRecipe extends Release {
  readonly kind: 'uki';
  readonly extensions: readonly ExtensionSource[];
  readonly commandLine: string;
}

export interface IsoRecipe extends Release {
  readonly kind: 'iso';
  readonly extensions: readonly ExtensionSource[];
  readonly commandLine: string;
  /** What the schematic asks for; what becomes of it depends on version and architecture. */
  readonly bootloader: Bootloader;
}

export interface ImageRecipe extends Release {
  readonly kind: 'image';
  readonly extensions: readonly ExtensionSource[];
  readonly commandLine: string;
  readonly bootloader: Exclude<Bootloader, 'none'>;
  /** Bytes of the disk, before it is put in a container. */
  readonly diskSize: number;
  readonly sectorSize: 512 | 4096;
  /** Written to the META partition. */
  readonly meta: readonly MetaValue[];
  readonly container: DiskContainer;
  readonly outer: OuterFormat;
  readonly overlay?: DiskOverlaySource;
}

/** The overlay of a schematic, as the catalog of its release has it. */
export interface OverlaySource {
  readonly name: string;
  /** Repository to pull from, with registry. */
  readonly repository: string;
  readonly digest: Digest;
  readonly options: OptionMap;
}

export interface DiskOverlaySource extends OverlaySource {
  /** Logical blocks that stay free before the partition table's entries. */
  readonly partitionOffset: number;
}

/** Recipes that have an initramfs of their own. */
export type ComposedRecipe = InitramfsRecipe | UkiRecipe | IsoRecipe | ImageRecipe;

export type ExtensionSource = OfficialExtension | SchematicExtension | ConfigExtension;

export interface OfficialExtension {
  readonly type: 'official';
  /** As the catalog writes it, for messages: `siderolabs/gvisor`. */
  readonly name: string;
  /** Repository to pull from, with registry. */
  readonly repository: string;
  readonly digest: Digest;
}

/** Tells the node the schematic of its image (`spec/initramfs.md` §8). */
export interface SchematicExtension {
  readonly type: 'schematic';
  readonly id: string;
  readonly author: string;
  /** Canonical YAML; `''` for releases that do not carry it. */
  readonly extraInfo: string;
}

/** Machine configuration inside the image (`spec/initramfs.md` §9). */
export interface ConfigExtension {
  readonly type: 'embedded-config';
  readonly config: string;
}

/**
 * Lower-case hex SHA-256 that names the asset for ever: of all that decides its bytes and nothing else.
 * `toolchain` is that of `toolchainFingerprint`.
 */
export function recipeKey(recipe: Recipe, toolchain: string): string {
  // Kernels and command lines are made by nobody's program.
  const tools = 'extensions' in recipe ? toolchain : '';
  return hashKey('asset', tools, describe(recipe));
}

/** Hash of a kind of thing, the programs and the true inputs, in a form that does not depend on the order of keys. */
export function hashKey(kind: string, toolchain: string, inputs: unknown): string {
  return createHash('sha256')
    .update(canonicalJson({ kind, revision: BUILDER_REVISION, toolchain, inputs }))
    .digest('hex');
}

function describe(recipe: Recipe): unknown {
  if (recipe.kind === 'cmdline') return recipe;
  const { version, ...rest } = recipe;
  // A kernel is the same file whatever it is asked for.
  if (recipe.kind === 'kernel') return rest;
  const described = { ...rest, version: versionTag(version) };
  if (!('extensions' in recipe)) return described;
  const extensions = recipe.extensions.map(describeExtension);
  if (!('overlay' in recipe) || recipe.overlay === undefined) return { ...described, extensions };
  // Where it was pulled from does not change it.
  const { repository: _, options, ...overlay } = recipe.overlay;
  return { ...described, extensions, overlay: { ...overlay, options: overlayOptionsYaml(options) } };
}

/** Where an extension was pulled from does not change it. */
function describeExtension(source: ExtensionSource): unknown {
  return source.type === 'official' ? { type: source.type, digest: source.digest } : source;
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
