import type { Blob } from '../blob/blob.ts';
import { textBlob } from '../blob/bytes.ts';
import { FactoryError } from '../errors.ts';
import { versionTag } from '../talos/version.ts';
import type { DiskImages } from './disk-images.ts';
import type { GrubImages } from './grub-images.ts';
import type { InitramfsBuilder } from './initramfs-builder.ts';
import type { InstallerBuilder } from './installer/installer-builder.ts';
import { composeIso } from './iso.ts';
import { selectIsoKind } from './iso-kind.ts';
import type { ComposedRecipe, IsoRecipe, KernelRecipe, Recipe } from './recipe.ts';
import { requireBootFile, ukiSpec } from './release-files.ts';
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

export interface ImagerParts {
  readonly sources: Sources;
  readonly initramfs: InitramfsBuilder;
  readonly grub: GrubImages;
  readonly disks: DiskImages;
  readonly installers: InstallerBuilder;
}

/** Makes recipes into blobs. */
export class Imager {
  readonly #sources: Sources;
  readonly #initramfs: InitramfsBuilder;
  readonly #grub: GrubImages;
  readonly #disks: DiskImages;
  readonly #installers: InstallerBuilder;

  constructor({ sources, initramfs, grub, disks, installers }: ImagerParts) {
    this.#sources = sources;
    this.#initramfs = initramfs;
    this.#grub = grub;
    this.#disks = disks;
    this.#installers = installers;
  }

  async build(recipe: Recipe, slot: Slot, signal?: AbortSignal): Promise<ComposedAsset> {
    if (recipe.kind === 'cmdline') return asset(textBlob(recipe.commandLine), new DisposableStack());
    if (recipe.kind === 'installer') return await this.#installers.archive(recipe, slot, signal);
    using stack = new DisposableStack();
    const boot = await this.#obtain(recipe, stack, slot, signal);
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

  /** Fetches extensions and boot files, and makes the pieces of the former meanwhile; `stack` holds both. */
  async #obtain(
    recipe: KernelRecipe | ComposedRecipe,
    stack: DisposableStack,
    slot: Slot,
    signal: AbortSignal | undefined,
  ): Promise<BootFiles> {
    const failure = new AbortController();
    const both = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);
    const held = async <T extends Disposable>(work: Promise<T>): Promise<T> => {
      try {
        return stack.use(await work);
      } catch (error) {
        // The other one need not go on; it is waited for, because it must not leave anything held behind.
        failure.abort(error);
        throw error;
      }
    };
    // Extensions come first, so that their pieces are made while the boot files are on their way.
    const { promise: fetched, resolve: onFetched } = Promise.withResolvers<void>();
    const prepared =
      'extensions' in recipe ? [held(this.#initramfs.prepare(recipe, slot, both, onFetched))] : [];
    if (prepared.length === 0) onFetched();
    failure.signal.addEventListener('abort', () => onFetched(), { once: true });
    const [boot] = await Promise.allSettled([
      held(fetched.then(() => this.#sources.bootFiles(recipe.version, recipe.arch, both))),
      ...prepared,
    ]);
    failure.signal.throwIfAborted();
    if (boot.status === 'rejected') throw boot.reason;
    return boot.value;
  }

  async #compose(
    recipe: ComposedRecipe,
    boot: BootFiles,
    stack: DisposableStack,
    slot: Slot,
    signal: AbortSignal | undefined,
  ): Promise<Blob> {
    const initramfs = stack.use(await this.#initramfs.build(recipe, boot, slot, signal)).blob;
    switch (recipe.kind) {
      case 'initramfs':
        return initramfs;
      case 'uki':
        return await composeUki(ukiSpec(recipe, boot, initramfs), signal);
      case 'iso':
        return await this.#iso(recipe, boot, initramfs, signal);
      case 'image': {
        const disk = stack.use(await this.#disks.build(recipe, boot, initramfs, slot, signal));
        return disk.blob;
      }
    }
  }

  async #iso(
    recipe: IsoRecipe,
    boot: BootFiles,
    initramfs: Blob,
    signal: AbortSignal | undefined,
  ): Promise<Blob> {
    const { version, arch, bootloader } = recipe;
    const kind = selectIsoKind({ version, arch, bootloader, secureBoot: false });
    // BIOS boot code is x86 code: on arm64 media it would be of no use.
    const bios = kind !== 'uefi' && arch === 'amd64' ? { bios: await this.#grub.isoBios(signal) } : {};
    if (kind === 'grub') {
      const efi = await this.#grub.isoEfi(arch, signal);
      const spec = { kind, version, arch, cmdline: recipe.commandLine, kernel: boot.kernel, initramfs };
      return await composeIso({ ...spec, ...bios, efi }, signal);
    }
    const uki = await composeUki(
      { ...ukiSpec(recipe, boot, initramfs), bootFileAlignment: ISO_BLOCK },
      signal,
    );
    const systemdBoot = requireBootFile(boot.sdBoot, 'systemd-boot');
    return kind === 'hybrid'
      ? await composeIso(
          { kind, version, arch, cmdline: recipe.commandLine, uki, systemdBoot, ...bios },
          signal,
        )
      : await composeIso({ kind, version, arch, uki, systemdBoot }, signal);
  }
}

/** Files of an ISO start at multiples of this (bytes). */
const ISO_BLOCK = 2048;

function asset(blob: Blob, stack: DisposableStack): ComposedAsset {
  return { blob, [Symbol.dispose]: () => stack.dispose() };
}
