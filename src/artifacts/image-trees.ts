import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Nature } from '../blob/blob.ts';
import { type FlattenLimits, flattenInto } from '../oci/flatten.ts';
import { INDEX_FILE, openImageTree } from '../oci/tree-index.ts';
import type { LocalStore } from '../store/store.ts';
import { BOOT_PATHS } from './boot-files.ts';
import { DESCRIPTIONS, IMAGE_DIGESTS, OVERLAYS } from './catalogs.ts';
import { contentNature } from './content-nature.ts';
import type { PulledImage } from './image-source.ts';
import type { ImageTree } from './image-tree.ts';

/** Which files of an image are taken, and how large its layers may be. */
export interface TreeSelection {
  /** Names the selection in the key under which the tree is kept. */
  readonly name: string;
  /** All paths when absent. */
  readonly takes?: (path: string) => boolean;
  readonly limits: FlattenLimits;
  /** Whether it is found out what of the content is compressed already. */
  readonly natures?: true;
}

export const WHOLE_IMAGE: TreeSelection = {
  name: 'whole',
  limits: { entries: 300_000, bytes: 8 * 2 ** 30 },
};

/** The limit is for the whole imager image, though little of it is kept. */
export const BOOT_FILES: TreeSelection = {
  name: 'boot',
  takes: (path) => BOOT_PATHS.has(path),
  limits: { entries: 300_000, bytes: 8 * 2 ** 30 },
  natures: true,
};

const CATALOG_NAMES: ReadonlySet<string> = new Set([IMAGE_DIGESTS, DESCRIPTIONS, OVERLAYS]);

export const CATALOG_FILES: TreeSelection = {
  name: 'catalog',
  takes: (path) => CATALOG_NAMES.has(path),
  limits: { entries: 10_000, bytes: 64 << 20 },
};

/** Raised when trees are written in another form: those of before are then not found, and evicted some day. */
const FORMAT = 1;
const NATURES_FILE = 'natures.json';
const naturesSchema = z.record(z.string(), z.enum(['packed', 'plain']));

/** A tree, with what is known of the content of its files when the selection asked for it. */
export interface KnownTree extends ImageTree {
  readonly natures: ReadonlyMap<string, Nature>;
}

/** File systems of verified images in the local store, each fetched and flattened once. */
export class ImageTrees {
  readonly #store: LocalStore;

  constructor(store: LocalStore) {
    this.#store = store;
  }

  /** Throws what fetching and flattening throw; a signal ends the waiting, not the fetching. */
  async open(
    { repository, manifest }: PulledImage,
    selection: TreeSelection,
    signal?: AbortSignal,
  ): Promise<KnownTree> {
    const key = `tree-${FORMAT}/${selection.name}/${manifest.descriptor.digest}`;
    const make = async (directory: string, making: AbortSignal): Promise<void> => {
      const { takes: filter, limits } = selection;
      await flattenInto(repository, manifest, directory, {
        limits,
        signal: making,
        ...(filter === undefined ? {} : { filter }),
      });
      if (selection.natures === true) await writeNatures(directory, making);
    };
    const entry = await this.#store.obtain(key, make, signal);
    try {
      const directory = dirname(entry.path(INDEX_FILE));
      const tree = await openImageTree(directory, () => entry[Symbol.dispose]());
      const natures = selection.natures === true ? await readNatures(directory) : new Map<string, Nature>();
      return { ...tree, natures };
    } catch (error) {
      entry[Symbol.dispose]();
      throw error;
    }
  }
}

async function writeNatures(directory: string, signal: AbortSignal): Promise<void> {
  using tree = await openImageTree(directory);
  const natures: Record<string, Nature> = {};
  for (const entry of tree.entries) {
    if (entry.type === 'file') natures[entry.path] = await contentNature(entry.content, signal);
  }
  await writeFile(join(directory, NATURES_FILE), JSON.stringify(natures));
}

async function readNatures(directory: string): Promise<ReadonlyMap<string, Nature>> {
  const text = await readFile(join(directory, NATURES_FILE), 'utf8');
  return new Map(Object.entries(naturesSchema.parse(JSON.parse(text))));
}
