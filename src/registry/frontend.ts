import { FactoryError } from '../errors.ts';
import type { RequestFacts } from '../http/request.ts';
import type { Message, Result } from '../http/result.ts';
import type { Route } from '../http/route.ts';
import { isDigest } from '../oci/names.ts';
import type { RepositoryReader } from '../oci/repository.ts';
import { parseTalosVersion, type TalosVersion, versionTag } from '../talos/version.ts';
import {
  blobUnknown,
  imageUnknown,
  manifestAnswer,
  parseBlobDigest,
  parseReference,
  REVALIDATE,
  readBlob,
  readManifest,
  readReferrers,
  readTags,
} from './content.ts';
import { manifestUnknown, registryErrorMessage } from './errors.ts';
import { type ExternalRegistry, redirect } from './external.ts';
import { parseInstallerName } from './image-name.ts';
import { InstallerImages, type InstallerImagesOptions, type InstallerPlace } from './installer-images.ts';
import { parseRegistryPath, type RegistryPath } from './path.ts';

export interface RegistryParts extends InstallerImagesOptions {
  /** Throws `not-found` for a schematic that does not exist. */
  readonly schematics: { get(id: string, signal?: AbortSignal): Promise<unknown> };
  /** Ascending. */
  readonly versions: (signal: AbortSignal) => Promise<readonly TalosVersion[]>;
  /** Images of the release by their short name: `sourceRepositories`. */
  readonly sources: ReadonlyMap<string, RepositoryReader>;
  /** Clients are sent there for manifests and blobs; served from here when absent. */
  readonly external?: ExternalRegistry;
  /** Whether there are keys to sign with. */
  readonly secureBoot: boolean;
}

type InstallerPath = Extract<RegistryPath, { kind: 'installer' }>;
type SourcePath = Extract<RegistryPath, { kind: 'source' }>;

/** The read-only registry below `/v2` (`spec/registry.md`), OCI distribution-spec 1.1 "Pull". */
export function registryFrontend(parts: RegistryParts): readonly Route[] {
  const frontend = new Frontend(parts);
  const shared = {
    method: 'GET',
    class: 'auth',
    tag: 'registry',
    errors: [400, 401, 403, 404, 500, 502, 503],
  } as const;
  return [
    {
      ...shared,
      path: '/v2',
      id: 'pingRegistry',
      summary: 'Whether this is a registry',
      responses: [{ status: 200, description: 'It is.' }],
      handle: (request) => frontend.answer(request, ''),
    },
    {
      ...shared,
      path: '/v2/*path',
      id: 'getRegistryObject',
      summary: 'Manifests, blobs and referrers of installer images and of the images of releases',
      description:
        'Pull `<host>/<platform>-installer/<schematic>:v<version>`: it is built when it is asked for the first time.',
      responses: [
        { status: 200, description: 'The object.', content: { 'application/octet-stream': 'binary' } },
        { status: 307, description: 'It is in the registry of this address.' },
      ],
      handle: (request) => frontend.answer(request, request.params.path ?? ''),
    },
  ];
}

/** What clients of before the OCI's specification look for. */
const API_VERSION = { 'Docker-Distribution-Api-Version': 'registry/2.0' };
const LATEST = 'latest';

