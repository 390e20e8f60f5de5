import type { ImageTree } from '../artifacts/image-tree.ts';
import type { LeafBlob } from '../blob/blob.ts';
import { readAll } from '../blob/consume.ts';
import { FactoryError } from '../errors.ts';
import type { Digest } from '../oci/names.ts';
import type { LocalStore, StoredEntry } from '../store/store.ts';
import type { Arch } from '../talos/arch.ts';
import type { Codec } from './codec.ts';
import type { LibraryPath, MicrocodeVendor } from './extension-content.ts';
import type { ExtensionMetadata } from './extension-manifest.ts';
import { hashKey, type OfficialExtension } from './recipe.ts';
import type { Sources } from './sources.ts';
import type { TaskRunner } from './task-runner.ts';
import { type ExtensionPieceInput, PIECE_FILES, type PieceDescription } from './tasks/extension-piece.ts';

/** How a Talos version wants its extensions. */
export interface ExtensionForm {
  readonly arch: Arch;
  readonly codec: Codec;
  readonly library: LibraryPath;
}

/** What one extension adds to an initramfs; pinned until disposed. */
export interface ExtensionPiece extends Disposable {
  /** Names the piece for ever. */
  readonly key: string;
  readonly metadata: ExtensionMetadata;
  readonly hasModules: boolean;
  readonly squashfs: LeafBlob;
  readonly firmware: LeafBlob | undefined;
  readonly microcode: Readonly<Record<MicrocodeVendor, readonly LeafBlob[]>>;
}

/**
 * Pieces of official extensions: each is made once per image and form, whatever schematics name it, and kept
 * in the local store.
 */
export class ExtensionPieces {
  readonly #store: LocalStore;
  readonly #sources: Sources;
  readonly #tasks: TaskRunner;
  readonly #toolchain: string;

  constructor(store: LocalStore, sources: Sources, tasks: TaskRunner, toolchain: string) {
    this.#store = store;
    this.#sources = sources;
    this.#tasks = tasks;
    this.#toolchain = toolchain;
  }

  /** The piece if it is there. */
  async lookup(image: Digest, form: ExtensionForm): Promise<ExtensionPiece | undefined> {
    const entry = this.#store.lookup(this.#key(image, form));
    return entry === undefined ? undefined : openPiece(entry);
  }

  /** The image that a piece is made from: network and no computation. */
  fetch(extension: OfficialExtension, form: ExtensionForm, signal?: AbortSignal): Promise<ImageTree> {
    return this.#sources.extensionImage(extension, form.arch, signal);
  }

  /** The piece, made from `tree` when it is not there: computation and no network. */
  async make(
    extension: OfficialExtension,
    tree: ImageTree,
    form: ExtensionForm,
    signal?: AbortSignal,
  ): Promise<ExtensionPiece> {
    const entry = await this.#store.obtain(
      this.#key(extension.digest, form),
      async (directory, deadline) => {
        const input: ExtensionPieceInput = {
          tree: tree.directory,
          output: directory,
          codec: form.codec,
          library: form.library,
        };
        await this.#tasks.runTask('extension-piece', input, { signal: deadline });
      },
      signal,
    );
    return openPiece(entry);
  }

  #key(image: Digest, form: ExtensionForm): string {
    return `piece-${hashKey('extension', this.#toolchain, { image, ...form })}`;
  }
}

async function openPiece(entry: StoredEntry): Promise<ExtensionPiece> {
  try {
    const json = Buffer.from(await readAll(entry.blob(PIECE_FILES.description), 4 << 20)).toString('utf8');
    const { metadata, hasModules } = JSON.parse(json) as PieceDescription;
    const optional = (name: string): readonly LeafBlob[] =>
      entry.has(name) ? [entry.blob(name, 'packed')] : [];
    return {
      key: entry.key,
      metadata,
      hasModules,
      squashfs: entry.blob(PIECE_FILES.squashfs, 'packed'),
      firmware: optional(PIECE_FILES.firmware)[0],
      microcode: { intel: optional(PIECE_FILES.intel), amd: optional(PIECE_FILES.amd) },
      [Symbol.dispose]: () => entry[Symbol.dispose](),
    };
  } catch (error) {
    entry[Symbol.dispose]();
    throw new FactoryError(
      'internal',
      'PIECE_UNREADABLE',
      `piece ${entry.key} in the local store cannot be read`,
      {
        cause: error,
      },
    );
  }
}
