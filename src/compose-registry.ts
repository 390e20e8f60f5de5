import type { Releases } from './artifacts/releases.ts';
import type { Resolver } from './assets/resolve.ts';
import { AssetBuilder } from './builds/builder.ts';
import type { BuildQueue } from './builds/queue.ts';
import type { ComposeOptions } from './cli/factory.ts';
import { systemClock } from './clock.ts';
import { isEmptyRepository, repositoriesAtDefault, repositoryName } from './config/repositories.ts';
import type { Config } from './config/schema.ts';
import type { Route } from './http/route.ts';
import type { BuiltInstaller, InstallerBuilder } from './imager/installer/installer-builder.ts';
import type { InstallerRecipe } from './imager/installer/recipe.ts';
import { recipeKey } from './imager/recipe.ts';
import type { Layout } from './oci/layout.ts';
import { parseRepositoryName } from './oci/names.ts';
import type { RegistryClient } from './oci/registry-client.ts';
import type { Repository } from './oci/repository.ts';
import type { ExternalRegistry } from './registry/external.ts';
import { registryFrontend } from './registry/frontend.ts';
import { installerBuilds } from './registry/installer-builds.ts';
import type { InstallerRequest } from './registry/installer-images.ts';
import { sourceRepositories } from './registry/sources.ts';
import type { SchematicStore } from './schematics/store.ts';
import type { SigningKey } from './signing/signing-key.ts';

export interface InstallerRegistryParts {
  readonly config: Config;
  readonly options: ComposeOptions;
  readonly client: RegistryClient;
  /** Of the data directory; absent without one. */
  readonly layout: Layout | undefined;
  readonly releases: Releases;
  readonly schematics: SchematicStore;
  readonly resolver: Resolver;
  readonly installers: InstallerBuilder;
  readonly queue: BuildQueue;
  readonly toolchain: string;
  readonly signer: SigningKey;
  /** Takes what has to be closed. */
  readonly opened: AsyncDisposableStack;
}

/** Images that are kept between two requests for them, and for how long (ms). */
const IMAGES_KEPT = 64;
const IMAGES_KEPT_MS = 10 * 60_000;

/** Puts the registry of installer images together. */
export function installerRegistry(parts: InstallerRegistryParts): readonly Route[] {
  const { config, options, client, releases, schematics, queue, signer, opened } = parts;
  const assets = new AssetBuilder<BuiltInstaller, string>({
    queue,
    clock: systemClock,
    maxAssets: IMAGES_KEPT,
    keepMs: IMAGES_KEPT_MS,
    hooks: {
      failed: (error, about) => options.log.warn('build failed', { image: about, error: String(error) }),
    },
  });
  opened.defer(() => assets.close());
  const closing = new AbortController();
  opened.defer(() => closing.abort());
  const external = externalRegistry(config);
  return registryFrontend({
    schematics,
    versions: (signal) => releases.versions(signal),
    build: installerBuilds({
      resolve: (request, signal) => resolveInstaller(parts, request, signal),
      key: (recipe) => recipeKey(recipe, parts.toolchain),
      about: (recipe) => `installer ${recipe.arch}`,
      builder: parts.installers,
      assets,
    }),
    repository: installerRepositories(parts),
    sources: sourceRepositories(config.artifacts.core, (name, insecure) =>
      client.repository(name, { insecure }),
    ),
    secureBoot: false,
    signer,
    clock: systemClock,
    log: options.log,
    closing: closing.signal,
    ...(external === undefined ? {} : { external }),
  });
}

async function resolveInstaller(
  { schematics, resolver }: InstallerRegistryParts,
  request: InstallerRequest,
  signal: AbortSignal,
): Promise<InstallerRecipe> {
  const { platform, arch, secureboot, version } = request;
  const { id, canonical, schematic } = await schematics.get(request.schematicId, signal);
  const recipe = await resolver.resolve(
    {
      request: { kind: 'installer', platform, arch, secureboot },
      version,
      schematicId: id,
      canonical,
      schematic,
    },
    signal,
  );
  if (recipe.kind !== 'installer') throw new TypeError(`an installer has the recipe of a ${recipe.kind}`);
  return recipe;
}

/** In the data directory unless the configuration names a registry. */
function installerRepositories({
  config,
  layout,
  client,
}: InstallerRegistryParts): (path: string) => Repository {
  const { internal } = config.artifacts.installer;
  const base = repositoryName(internal);
  const embedded = layout !== undefined && repositoriesAtDefault(config).installer ? layout : undefined;
  return (path) => {
    const name = parseRepositoryName(`${base}/${path}`);
    return embedded?.repository(name) ?? client.repository(name, { insecure: internal.insecure });
  };
}

function externalRegistry(config: Config): ExternalRegistry | undefined {
  const { external } = config.artifacts.installer;
  if (isEmptyRepository(external)) return undefined;
  const name = repositoryName(external);
  const slash = name.indexOf('/');
  return { registry: name.slice(0, slash), path: name.slice(slash + 1), insecure: external.insecure };
}
