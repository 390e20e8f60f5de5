import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { availableParallelism, homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Releases } from './artifacts/releases.ts';
import { type AssetFacts, Assets, type FinishedAsset } from './assets/assets.ts';
import { assetMetrics } from './assets/metrics.ts';
import { Resolver } from './assets/resolve.ts';
import { AssetBuilder } from './builds/builder.ts';
import { BuildQueue } from './builds/queue.ts';
import { WorkerPool } from './builds/workers.ts';
import type { ComposeOptions, Factory } from './cli/factory.ts';
import { systemClock } from './clock.ts';
import { installerRegistry } from './compose-registry.ts';
import { repositoriesAtDefault, repositoryName } from './config/repositories.ts';
import type { Config } from './config/schema.ts';
import { externalUrls } from './http/external-urls.ts';
import { createMetricsServer } from './http/metrics-server.ts';
import { createServer, type HttpServer } from './http/server.ts';
import type { Services } from './http/services.ts';
import { DiskImages } from './imager/disk-images.ts';
import { diskCompressors } from './imager/encoders/compressors.ts';
import { ExtensionPieces } from './imager/extension-piece.ts';
import type { GrubModules } from './imager/grub.ts';
import { GrubImages } from './imager/grub-images.ts';
import { Imager } from './imager/imager.ts';
import { InitramfsBuilder } from './imager/initramfs-builder.ts';
import { InstallerBuilder } from './imager/installer/installer-builder.ts';
import { ModulesDep } from './imager/modules-dep.ts';
import { builderArch } from './imager/overlay/builder-arch.ts';
import { OverlayInstaller } from './imager/overlay/overlay-installer.ts';
import { Overlays } from './imager/overlay/overlays.ts';
import type { ImagerTasks } from './imager/tasks/registry.ts';
import { toolchainFingerprint } from './imager/toolchain.ts';
import type { Log } from './log.ts';
import { type Layout, openLayout } from './oci/layout.ts';
import { openRegistryClient, type RegistryClient } from './oci/registry-client.ts';
import type { Repository } from './oci/repository.ts';
import { openSigningKey } from './registry/signing-key-file.ts';
import { schematicMetrics } from './schematics/metrics.ts';
import { SchematicStore } from './schematics/store.ts';
import { verificationPolicy } from './signing/policy.ts';
import type { TufSettings } from './signing/tuf-root.ts';
import { imageVerifier } from './signing/verifier.ts';
import { noFacts, openFacts } from './store/facts.ts';
import { openLocalStore } from './store/local-store.ts';
import { parseConfiguredVersion, type TalosVersion } from './talos/version.ts';

/** Threads for building; each does one thing at a time, and most of it is waiting for zlib's own threads. */
const WORKERS = Math.max(2, availableParallelism());
const WORKERS_AT_START = 2;
/** MiB of JavaScript heap that one task may need. */
const WORKER_HEAP = 512;
/** MiB of it for new objects: most of what a task makes is outside of the heap. */
const WORKER_YOUNG_HEAP = 3;
/**
 * Finished assets that are remembered, and for how long (ms): they pin their pieces in the local store, and a disk image
 * has some MiB of its own in memory. To make one again from its pieces is cheap.
 */
const ASSETS_KEPT = 32;
const ASSETS_KEPT_MS = 15 * 60_000;
/** Milliseconds between tries to list the versions, as long as none has succeeded. */
const FIRST_LISTING_INTERVAL = 5_000;
const TEMPORARY_PREFIX = 'image-factory';

