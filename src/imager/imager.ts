import type { Blob } from '../blob/blob.ts';
import { textBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import { gatesOf } from '../talos/gates.ts';
import { formatVersion, versionTag } from '../talos/version.ts';
import type { InitramfsBuilder } from './initramfs-builder.ts';
import { composeIso } from './iso.ts';
import type { ComposedRecipe, Recipe } from './recipe.ts';
import type { BootFiles, Sources } from './sources.ts';
import { composeUki } from './uki.ts';

/** A finished asset: a composition of pieces that stay until it is disposed. */
export interface ComposedAsset extends Disposable {
  readonly blob: Blob;
}

/**
 * Runs what needs the processor when its turn has come. Nothing that waits for the network runs inside, so that
 * a slow registry never holds a place that another build could use.
 */
export type Slot = <T>(work: () => Promise<T>) => Promise<T>;

/** Makes recipes into blobs. */
export class Imager {
  readonly #sources: Sources;
  readonly #initramfs: InitramfsBuilder;
  readonly #grub: GrubPieces;

  constructor(sources: Sources, initramfs: InitramfsBuilder, grub: GrubPieces) {
    this.#sources = sources;
    this.#initramfs = initramfs;
    this.#grub = grub;
  }

  async build(recipe: Recipe, slot: Slot, signal?: AbortSignal): Promise<ComposedAsset> {
    if (recipe.kind === 'cmdline') return asset(textBlob(recipe.commandLine), new DisposableStack());
    using stack = new DisposableStack();
    const boot = stack.use(await this.#sources.bootFiles(recipe.version, recipe.arch, signal));
    if (boot.manifestDigest !== recipe.boot) {
      throw new FactoryError(
        'unavailable',
        'RELEASE_CHANGED',
        `Talos ${versionTag(recipe.version)} was published again while it was being fetched; try again`,
        { retryAfter: 1 },
      );
    }
    const blob =
      recipe.kind === 'kernel' ? boot.kernel : await this.#compose(recipe, boot, stack, slot, signal);
    return asset(blob, stack.move());
  }

  async #compose(
    recipe: ComposedRecipe,
    boot: BootFiles,
    stack: DisposableStack,
    slot: Slot,
    signal: AbortSignal | undefined,
  ): Promise<Blob> {
    const initramfs = stack.use(await this.#initramfs.build(recipe, boot, slot, signal)).blob;
    if (recipe.kind === 'initramfs') return initramfs;
  }
}

function asset(blob: Blob, stack: DisposableStack): ComposedAsset {
  return { blob, [Symbol.dispose]: () => stack.dispose() };
}
