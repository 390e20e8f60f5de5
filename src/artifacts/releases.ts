import type { Blob } from '../blob/blob.ts';
import { type Clock, systemClock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { type Log, silentLog } from '../log.ts';
import { type Digest, parseRepositoryName, registryHost } from '../oci/names.ts';
import type { RepositoryReader } from '../oci/repository.ts';
import type { ImageVerifier } from '../signing/verifier.ts';
import type { Facts } from '../store/facts.ts';
import type { LocalStore } from '../store/store.ts';
import type { Arch } from '../talos/arch.ts';
import { gatesOf } from '../talos/gates.ts';
import { formatVersion, type TalosVersion } from '../talos/version.ts';
import { type BootFiles, bootFilesOf } from './boot-files.ts';
import { CatalogImages } from './catalog-images.ts';
import {
  type ExtensionRecord,
  findExtension,
  findOverlay,
  mergeExtensions,
  type OverlayRecord,
} from './catalogs.ts';
import { whileFetching } from './errors.ts';
import { joinRepository } from './image-reference.ts';
import { ImageSource, type OpenRepository } from './image-source.ts';
import type { ImageTree } from './image-tree.ts';
import { BOOT_FILES, ImageTrees, WHOLE_IMAGE } from './image-trees.ts';
import {
  type BaseLayer,
  type HeldLayer,
  holdLayer,
  type InstallerBase,
  installerBase,
} from './installer-base.ts';
import { TaggedImages } from './tagged-images.ts';
import { talosctlNames } from './talosctl.ts';
import { VersionList, type VersionRules, versionNotAvailable } from './versions.ts';

/** The section `artifacts.core` of the configuration. */
export interface CoreRegistry {
  readonly registry: string;
  /** Path put before every repository of the registry; may be empty. */
  readonly namespace: string;
  readonly insecure: boolean;
  readonly components: {
    readonly installerBase: string;
    readonly installer: string;
    readonly imager: string;
    readonly extensionManifest: string;
    readonly overlayManifest: string;
    readonly talosctl: string;
  };
}

/** The section `enterprise.extraExtensions.manifest` of the configuration; without registry and repository: none. */
export interface ExtraCatalog {
  readonly registry: string;
  readonly namespace: string;
  readonly repository: string;
  readonly insecure: boolean;
}

export interface ReleasesOptions {
  readonly core: CoreRegistry;
  readonly extraExtensions?: ExtraCatalog;
  readonly versions: VersionRules;
  /** Milliseconds for which the list of versions and what a tag denotes are used without asking again. */
  readonly recheckInterval: number;
  readonly repositories: OpenRepository;
  readonly verifier: ImageVerifier;
  readonly store: LocalStore;
  /** What registries said last, for a start while they are down. */
  readonly facts: Facts;
  readonly log?: Log;
  readonly clock?: Clock;
}

/** A talosctl program that can be read until it is disposed. */
export interface TalosctlFile extends Disposable {
  readonly blob: Blob;
  /** Digest of the image and name of the file: names the bytes for ever. */
  readonly etag: string;
}

/** What identifies an image that a catalog names. */
export interface CatalogImage {
  /** For messages. */
  readonly name: string;
  /** With the registry. */
  readonly repository: string;
  readonly digest: Digest;
}

/**
 * The Talos releases of the core registry: which versions there are, and their verified content. Every method throws
 * `not-found` `VERSION_NOT_AVAILABLE` for a version that is not listed, and `upstream` or `unavailable` errors that
 * name the host and when to try again for everything that the registry is to blame for.
 */
export class Releases {
  readonly #options: ReleasesOptions;
  readonly #versions: VersionList;
  readonly #source: ImageSource;
  readonly #trees: ImageTrees;
  readonly #boot: TaggedImages<undefined>;
  /** `installer-base` from Talos 1.10 on, `installer` before. */
  readonly #installers: { readonly unified: TaggedImages<undefined>; readonly old: TaggedImages<undefined> };
  readonly #talosctl: TaggedImages<readonly string[]>;
  readonly #catalogs: CatalogImages;

  /** Throws `invalid` when the configured names are no repository names. No I/O. */
  constructor(options: ReleasesOptions) {
    const { core, versions, recheckInterval: interval, store, verifier, repositories } = options;
    const log = options.log ?? silentLog;
    const clock = options.clock ?? systemClock;
    this.#options = options;
    this.#source = new ImageSource({ repositories, verifier, store, log });
    this.#trees = new ImageTrees(store);
    const component = (name: string): RepositoryReader =>
      repositories(joinRepository(core.registry, core.namespace, name), core.insecure);
    const shared = { source: this.#source, interval, clock, log, facts: options.facts };
    const imager = component(core.components.imager);
    this.#versions = new VersionList({
      ...versions,
      ...shared,
      source: imager.name,
      tags: (signal) => imager.tags(signal),
    });
    this.#boot = new TaggedImages({ ...shared, repository: imager, read: async () => undefined });
    const installers = (name: string): TaggedImages<undefined> =>
      new TaggedImages({ ...shared, repository: component(name), read: async () => undefined });
    this.#installers = {
      unified: installers(core.components.installerBase),
      old: installers(core.components.installer),
    };
    this.#talosctl = new TaggedImages({
      ...shared,
      repository: component(core.components.talosctl),
      read: async (image, signal) => {
        using tree = await this.#trees.open(image, WHOLE_IMAGE, signal);
        const files = tree.entries.filter(({ type }) => type === 'file');
        return talosctlNames(files.map(({ path }) => path));
      },
    });
    this.#catalogs = new CatalogImages({
      ...shared,
      trees: this.#trees,
      home: core,
      extensions: component(core.components.extensionManifest),
      overlays: component(core.components.overlayManifest),
      extra: extraCatalog(options.extraExtensions, repositories),
    });
  }

  /** Ascending. */
  versions(signal?: AbortSignal): Promise<readonly TalosVersion[]> {
    return this.#versions.versions(signal);
  }

  /** As configured, in that order. */
  brokenVersions(): readonly TalosVersion[] {
    return this.#options.versions.broken;
  }

  /** True since the first successful listing of versions. */
  get known(): boolean {
    return this.#versions.known;
  }

  requireVersion(version: TalosVersion, signal?: AbortSignal): Promise<void> {
    return this.#versions.require(version, signal);
  }

  /** The system extensions of a release, extra ones first, else in catalog order. */
  async extensions(version: TalosVersion, signal?: AbortSignal): Promise<readonly ExtensionRecord[]> {
    await this.#versions.require(version, signal);
    const [extra, official] = await Promise.all([
      this.#catalogs.extraExtensions(version, signal),
      this.#catalogs.extensions(version, signal),
    ]);
    return mergeExtensions(extra, official);
  }

  /** By name or alias. Throws `invalid` `EXTENSION_NOT_AVAILABLE` with close names. */
  async selectExtension(version: TalosVersion, name: string, signal?: AbortSignal): Promise<ExtensionRecord> {
    return findExtension(await this.extensions(version, signal), name, version);
  }

  /** In catalog order; empty before Talos 1.7, without asking whether the version exists. */
  async overlays(version: TalosVersion, signal?: AbortSignal): Promise<readonly OverlayRecord[]> {
    if (!gatesOf(version).overlays) return [];
    await this.#versions.require(version, signal);
    return this.#catalogs.overlays(version, signal);
  }

  /** Throws `invalid` `OVERLAY_NOT_AVAILABLE` with close names. */
  async selectOverlay(version: TalosVersion, name: string, signal?: AbortSignal): Promise<OverlayRecord> {
    return findOverlay(await this.overlays(version, signal), name, version);
  }

  /** Digest of the manifest that the boot files come from. */
  async bootDigest(version: TalosVersion, signal?: AbortSignal): Promise<Digest> {
    await this.#versions.require(version, signal);
    return (await this.#boot.get(version, signal)).image.manifest.descriptor.digest;
  }

  async bootFiles(version: TalosVersion, arch: Arch, signal?: AbortSignal): Promise<BootFiles> {
    await this.#versions.require(version, signal);
    const { image } = await this.#boot.get(version, signal);
    const tree = await this.#tree(`boot files of ${formatVersion(version)}`, () =>
      this.#trees.open(image, BOOT_FILES, signal),
    );
    try {
      return bootFilesOf(tree, arch, gatesOf(version).uki);
    } catch (error) {
      tree[Symbol.dispose]();
      throw error;
    }
  }

  /** The image that installers of a release are built on (`spec/outputs-installer.md` §1.1). */
  async installerBase(version: TalosVersion, arch: Arch, signal?: AbortSignal): Promise<InstallerBase> {
    await this.#versions.require(version, signal);
    const { unified, old } = this.#installers;
    const images = gatesOf(version).unifiedInstaller ? unified : old;
    return this.#tree(`base installer of ${formatVersion(version)}`, async () => {
      const { digest, image } = await images.get(version, signal);
      return installerBase(await this.#source.image(image.repository, digest, arch, signal), signal);
    });
  }

  /** A layer of a base installer as a file. */
  installerLayer(layer: BaseLayer, signal?: AbortSignal): Promise<HeldLayer> {
    return holdLayer(this.#options.store, layer, signal);
  }

  /** Throws `invalid` `ARTIFACT_ARCH_MISSING` when there is none for that architecture. */
  extensionImage(extension: CatalogImage, arch: Arch, signal?: AbortSignal): Promise<ImageTree> {
    return this.#catalogImage('extension', extension, arch, signal);
  }

  overlayImage(overlay: CatalogImage, arch: Arch, signal?: AbortSignal): Promise<ImageTree> {
    return this.#catalogImage('overlay', overlay, arch, signal);
  }

  /** File names in byte order; empty before Talos 1.11. */
  async talosctl(version: TalosVersion, signal?: AbortSignal): Promise<readonly string[]> {
    await this.#versions.require(version, signal);
    if (!gatesOf(version).talosctl) return [];
    return (await this.#talosctlImage(version, signal)).value;
  }

  /** Throws `not-found` for a release without talosctl images, and for a name that `talosctl` does not list. */
  async talosctlFile(version: TalosVersion, name: string, signal?: AbortSignal): Promise<TalosctlFile> {
    await this.#versions.require(version, signal);
    if (!gatesOf(version).talosctl) throw versionNotAvailable(version);
    const { image, value: names } = await this.#talosctlImage(version, signal);
    if (!names.includes(name)) {
      throw new FactoryError(
        'not-found',
        'TALOSCTL_NOT_AVAILABLE',
        `${JSON.stringify(name)} is not among the talosctl files of version ${formatVersion(version)}`,
      );
    }
    const tree = await this.#tree(`talosctl ${formatVersion(version)}`, () =>
      this.#trees.open(image, WHOLE_IMAGE, signal),
    );
    const entry = tree.get(name);
    if (entry?.type !== 'file') {
      tree[Symbol.dispose]();
      throw new FactoryError('internal', 'INTERNAL', `the tree of ${tree.digest} has lost ${name}`);
    }
    return {
      blob: entry.content,
      etag: `${tree.digest}/${name}`,
      [Symbol.dispose]: () => tree[Symbol.dispose](),
    };
  }

  async #talosctlImage(version: TalosVersion, signal: AbortSignal | undefined) {
    try {
      return await this.#talosctl.get(version, signal);
    } catch (error) {
      // Not every release has published one.
      if (error instanceof FactoryError && error.code === 'ARTIFACT_IMAGE_MISSING') {
        throw versionNotAvailable(version);
      }
      throw error;
    }
  }

  async #catalogImage(
    kind: 'extension' | 'overlay',
    wanted: CatalogImage,
    arch: Arch,
    signal: AbortSignal | undefined,
  ): Promise<ImageTree> {
    const name = parseRepositoryName(wanted.repository);
    const repository = this.#source.repository(name, this.#isInsecure(registryHost(name)));
    try {
      return await this.#tree(`${kind} ${wanted.name}`, async () =>
        this.#trees.open(
          await this.#source.image(repository, wanted.digest, arch, signal),
          WHOLE_IMAGE,
          signal,
        ),
      );
    } catch (error) {
      if (!(error instanceof FactoryError) || error.code !== 'ARTIFACT_ARCH_MISSING') throw error;
      throw new FactoryError(
        'invalid',
        'ARTIFACT_ARCH_MISSING',
        `${kind} ${JSON.stringify(wanted.name)} is not available for ${arch}`,
        { cause: error },
      );
    }
  }

  async #tree<T>(what: string, open: () => Promise<T>): Promise<T> {
    try {
      return await open();
    } catch (error) {
      throw whileFetching(what, error);
    }
  }

  #isInsecure(registry: string): boolean {
    const { core, extraExtensions: extra } = this.#options;
    return (
      (core.insecure && registry === core.registry) ||
      (extra?.insecure === true && registry === extra.registry)
    );
  }
}

function extraCatalog(
  extra: ExtraCatalog | undefined,
  repositories: OpenRepository,
): { readonly registry: string; readonly repository: RepositoryReader } | undefined {
  if (extra === undefined || extra.registry === '' || extra.repository === '') return undefined;
  const name = joinRepository(extra.registry, extra.namespace, extra.repository);
  return { registry: extra.registry, repository: repositories(name, extra.insecure) };
}