/** Puts the factory together; the only place that knows all of its parts. */
export async function composeFactory(config: Config, options: ComposeOptions): Promise<Factory> {
  const { log, env } = options;
  // What was opened is closed again in reverse order, also when a later part cannot be made.
  await using opened = new AsyncDisposableStack();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const client = opened.use(openRegistryClient(registryOptions(config, env)));
  const verifier = imageVerifier(
    await verificationPolicy(config.containerSignature, tufSettings(options), log),
  );
  const store = opened.use(
    await openLocalStore({
      directory: await storeDirectory(config, options, opened),
      maxBytes: config.store.maxSize,
      log,
    }),
  );
  const releases = new Releases({
    core: config.artifacts.core,
    extraExtensions: config.enterprise.extraExtensions.manifest,
    versions: {
      minimum: configuredVersion(config.build.minTalosVersion),
      broken: config.build.brokenTalosVersions.map(configuredVersion),
    },
    recheckInterval: config.artifacts.talosVersionRecheckInterval,
    repositories: (name, insecure) => client.repository(name, { insecure }),
    verifier,
    store,
    facts: options.dataDir === undefined ? noFacts : await openFacts(join(options.dataDir, 'facts')),
    log,
  });
  const layout = options.dataDir === undefined ? undefined : await embeddedLayout(options.dataDir);
  const schematics = new SchematicStore(schematicRepository(config, layout, client), {
    capacity: config.cache.schematic.capacity,
    negativeTtl: config.cache.schematic.negativeTTL,
    metrics: schematicMetrics(registry),
  });

  const workers = new WorkerPool<ImagerTasks>({
    registry: new URL('./imager/tasks/registry.ts', import.meta.url),
    size: WORKERS,
    limits: { maxOldGenerationSizeMb: WORKER_HEAP, maxYoungGenerationSizeMb: WORKER_YOUNG_HEAP },
  });
  opened.defer(() => workers.close());
  // Threads take a while to start: the first ones do so now. Whether it works is seen when they are needed.
  for (let i = 0; i < WORKERS_AT_START; i++) workers.runTask('warm-up', undefined).catch(() => {});
  const modules = grubModules(config.build.grubDirectory);
  const toolchain = await toolchainFingerprint(modules);
  const overlays = new Overlays(releases, new OverlayInstaller({ store, arch: builderArch(), log }));
  const grub = new GrubImages({ modules, store });
  const initramfs = new InitramfsBuilder(
    new ExtensionPieces(store, releases, workers, toolchain),
    new ModulesDep(store, workers, toolchain),
  );
  const compressors = diskCompressors();
  const disks = new DiskImages({ grub, overlays, compressors });
  const installers = new InstallerBuilder(releases, initramfs, { compressors, tasks: workers });
  const imager = new Imager({ sources: releases, initramfs, grub, disks, installers });
  const queue = new BuildQueue({
    slots: config.build.maxConcurrency,
    limit: config.build.queueLimit,
    clock: systemClock,
  });
  const { metrics, hooks } = assetMetrics(registry, queue);
  const builder = new AssetBuilder<FinishedAsset, AssetFacts>({
    queue,
    clock: systemClock,
    maxAssets: ASSETS_KEPT,
    keepMs: ASSETS_KEPT_MS,
    hooks: {
      ...hooks,
      failed: (error, about) => log.warn('build failed', { ...about, error: String(error) }),
    },
  });
  opened.defer(() => builder.close());
  const resolver = new Resolver(releases, overlays, config.http.externalURL);
  const assets = new Assets({ schematics, resolver, imager, builder, tasks: workers, metrics, toolchain });

  const signer = await openSigningKey({ path: config.cache.signingKeyPath, dataDir: options.dataDir });
  const routes =
    signer === undefined
      ? []
      : installerRegistry({
          config,
          options,
          client,
          layout,
          releases,
          schematics,
          resolver,
          installers,
          queue,
          toolchain,
          signer,
          opened,
        });
  const server = await createServer({
    services: services(schematics, assets, releases, signer?.publicKeyPem),
    routes,
    urls: externalUrls(
      new URL(config.http.externalURL),
      config.http.externalPXEURL === '' ? undefined : new URL(config.http.externalPXEURL),
    ),
    allowedOrigins: config.http.allowedOrigins,
    tag: options.version.tag,
    log,
    registry,
    ...tls(config),
  });
  const metricsServer = config.metrics.addr === '' ? undefined : createMetricsServer(registry, log);
  return new ComposedFactory({ config, server, metricsServer, releases, log, opened: opened.move() });
}

interface Parts {
  readonly config: Config;
  readonly server: HttpServer;
  readonly metricsServer: HttpServer | undefined;
  readonly releases: Releases;
  readonly log: Log;
  readonly opened: AsyncDisposableStack;
}

class ComposedFactory implements Factory {
  readonly failed: Promise<Error>;
  readonly #parts: Parts;
  #listing: NodeJS.Timeout | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { promise, resolve } = Promise.withResolvers<Error>();
    for (const server of [parts.server, parts.metricsServer]) server?.failed.catch(resolve);
    this.failed = promise;
  }

  async listen() {
    const { config, server, metricsServer } = this.#parts;
    await server.listen(config.http.httpListenAddr);
    await metricsServer?.listen(config.metrics.addr);
    this.#listVersions();
    const scheme = tls(config).tls === undefined ? 'http' : 'https';
    return {
      url: urlOf(scheme, server),
      ...(metricsServer === undefined ? {} : { metricsUrl: urlOf('http', metricsServer) }),
    };
  }

  async close(graceMs: number): Promise<void> {
    const { server, metricsServer, opened } = this.#parts;
    clearTimeout(this.#listing);
    await server.close(graceMs);
    await metricsServer?.close(0);
    await opened.disposeAsync();
  }

  /** Readiness waits for the first list of versions, so it is fetched before somebody asks for it. */
  #listVersions(): void {
    const { releases, log } = this.#parts;
    releases.versions().then(
      (versions) => log.info('Talos versions listed', { versions: versions.length }),
      (error: unknown) => {
        log.warn('Talos versions cannot be listed yet', { error: String(error) });
        this.#listing = setTimeout(() => this.#listVersions(), FIRST_LISTING_INTERVAL);
        this.#listing.unref();
      },
    );
  }
}

