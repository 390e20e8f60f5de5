import type { Blob } from '../blob/blob.ts';
import { readAll } from '../blob/consume.ts';
import { toPortable } from '../blob/portable.ts';
import type { AssetBuilder, Lease } from '../builds/builder.ts';
import { withContext } from '../errors.ts';
import type { ComposedAsset, Imager } from '../imager/imager.ts';
import { recipeKey } from '../imager/recipe.ts';
import type { TaskRunner } from '../imager/task-runner.ts';
import type { DigestInput } from '../imager/tasks/digest.ts';
import type { Schematic } from '../schematics/schematic.ts';
import type { Arch } from '../talos/arch.ts';
import type { PlatformName } from '../talos/platforms.ts';
import { formatVersion, parseTalosVersion, type TalosVersion, versionTag } from '../talos/version.ts';
import { type AssetRequest, type OutputKind, parseAssetPath, type Target } from './request.ts';
import type { Resolver } from './resolve.ts';

type Algorithm = DigestInput['algorithm'];

/** Reads schematics by ID. */
export interface SchematicReader {
  get(
    id: string,
    signal?: AbortSignal,
  ): Promise<{ readonly id: string; readonly canonical: string; readonly schematic: Schematic }>;
}

/** What is counted of assets (`spec/asset-cache.md` §10). */
export interface AssetMetrics {
  delivered(about: AssetFacts, bytes: number): void;
  built(about: AssetFacts, bytes: number): void;
  extension(name: string): void;
}

/** For metrics and logs: nothing of a schematic's content. */
export interface AssetFacts {
  /** Without `v`. */
  readonly version: string;
  readonly kind: OutputKind;
  readonly arch: Arch;
}

/** The segments of a URL, as they were requested. */
export interface AssetQuery {
  readonly schematicId: string;
  readonly version: string;
  readonly path: string;
  /** Ends the caller's waiting; a build that has begun goes on and is kept. */
  readonly signal?: AbortSignal;
}

/** An asset that can be read until it is disposed. */
export interface OpenAsset extends Disposable {
  readonly blob: Blob;
  /** The recipe's key, which names the bytes for ever. */
  readonly etag: string;
  /** Hex SHA-256 when it has been computed. */
  readonly known: string | undefined;
  digest(algorithm: Algorithm): Promise<string>;
  readonly immutable: boolean;
  readonly cached: boolean;
}

export interface CommandLine {
  readonly arch: Arch;
  readonly platform: PlatformName;
  readonly secureboot: boolean;
  readonly cmdline: string;
  /** With `v`. */
  readonly version: string;
}

export interface AssetsOptions {
  readonly schematics: SchematicReader;
  readonly resolver: Resolver;
  readonly imager: Imager;
  readonly builder: AssetBuilder<FinishedAsset, AssetFacts>;
  readonly tasks: TaskRunner;
  readonly metrics: AssetMetrics;
  /** Of `toolchainFingerprint`. */
  readonly toolchain: string;
}

/** Bytes of an asset that is hashed when it has been built; a disk is mostly zeros, and hashed when somebody asks. */
const HASHED_AT_ONCE = 512 << 20;

/** From the segments of a URL to an asset. */
export class Assets {
  readonly #options: AssetsOptions;

  constructor(options: AssetsOptions) {
    this.#options = options;
  }

  /**
   * The asset, built if need be. Throws `not-found` for unknown schematics and versions, `invalid` for versions,
   * paths and combinations that cannot be, and what resolving and building throw.
   */
  async open(query: AssetQuery): Promise<OpenAsset> {
    const { lease, request } = await this.#await(query, query.path);
    const { asset, known } = lease;
    return {
      blob: asset.blob,
      etag: asset.key,
      get known() {
        return asset.known;
      },
      digest: (algorithm) => asset.digest(algorithm),
      immutable: !('secureboot' in request && request.secureboot),
      cached: known,
      [Symbol.dispose]: () => lease[Symbol.dispose](),
    };
  }

