import type { ImageTree } from '../../artifacts/image-tree.ts';
import type { BaseLayer, HeldLayer, InstallerBase } from '../../artifacts/installer-base.ts';
import type { CatalogImage } from '../../artifacts/releases.ts';
import type { Blob } from '../../blob/blob.ts';
import { FactoryError } from '../../errors.ts';
import { repositoryPath } from '../../oci/names.ts';
import type { Arch } from '../../talos/arch.ts';
import { gatesOf } from '../../talos/gates.ts';
import { type TalosVersion, versionTag } from '../../talos/version.ts';
import type { ComposedAsset, Slot } from '../imager.ts';
import type { InitramfsBuilder } from '../initramfs-builder.ts';
import type { InitramfsRecipe } from '../recipe.ts';
import { requireBootFile } from '../release-files.ts';
import type { BootFiles, Sources } from '../sources.ts';
import { composeUki } from '../uki.ts';
import { installerArchive } from './archive.ts';
import { bootEntries, type InstallerBoot, overlayEntries } from './files.ts';
import { type InstallerImage, installerImage } from './image.ts';
import { gzipLayer, type InstallerLayer, type LayerTools } from './layer.ts';
import type { InstallerRecipe } from './recipe.ts';

/** Where installers get what they are built from: verified, by digest. */
export interface InstallerSources extends Sources {
  overlayImage(overlay: CatalogImage, arch: Arch, signal?: AbortSignal): Promise<ImageTree>;
  installerBase(version: TalosVersion, arch: Arch, signal?: AbortSignal): Promise<InstallerBase>;
  installerLayer(layer: BaseLayer, signal?: AbortSignal): Promise<HeldLayer>;
}

export type InstallerInitramfs = Pick<InitramfsBuilder, 'prepare' | 'build'>;

/** An installer image whose own layers are pieces that stay until it is disposed. */
export interface BuiltInstaller extends InstallerImage, Disposable {}

/** Builds installer images: the layers of the base by reference, and what the schematic adds. */
export class InstallerBuilder {
  readonly #sources: InstallerSources;
  readonly #initramfs: InstallerInitramfs;
  readonly #tools: LayerTools;

  constructor(sources: InstallerSources, initramfs: InstallerInitramfs, tools: LayerTools) {
    this.#sources = sources;
    this.#initramfs = initramfs;
    this.#tools = tools;
  }

  /** The image; layers of the base are read from their registry. */
  async build(recipe: InstallerRecipe, slot: Slot, signal?: AbortSignal): Promise<BuiltInstaller> {
    const { image, stack } = await this.#build(recipe, slot, signal);
    return { ...image, [Symbol.dispose]: () => stack.dispose() };
  }

  /** The image as a file; layers of the base are held in the local store, so that it can be read at any time. */
  async archive(recipe: InstallerRecipe, slot: Slot, signal?: AbortSignal): Promise<ComposedAsset> {
    const { image, base, stack: built } = await this.#build(recipe, slot, signal);
    using stack = new DisposableStack();
    stack.use(built);
    const layers: InstallerLayer[] = [];
    for (const layer of image.layers) {
      const from = base.layers.find(({ descriptor }) => descriptor.digest === layer.descriptor.digest);
      if (from === undefined || layer.origin === undefined) layers.push(layer);
      else {
        const held = stack.use(await this.#sources.installerLayer(from, signal));
        layers.push({ ...layer, content: held.blob });
      }
    }
    const blob = installerArchive(
      { ...image, layers },
      `${repositoryPath(base.repository)}:${versionTag(recipe.version)}`,
    );
    const pins = stack.move();
    return { blob, [Symbol.dispose]: () => pins.dispose() };
  }

  async #build(recipe: InstallerRecipe, slot: Slot, signal: AbortSignal | undefined) {
    const { version, arch } = recipe;
    using stack = new DisposableStack();
    const { boot, base, overlay, initramfs: parts } = await this.#obtain(recipe, stack, slot, signal);
    if (boot.manifestDigest !== recipe.boot || base.digest !== recipe.base) {
      throw new FactoryError(
        'unavailable',
        'RELEASE_CHANGED',
        `Talos ${versionTag(version)} was published again while it was being fetched; try again`,
        { retryAfter: 1 },
      );
    }
    const initramfs = stack.use(await this.#initramfs.build(parts, boot, slot, signal)).blob;
    const own = await slot(async () => {
      const content = await installerBoot(recipe, boot, initramfs, signal);
      const layers = [bootEntries(arch, content)];
      if (recipe.overlay !== undefined && overlay !== undefined) {
        layers.push(overlayEntries(overlay, recipe.overlay.name, recipe.overlay.options));
      }
      return Promise.all(layers.map((entries) => gzipLayer(entries, this.#tools, signal)));
    });
    const image = installerImage(arch, base.config, [...keptLayers(base), ...own]);
    return { image, base, stack: stack.move() };
  }

  /** Fetches what is needed, and makes the pieces of extensions meanwhile; `stack` holds it. */
  async #obtain(
    recipe: InstallerRecipe,
    stack: DisposableStack,
    slot: Slot,
    signal: AbortSignal | undefined,
  ) {
    const { version, arch, boot: digest, extensions, overlay } = recipe;
    const initramfs: InitramfsRecipe = { kind: 'initramfs', version, arch, boot: digest, extensions };
    const failure = new AbortController();
    const both = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);
    // When one fails the others need not go on; they are waited for, because none may leave anything held behind.
    const first = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    };
    const held = async <T extends Disposable>(work: Promise<T>): Promise<T> => stack.use(await work);
    const [boot, base, tree] = await Promise.allSettled([
      first(held(this.#sources.bootFiles(version, arch, both))),
      first(this.#sources.installerBase(version, arch, both)),
      overlay === undefined ? undefined : first(held(this.#sources.overlayImage(overlay, arch, both))),
      first(held(this.#initramfs.prepare(initramfs, slot, both))),
    ]);
    failure.signal.throwIfAborted();
    return { boot: settledValue(boot), base: settledValue(base), overlay: settledValue(tree), initramfs };
  }
}

function settledValue<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

/** The second of two layers holds the stock boot files, which ours replace (`spec/outputs-installer.md` §1.2). */
function keptLayers({ repository, layers }: InstallerBase): readonly InstallerLayer[] {
  const kept = layers.length === 2 ? layers.slice(0, 1) : layers;
  return kept.map(({ descriptor, diffId, remote }) => ({
    descriptor,
    diffId,
    content: remote,
    origin: repository,
  }));
}

async function installerBoot(
  recipe: InstallerRecipe,
  boot: BootFiles,
  initramfs: Blob,
  signal: AbortSignal | undefined,
): Promise<InstallerBoot> {
  const { version, commandLine } = recipe;
  if (!gatesOf(version).unifiedInstaller) return { kind: 'kernel', kernel: boot.kernel, initramfs };
  if (commandLine === undefined) throw new TypeError('the recipe of a unified installer has a command line');
  const uki = await composeUki(
    {
      version,
      kind: 'installer',
      stub: requireBootFile(boot.sdStub, 'systemd-stub'),
      kernel: boot.kernel,
      initramfs,
      cmdline: commandLine,
    },
    signal,
  );
  return { kind: 'uki', systemdBoot: requireBootFile(boot.sdBoot, 'systemd-boot'), uki };
}