function services(
  schematics: SchematicStore,
  assets: Assets,
  releases: Releases,
  cosignPublicKey: string | undefined,
): Services {
  return {
    schematics: {
      create: (body, signal) => schematics.create(body, signal),
      get: (id, signal) => schematics.get(id, signal),
    },
    assets,
    releases,
    keys: { secureBootCertificate: async () => undefined, cosignPublicKey: async () => cosignPublicKey },
    ready: () =>
      releases.known ? { ready: true } : { ready: false, reason: 'Talos versions have not been listed yet' },
  };
}

function registryOptions(config: Config, env: ComposeOptions['env']) {
  const proxy = (name: string): string | undefined => env[name] ?? env[name.toLowerCase()];
  const [http, https, none] = [proxy('HTTP_PROXY'), proxy('HTTPS_PROXY'), proxy('NO_PROXY')];
  return {
    credentials: { env, home: env.HOME ?? homedir() },
    transport: {
      proxies: {
        ...(http === undefined ? {} : { http }),
        ...(https === undefined ? {} : { https }),
        ...(none === undefined ? {} : { none }),
      },
    },
    refreshInterval: config.artifacts.refreshInterval,
    ...(config.registry.jobs === 0 ? {} : { jobs: config.registry.jobs }),
  };
}

/** The variables by which Sigstore's own programs find their TUF repository, and its cache. */
function tufSettings({ env, dataDir }: ComposeOptions): TufSettings {
  const home = dataDir === undefined ? join(env.HOME ?? homedir(), '.sigstore/root') : join(dataDir, 'tuf');
  return {
    mirror: env.TUF_MIRROR ?? '',
    cacheDirectory: env.TUF_ROOT || home,
    rootFile: env.TUF_ROOT_JSON ?? '',
  };
}

/** As configured, below the data directory, or a temporary one that is gone at the end. */
async function storeDirectory(
  config: Config,
  options: ComposeOptions,
  opened: AsyncDisposableStack,
): Promise<string> {
  if (config.store.dir !== '') return config.store.dir;
  if (options.dataDir !== undefined) return join(options.dataDir, 'store');
  const temporary = options.env.TMPDIR ?? tmpdir();
  await sweepTemporary(temporary);
  const directory = await mkdtemp(join(temporary, `${TEMPORARY_PREFIX}-${process.pid}-`));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Directories that processes left behind which are gone. */
async function sweepTemporary(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = new RegExp(`^${TEMPORARY_PREFIX}-([0-9]+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await rm(join(directory, name), { recursive: true, force: true });
    }
  }
}

/** Embedded in the data directory unless the configuration names another one. */
function schematicRepository(config: Config, layout: Layout | undefined, client: RegistryClient): Repository {
  const { schematic } = config.artifacts;
  const name = repositoryName(schematic);
  if (layout !== undefined && repositoriesAtDefault(config).schematic) return layout.repository(name);
  return client.repository(name, { insecure: schematic.insecure });
}

async function embeddedLayout(dataDir: string): Promise<Layout> {
  const root = join(dataDir, 'oci');
  await mkdir(root, { recursive: true });
  return openLayout(root);
}

/** The platforms that there are modules of. */
function grubModules(root: string): GrubModules {
  const at = (name: string): string | undefined => {
    const directory = join(root, name);
    return existsSync(directory) ? directory : undefined;
  };
  const [i386pc, x86_64Efi, arm64Efi] = [at('i386-pc'), at('x86_64-efi'), at('arm64-efi')];
  return {
    ...(i386pc === undefined ? {} : { i386pc }),
    ...(x86_64Efi === undefined ? {} : { x86_64Efi }),
    ...(arm64Efi === undefined ? {} : { arm64Efi }),
  };
}

function configuredVersion(text: string): TalosVersion {
  const version = parseConfiguredVersion(text);
  if (version === undefined) throw new TypeError(`${JSON.stringify(text)} was checked to be a version`);
  return version;
}

function tls(config: Config): { readonly tls?: { readonly certFile: string; readonly keyFile: string } } {
  const { certFile, keyFile } = config.http;
  return certFile === '' && keyFile === '' ? {} : { tls: { certFile, keyFile } };
}

function urlOf(scheme: string, server: HttpServer): string {
  const address = server.address;
  if (address === undefined) throw new TypeError('the server does not listen');
  const wildcard = address.address === '::' || address.address === '0.0.0.0';
  const host = wildcard ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${host}:${address.port}`;
}
