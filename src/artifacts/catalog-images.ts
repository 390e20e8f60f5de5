import { readAll } from '../blob/consume.ts';
import type { Clock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { RepositoryReader } from '../oci/repository.ts';
import type { Facts } from '../store/facts.ts';
import { type TalosVersion, versionTag } from '../talos/version.ts';
import {
  CATALOG_FILE_LIMIT,
  type CatalogHome,
  DESCRIPTIONS,
  type ExtensionRecord,
  IMAGE_DIGESTS,
  OVERLAYS,
  type OverlayRecord,
  parseExtensions,
  parseOverlays,
} from './catalogs.ts';
import { badArtifact } from './errors.ts';
import type { ImageSource, PulledImage } from './image-source.ts';
import type { ImageTree } from './image-tree.ts';
import { CATALOG_FILES, type ImageTrees } from './image-trees.ts';
import { TaggedImages } from './tagged-images.ts';

export interface CatalogImagesOptions {
  readonly source: ImageSource;
  readonly trees: ImageTrees;
  /** Where official images are pulled from. */
  readonly home: CatalogHome;
  readonly extensions: RepositoryReader;
  readonly overlays: RepositoryReader;
  /** A catalog of extra extensions, and the registry that they are pulled from. */
  readonly extra: { readonly registry: string; readonly repository: RepositoryReader } | undefined;
  /** Milliseconds after which tags are looked at again. */
  readonly interval: number;
  readonly facts: Facts;
  readonly clock: Clock;
  readonly log: Log;
}

/** The catalogs of releases: images with a text file each (`spec/artifacts.md` §5). For versions that exist. */
export class CatalogImages {
  readonly #extensions: TaggedImages<readonly ExtensionRecord[]>;
  readonly #overlays: TaggedImages<readonly OverlayRecord[]>;
  readonly #extra: TaggedImages<readonly ExtensionRecord[]> | undefined;
  readonly #log: Log;

  constructor(options: CatalogImagesOptions) {
    const { source, trees, home, extra, interval, clock, log, facts } = options;
    const shared = { source, interval, clock, log, facts };
    const extensionReader =
      (from: CatalogHome) =>
      async (image: PulledImage, signal: AbortSignal): Promise<readonly ExtensionRecord[]> => {
        using tree = await trees.open(image, CATALOG_FILES, signal);
        const imageDigests = await textFile(tree, IMAGE_DIGESTS);
        if (imageDigests === undefined) throw missingFile(IMAGE_DIGESTS);
        return parseExtensions(imageDigests, await textFile(tree, DESCRIPTIONS), from);
      };
    this.#log = log;
    this.#extensions = new TaggedImages({
      ...shared,
      repository: options.extensions,
      read: extensionReader(home),
    });
    this.#overlays = new TaggedImages({
      ...shared,
      repository: options.overlays,
      read: async (image, signal) => {
        using tree = await trees.open(image, CATALOG_FILES, signal);
        const overlays = await textFile(tree, OVERLAYS);
        if (overlays === undefined) throw missingFile(OVERLAYS);
        return parseOverlays(overlays, home);
      },
    });
    this.#extra =
      extra &&
      new TaggedImages({
        ...shared,
        repository: extra.repository,
        read: extensionReader({ registry: extra.registry, namespace: '' }),
      });
  }

  async extensions(version: TalosVersion, signal?: AbortSignal): Promise<readonly ExtensionRecord[]> {
    return (await this.#extensions.get(version, signal)).value;
  }

  async overlays(version: TalosVersion, signal?: AbortSignal): Promise<readonly OverlayRecord[]> {
    return (await this.#overlays.get(version, signal)).value;
  }

  /** None when there is no extra catalog for the version. */
  async extraExtensions(version: TalosVersion, signal?: AbortSignal): Promise<readonly ExtensionRecord[]> {
    if (this.#extra === undefined) return [];
    try {
      return (await this.#extra.get(version, signal)).value;
    } catch (error) {
      if (!(error instanceof FactoryError) || error.code !== 'ARTIFACT_IMAGE_MISSING') throw error;
      this.#log.warn('no extra extensions for this Talos version', { version: versionTag(version) });
      return [];
    }
  }
}

async function textFile(tree: ImageTree, path: string): Promise<string | undefined> {
  const entry = tree.get(path);
  if (entry?.type !== 'file') return undefined;
  if (entry.content.size > CATALOG_FILE_LIMIT) {
    throw badArtifact('CATALOG_INVALID', `${path} has more than ${CATALOG_FILE_LIMIT} bytes`);
  }
  const bytes = await readAll(entry.content, CATALOG_FILE_LIMIT);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw badArtifact('CATALOG_INVALID', `${path} is not UTF-8`, cause);
  }
}

function missingFile(name: string): FactoryError {
  return badArtifact('CATALOG_INVALID', `failed to find ${name} file`);
}
