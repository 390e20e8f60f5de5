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

/** An installer image whose own layers are pieces that stay until it is disposed. */
export interface BuiltInstaller extends InstallerImage, Disposable {}

/** Builds installer images: the layers of the base by reference, and what the schematic adds. */
export class InstallerBuilder {
  readonly #sources: InstallerSources;
  readonly #initramfs: Pick<InitramfsBuilder, 'build'>;
  readonly #tools: LayerTools;

  constructor(sources: InstallerSources, initramfs: Pick<InitramfsBuilder, 'build'>, tools: LayerTools) {
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
    const [boot, base, overlay] = await allOf(stack, [
      this.#sources.bootFiles(version, arch, signal),
      this.#sources.installerBase(version, arch, signal),
      recipe.overlay === undefined
        ? Promise.resolve(undefined)
        : this.#sources.overlayImage(recipe.overlay, arch, signal),
    ]);
    if (boot.manifestDigest !== recipe.boot || base.digest !== recipe.base) {
      throw new FactoryError(
        'unavailable',
        'RELEASE_CHANGED',
        `Talos ${versionTag(version)} was published again while it was being fetched; try again`,
        { retryAfter: 1 },
      );
    }
    const { extensions } = recipe;
    const initramfs = stack.use(
      await this.#initramfs.build(
        { kind: 'initramfs', version, arch, boot: recipe.boot, extensions },
        boot,
        slot,
        signal,
      ),
    ).blob;
    const own = await slot(async () => {
      const content = await installerBoot(recipe, boot, initramfs, signal);
      const layers = [await gzipLayer(bootEntries(arch, content), this.#tools, signal)];
      if (recipe.overlay !== undefined && overlay !== undefined) {
        const entries = overlayEntries(overlay, recipe.overlay.name, recipe.overlay.options);
        layers.push(await gzipLayer(entries, this.#tools, signal));
      }
      return layers;
    });
    const image = installerImage(arch, base.config, [...keptLayers(base), ...own]);
    return { image, base, stack: stack.move() };
  }
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

/** All results, those that pin something in the stack; when one fails, the others are waited for and let go. */
async function allOf(
  stack: DisposableStack,
  [boot, base, overlay]: readonly [
    Promise<BootFiles>,
    Promise<InstallerBase>,
    Promise<ImageTree | undefined>,
  ],
): Promise<readonly [BootFiles, InstallerBase, ImageTree | undefined]> {
  const settled = await Promise.allSettled([
    boot.then((held) => stack.use(held)),
    base,
    overlay.then((held) => (held === undefined ? undefined : stack.use(held))),
  ] as const);
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  return Promise.all([boot, base, overlay]);
}