class Frontend {
  readonly #parts: RegistryParts;
  readonly #images: InstallerImages;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#images = new InstallerImages(parts);
  }

  async answer(request: RequestFacts, path: string): Promise<Result> {
    try {
      const result = await this.#route(request, parseRegistryPath(path));
      return { ...result, headers: { ...result.headers, ...API_VERSION } };
    } catch (error) {
      if (request.signal.aborted) throw error;
      const message = registryErrorMessage(error, request.requestId);
      if (message.status >= 500) request.log.warn('registry request failed', { error: causes(error) });
      return { ...message, headers: { ...message.headers, ...API_VERSION } };
    }
  }

  #route(request: RequestFacts, path: RegistryPath): Promise<Result> | Message {
    switch (path.kind) {
      case 'ping':
        return { kind: 'message', status: 200 };
      case 'source':
        return this.#source(request, path);
      case 'installer':
        return this.#installer(request, path);
    }
  }

  async #source({ signal, query }: RequestFacts, path: SourcePath): Promise<Result> {
    const { name, resource, reference } = path;
    const repository = this.#parts.sources.get(name);
    if (repository === undefined) throw imageUnknown(name);
    switch (resource) {
      case 'manifests':
        return found(await readManifest(repository, parseReference(reference), signal), () =>
          manifestUnknown(reference),
        );
      case 'blobs':
        return found(await readBlob(repository, parseBlobDigest(reference), signal), () =>
          blobUnknown(reference),
        );
      case 'referrers':
        return readReferrers(repository, reference, query.get('artifactType') ?? undefined, signal);
      case 'tags':
        return readTags(repository, `siderolabs/${name}`, query, signal);
    }
  }

  async #installer({ signal, query }: RequestFacts, path: InstallerPath): Promise<Result> {
    const { image, schematicId, resource, reference } = path;
    await this.#parts.schematics.get(schematicId, signal);
    const name = parseInstallerName(image);
    if (name.secureboot && !this.#parts.secureBoot) {
      throw new FactoryError('invalid', 'PROFILE_INVALID', 'secure boot is disabled');
    }
    const place: InstallerPlace = { ...name, path: `${image}/${schematicId}`, schematicId };
    switch (resource) {
      case 'manifests':
        return this.#manifest(place, reference, signal);
      case 'blobs':
        return this.#blob(place, reference, signal);
      case 'referrers':
        return readReferrers(
          this.#images.repository(place.path),
          reference,
          query.get('artifactType') ?? undefined,
          signal,
        );
    }
  }

  async #manifest(place: InstallerPlace, reference: string, signal: AbortSignal): Promise<Result> {
    const { external } = this.#parts;
    const version = await this.#version(reference, signal);
    if (version !== undefined) {
      if (external !== undefined) {
        const { digest } = await this.#images.published(place, version, signal);
        return redirect(external, `${place.path}/manifests/${digest}`);
      }
      // Once more when what was verified a moment ago has been deleted since.
      const index =
        (await this.#images.index(place, version, signal)) ??
        (await this.#images.index(place, version, signal));
      if (index === undefined) throw manifestUnknown(reference);
      return manifestAnswer(index.descriptor, index.bytes, REVALIDATE);
    }
    const parsed = parseReference(reference);
    if (external !== undefined) return redirect(external, `${place.path}/manifests/${parsed}`);
    const repository = this.#images.repository(place.path);
    return this.#arrived(
      place,
      () => readManifest(repository, parsed, signal),
      () => manifestUnknown(reference),
      signal,
    );
  }

  async #blob(place: InstallerPlace, reference: string, signal: AbortSignal): Promise<Result> {
    const { external } = this.#parts;
    const digest = parseBlobDigest(reference);
    if (external !== undefined) return redirect(external, `${place.path}/blobs/${digest}`);
    const repository = this.#images.repository(place.path);
    return this.#arrived(
      place,
      () => readBlob(repository, digest, signal),
      () => blobUnknown(reference),
      signal,
    );
  }

  /** What `read` gives, if need be when that which is being published has arrived. */
  async #arrived(
    place: InstallerPlace,
    read: () => Promise<Result | undefined>,
    absent: () => Error,
    signal: AbortSignal,
  ): Promise<Result> {
    // Asked for first: it may be over when the repository has answered.
    const arrival = this.#images.arrival(place.path, signal);
    const result = await read();
    if (result !== undefined) return result;
    if (arrival === undefined) throw absent();
    await arrival;
    return found(await read(), absent);
  }

  /** The version that a tag asks for; `undefined` for digests and tags that are no versions. */
  async #version(reference: string, signal: AbortSignal): Promise<TalosVersion | undefined> {
    if (reference === LATEST) {
      const versions = await this.#parts.versions(signal);
      const newest = versions.findLast(({ prerelease }) => prerelease.length === 0);
      if (newest === undefined) throw manifestUnknown(reference);
      return newest;
    }
    if (isDigest(reference) || !reference.startsWith('v')) return undefined;
    try {
      const version = parseTalosVersion(reference);
      if (versionTag(version) === reference) return version;
    } catch (error) {
      if (!(error instanceof FactoryError)) throw error;
    }
    throw manifestUnknown(reference);
  }
}

function found<T>(result: T | undefined, absent: () => Error): T {
  if (result === undefined) throw absent();
  return result;
}

function causes(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? String(error) : `${String(error)} (${String(cause)})`;
}
