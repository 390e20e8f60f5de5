import type { LeafBlob } from '../blob/blob.ts';
import { filePart } from '../blob/file.ts';
import type { LocalStore, StoredEntry } from '../store/store.ts';
import type { ExtensionMetadata } from './extension-manifest.ts';
import type { ExtensionForm, ExtensionPiece } from './extension-piece.ts';
import type { Slot } from './imager.ts';
import { hashKey } from './recipe.ts';
import type { TaskRunner } from './task-runner.ts';
import type { KernelModulesInput } from './tasks/kernel-modules.ts';
import { MODULES_DEP_PREFIX, MODULES_DEP_SUFFIX, type ModulesDepInput } from './tasks/modules-dep.ts';

/** The layer that makes the modules of all extensions known to modprobe; pinned until disposed. */
export interface ModulesDepLayer extends Disposable {
  readonly metadata: ExtensionMetadata;
  readonly squashfs: LeafBlob;
}

/** Makes `modules.dep.sqsh` (`spec/initramfs.md` §5), once for each set of inputs. */
export class ModulesDep {
  readonly #store: LocalStore;
  readonly #tasks: TaskRunner;
  readonly #toolchain: string;

  constructor(store: LocalStore, tasks: TaskRunner, toolchain: string) {
    this.#store = store;
    this.#tasks = tasks;
    this.#toolchain = toolchain;
  }

  /**
   * `extensions` are those that bring modules, in the order of their layers. Throws `invalid`
   * `MODULES_OTHER_KERNEL` when one was built for another kernel.
   */
  async obtain(
    initramfs: LeafBlob,
    extensions: readonly ExtensionPiece[],
    form: ExtensionForm,
    slot: Slot,
    signal?: AbortSignal,
  ): Promise<ModulesDepLayer> {
    const key = `modules-dep-${hashKey('modules-dep', this.#toolchain, {
      initramfs: keyOf(initramfs),
      extensions: extensions.map((extension) => extension.key),
      form,
    })}`;
    const entry =
      this.#store.lookup(key) ?? (await slot(() => this.#make(key, initramfs, extensions, form, signal)));
    return openLayer(entry);
  }

  async #make(
    key: string,
    initramfs: LeafBlob,
    extensions: readonly ExtensionPiece[],
    form: ExtensionForm,
    signal: AbortSignal | undefined,
  ): Promise<StoredEntry> {
    using kernel = await this.#kernelModules(initramfs, form, signal);
    return await this.#store.obtain(
      key,
      async (output, deadline) => {
        await using scratch = await this.#store.scratch();
        const input: ModulesDepInput = {
          kernelModules: kernel.names().map((name) => ({ name, path: kernel.path(name) })),
          extensions: extensions.map((extension) => ({
            name: extension.metadata.name,
            squashfs: filePart(extension.squashfs),
          })),
          library: form.library,
          codec: form.codec,
          scratch: scratch.path,
          output,
        };
        await this.#tasks.runTask('modules-dep', input, { signal: deadline });
      },
      signal,
    );
  }

  /** The release's own modules as files, which are the same for every set of extensions. */
  #kernelModules(
    initramfs: LeafBlob,
    form: ExtensionForm,
    signal: AbortSignal | undefined,
  ): Promise<StoredEntry> {
    const key = `kernel-modules-${hashKey('kernel-modules', this.#toolchain, {
      initramfs: keyOf(initramfs),
      library: form.library,
    })}`;
    return this.#store.obtain(
      key,
      async (output, deadline) => {
        await using scratch = await this.#store.scratch();
        const input: KernelModulesInput = {
          initramfs: filePart(initramfs),
          library: form.library,
          scratch: scratch.path,
          output,
        };
        await this.#tasks.runTask('kernel-modules', input, { signal: deadline });
      },
      signal,
    );
  }
}

/** The kernel release is in the file's name, so that opening the layer reads nothing. */
function openLayer(entry: StoredEntry): ModulesDepLayer {
  const file = entry.names().find((name) => name.startsWith(MODULES_DEP_PREFIX)) ?? '';
  return {
    metadata: {
      name: 'modules.dep',
      version: file.slice(MODULES_DEP_PREFIX.length, -MODULES_DEP_SUFFIX.length),
      author: 'Talos Machinery',
      description: 'Combined modules.dep for all extensions',
      constraint: '',
      extraInfo: '',
    },
    squashfs: entry.blob(file, 'packed'),
    [Symbol.dispose]: () => entry[Symbol.dispose](),
  };
}

function keyOf(initramfs: LeafBlob): string {
  if (initramfs.key === undefined) throw new TypeError('the initramfs of a release has no key');
  return initramfs.key;
}