  /** What a PXE script is made of; `path` is `<platform>-<arch>[-secureboot]`. */
  async commandLine(query: AssetQuery): Promise<CommandLine> {
    const { lease, request, version } = await this.#await(query, `cmdline-${query.path}`);
    using _lease = lease;
    const target: Target = request.kind === 'cmdline' ? request : unreachable(request.kind);
    const cmdline = Buffer.from(await readAll(lease.asset.blob)).toString('utf8');
    const { arch, platform, secureboot } = target;
    return { arch, platform, secureboot, cmdline, version: versionTag(version) };
  }

  /** Waits for the asset until the caller leaves; then the asset is made all the same, for the next one. */
  async #await(query: AssetQuery, path: string): Promise<Resolved> {
    const { signal } = query;
    signal?.throwIfAborted();
    const work = this.#lease(query, path);
    if (signal === undefined) return work;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([work, left.promise]);
    } catch (error) {
      work.then(
        ({ lease }) => lease[Symbol.dispose](),
        () => {},
      );
      throw error;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  async #lease(query: AssetQuery, path: string): Promise<Resolved> {
    const { schematics, resolver, imager, builder, tasks, metrics, toolchain } = this.#options;
    const { id, canonical, schematic } = await schematics.get(query.schematicId);
    const version = parseTalosVersion(query.version);
    const request = parsePath(path);
    const recipe = await resolver.resolve({ request, version, schematicId: id, canonical, schematic });
    const key = recipeKey(recipe, toolchain);
    const about: AssetFacts = { version: formatVersion(version), kind: request.kind, arch: request.arch };
    const lease = await builder.open({
      key,
      about,
      build: async ({ slot, signal }) => {
        if ('extensions' in recipe) {
          for (const extension of recipe.extensions) {
            if (extension.type === 'official') metrics.extension(extension.name);
          }
        }
        const asset = new FinishedAsset(key, await imager.build(recipe, slot, signal), tasks);
        metrics.built(about, asset.blob.size);
        // Later answers can name it at once; nobody waits for it, and nobody minds when it fails.
        if (asset.blob.size <= HASHED_AT_ONCE) asset.digest('sha256').catch(() => {});
        return asset;
      },
    });
    if (lease.known) metrics.delivered(about, lease.asset.blob.size);
    return { lease, request, version };
  }
}

interface Resolved {
  readonly lease: Lease<FinishedAsset>;
  readonly request: AssetRequest;
  readonly version: TalosVersion;
}

/** An asset with its digests, which are computed when they are asked for, in a worker, once. */
export class FinishedAsset implements Disposable {
  readonly key: string;
  readonly blob: Blob;
  readonly #composed: ComposedAsset;
  readonly #tasks: TaskRunner;
  readonly #digests = new Map<Algorithm, Promise<string>>();
  #known: string | undefined;

  constructor(key: string, composed: ComposedAsset, tasks: TaskRunner) {
    this.key = key;
    this.blob = composed.blob;
    this.#composed = composed;
    this.#tasks = tasks;
  }

  get known(): string | undefined {
    return this.#known;
  }

  digest(algorithm: Algorithm): Promise<string> {
    const running = this.#digests.get(algorithm);
    if (running !== undefined) return running;
    const digest = this.#compute(algorithm);
    this.#digests.set(algorithm, digest);
    // A failure is for who asked; the next one tries again.
    digest.catch(() => this.#digests.delete(algorithm));
    return digest;
  }

  [Symbol.dispose](): void {
    this.#composed[Symbol.dispose]();
  }

  async #compute(algorithm: Algorithm): Promise<string> {
    const blob = await toPortable(this.blob);
    const digest = await this.#tasks.runTask('digest', { blob, algorithm });
    if (algorithm === 'sha256') this.#known = digest;
    return digest;
  }
}

function parsePath(path: string): AssetRequest {
  try {
    return parseAssetPath(path);
  } catch (error) {
    throw withContext('error parsing profile from path', error);
  }
}

function unreachable(kind: string): never {
  throw new TypeError(`a command line is not of kind ${kind}`);
}
