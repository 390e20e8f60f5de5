import type { Blob } from '../blob/blob.ts';
import { FactoryError, withContext } from '../errors.ts';
import { satisfies } from '../talos/constraint.ts';
import { type Gates, gatesOf } from '../talos/gates.ts';
import { formatVersion, type TalosVersion } from '../talos/version.ts';
import { codecOf } from './codec.ts';
import type { Layer } from './extension-manifest.ts';
import type { ExtensionForm, ExtensionPiece, ExtensionPieces } from './extension-piece.ts';
import type { Slot } from './imager.ts';
import { composeInitramfs } from './initramfs.ts';
import type { ModulesDep } from './modules-dep.ts';
import type { ComposedRecipe, OfficialExtension } from './recipe.ts';
import type { BootFiles } from './sources.ts';
import { squashfsBlob } from './squashfs-file.ts';
import { virtualExtension } from './virtual-extensions.ts';

/** An initramfs whose pieces stay until it is disposed. */
export interface BuiltInitramfs extends Disposable {
  readonly blob: Blob;
}

type MountedLayer = Layer & { readonly squashfs: Blob };

/** Puts an initramfs together from the release's own and the pieces of its extensions (`spec/initramfs.md` §3). */
export class InitramfsBuilder {
  readonly #pieces: ExtensionPieces;
  readonly #modulesDep: ModulesDep;

  constructor(pieces: ExtensionPieces, modulesDep: ModulesDep) {
    this.#pieces = pieces;
    this.#modulesDep = modulesDep;
  }

  /**
   * Sees to it that there are the pieces of the extensions, and holds them until disposed. `onFetched` is called when
   * all of their images have come or failed to: from then on only the processor is needed.
   */
  async prepare(
    recipe: ComposedRecipe,
    slot: Slot,
    signal?: AbortSignal,
    onFetched: () => void = () => {},
  ): Promise<Disposable> {
    const form = formFor(recipe, gatesOf(recipe.version));
    const official = recipe.extensions.filter((source) => source.type === 'official');
    let missing = official.length;
    if (missing === 0) onFetched();
    const one = (): void => {
      if (--missing === 0) onFetched();
    };
    using stack = new DisposableStack();
    await allOf(
      official.map(async (source) => stack.use(await this.#piece(source, form, slot, signal, one))),
    );
    return stack.move();
  }

  async build(
    recipe: ComposedRecipe,
    boot: BootFiles,
    slot: Slot,
    signal?: AbortSignal,
  ): Promise<BuiltInitramfs> {
    const form = formFor(recipe, gatesOf(recipe.version));
    using stack = new DisposableStack();
    const extensions = await allOf(
      recipe.extensions.map(async (source) => {
        if (source.type === 'official') {
          return stack.use(await this.#piece(source, form, slot, signal));
        }
        const { metadata, rootfs } = virtualExtension(source);
        return { metadata, squashfs: await squashfsBlob(rootfs, form.codec) };
      }),
    );
    for (const { metadata } of extensions)
      requireCompatible(metadata.name, metadata.constraint, recipe.version);

    const layers: MountedLayer[] = [];
    const official: ExtensionPiece[] = [];
    for (const index of [...extensions.keys()].sort(compareAsText)) {
      const extension = extensions[index];
      if (extension === undefined) continue;
      layers.push({ image: `${index}.sqsh`, metadata: extension.metadata, squashfs: extension.squashfs });
      if ('hasModules' in extension) official.push(extension);
    }
    const withModules = official.filter((piece) => piece.hasModules);
    if (withModules.length > 0) {
      const modules = stack.use(
        await this.#modulesDep.obtain(boot.initramfs, withModules, form, slot, signal),
      );
      layers.push({ image: 'modules.dep.sqsh', metadata: modules.metadata, squashfs: modules.squashfs });
    }
    const blob = composeInitramfs({
      base: boot.initramfs,
      layers,
      firmware: official.flatMap((piece) => piece.firmware ?? []),
      microcode: {
        intel: official.flatMap((piece) => piece.microcode.intel),
        amd: official.flatMap((piece) => piece.microcode.amd),
      },
    });
    const pins = stack.move();
    return { blob, [Symbol.dispose]: () => pins.dispose() };
  }

  async #piece(
    extension: OfficialExtension,
    form: ExtensionForm,
    slot: Slot,
    signal: AbortSignal | undefined,
    onFetched: () => void = () => {},
  ): Promise<ExtensionPiece> {
    const known = await this.#pieces.lookup(extension.digest, form);
    if (known !== undefined) {
      onFetched();
      return known;
    }
    using tree = await this.#pieces.fetch(extension, form, signal).finally(onFetched);
    try {
      return await slot(() => this.#pieces.make(extension, tree, form, signal));
    } catch (error) {
      throw error instanceof FactoryError ? withContext(`extension ${extension.name}`, error) : error;
    }
  }
}

/** Nobody may be left behind that could still pin a piece when another one has failed. */
async function allOf<T>(works: readonly Promise<T>[]): Promise<readonly T[]> {
  return (await Promise.allSettled(works)).map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

function formFor(recipe: ComposedRecipe, gates: Gates): ExtensionForm {
  return { arch: recipe.arch, codec: codecOf(gates), library: gates.usrMerge ? 'usr/lib' : 'lib' };
}

/**
 * Layers are mounted in the order of their numbers as text: 0, 1, 10, 11, 2 (`spec/initramfs.md` §2.4).
 */
function compareAsText(a: number, b: number): number {
  return String(a) < String(b) ? -1 : 1;
}

function requireCompatible(name: string, constraint: string, version: TalosVersion): void {
  if (satisfies(version, constraint)) return;
  throw new FactoryError(
    'invalid',
    'EXTENSION_INCOMPATIBLE',
    `error validating extension ${JSON.stringify(name)}: version constraint ${constraint} can't be satisfied with Talos version ${formatVersion({ ...version, prerelease: [] })}`,
  );
}
