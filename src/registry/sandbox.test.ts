import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Releases } from '../artifacts/releases.ts';
import { AssetBuilder } from '../builds/builder.ts';
import { BuildQueue } from '../builds/queue.ts';
import { WorkerPool } from '../builds/workers.ts';
import { systemClock } from '../clock.ts';
import { TestServer } from '../http/testing/start.ts';
import { diskCompressors } from '../imager/encoders/compressors.ts';
import { ExtensionPieces } from '../imager/extension-piece.ts';
import { InitramfsBuilder } from '../imager/initramfs-builder.ts';
import { type BuiltInstaller, InstallerBuilder } from '../imager/installer/installer-builder.ts';
import type { InstallerRecipe } from '../imager/installer/recipe.ts';
import { ModulesDep } from '../imager/modules-dep.ts';
import { hashKey } from '../imager/recipe.ts';
import type { ImagerTasks } from '../imager/tasks/registry.ts';
import { silentLog } from '../log.ts';
import { openLayout } from '../oci/layout.ts';
import { parseRepositoryName } from '../oci/names.ts';
import { openRegistryClient } from '../oci/registry-client.ts';
import { runProgram } from '../process/run.ts';
import { canonicalize } from '../schematics/canonicalize.ts';
import { decodeSchematic } from '../schematics/decode.ts';
import { signatureKey } from '../signing/public-key.ts';
import { imageVerifier } from '../signing/verifier.ts';
import { noFacts } from '../store/facts.ts';
import { openLocalStore } from '../store/local-store.ts';
import { kernelCommandLine } from '../talos/cmdline.ts';
import { gatesOf } from '../talos/gates.ts';
import { parseTalosVersion, versionTag } from '../talos/version.ts';
import { boot } from '../testing/boot.ts';
import { RELEASE_COMPONENTS } from '../testing/release-components.ts';
import { startSandboxRegistry } from '../testing/sandbox-registry.ts';
import { registryFrontend } from './frontend.ts';
import { installerBuilds } from './installer-builds.ts';
import type { InstallerRequest } from './installer-images.ts';
import { openSigningKey } from './signing-key-file.ts';
import { sourceRepositories } from './sources.ts';

// Installer images of the sandbox release, by all real parts, pulled by a program that nobody here wrote.

const BOOT_TIMEOUT_MS = 240_000;

const SCHEMATICS = [
  'customization: {extraKernelArgs: [sandbox.test=1], systemExtensions: {officialExtensions: [siderolabs/gvisor]}}',
  'overlay: {name: rpi_generic, image: siderolabs/sbc-raspberrypi, options: {configTxtAppend: "a=1"}}',
].map((yaml) => canonicalize(decodeSchematic(Buffer.from(yaml))));
const [PLAIN = '', BOARD = ''] = SCHEMATICS.map(({ id }): string => id);

let opened: AsyncDisposableStack;
let directory: string;
let host: string;
before(async () => {
  await using stack = new AsyncDisposableStack();
  directory = await mkdtemp(join(tmpdir(), 'installers-'));
  stack.defer(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  const sandbox = stack.use(await startSandboxRegistry(join(import.meta.dirname, '../../.cache')));
  const client = stack.use(openRegistryClient({ credentials: { env: {} } }));
  const store = stack.use(
    await openLocalStore({ directory: join(directory, 'store'), maxBytes: 4 * 2 ** 30 }),
  );
  const key = signatureKey(await readFile(sandbox.release.publicKeyFile, 'utf8'), 'sha256');
  const core = {
    registry: sandbox.registry.host,
    namespace: '',
    insecure: true,
    components: RELEASE_COMPONENTS,
  };
  const releases = new Releases({
    core,
    versions: { minimum: parseTalosVersion('1.2.0'), broken: [] },
    recheckInterval: 900_000,
    repositories: (name, insecure) => client.repository(name, { insecure }),
    verifier: imageVerifier({ type: 'key', key }),
    store,
    facts: noFacts,
  });
  const workers = new WorkerPool<ImagerTasks>({
    registry: new URL('../imager/tasks/registry.ts', import.meta.url),
    size: 2,
    limits: { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 3 },
  });
  stack.defer(() => workers.close());
  const initramfs = new InitramfsBuilder(
    new ExtensionPieces(store, releases, workers, ''),
    new ModulesDep(store, workers, ''),
  );
  const queue = new BuildQueue({ slots: 2, limit: 10, clock: systemClock });
  const assets = new AssetBuilder<BuiltInstaller, object>({
    queue,
    clock: systemClock,
    maxAssets: 8,
    keepMs: 60_000,
  });
  stack.defer(() => assets.close());
  const signer = await openSigningKey({ path: '', dataDir: directory });
  assert.ok(signer !== undefined);
  const layout = await openLayout(join(directory, 'layout'), { sync: false });
  const server = stack.use(
    await TestServer.start(
      {},
      {
        routes: registryFrontend({
          schematics: { get: async (id) => schematicOf(id) },
          versions: (signal) => releases.versions(signal),
          build: installerBuilds({
            resolve: (request, signal) => resolve(releases, request, signal),
            key: (recipe) => hashKey('installer', '', { ...recipe, version: versionTag(recipe.version) }),
            about: () => ({}),
            builder: new InstallerBuilder(releases, initramfs, {
              compressors: diskCompressors(),
              tasks: workers,
            }),
            assets,
          }),
          repository: (path) => layout.repository(parseRepositoryName(`factory.example/${path}`)),
          sources: sourceRepositories(core, (name, insecure) => client.repository(name, { insecure })),
          secureBoot: false,
          signer,
          clock: systemClock,
          log: silentLog,
        }),
      },
    ),
  );
  host = `127.0.0.1:${server.port}`;
  opened = stack.move();
});
after(() => opened?.disposeAsync());

function schematicOf(id: string) {
  return SCHEMATICS.find((one) => one.id === id) ?? assert.fail(id);
}

/** As the factory does it, for these schematics. */
async function resolve(
  releases: Releases,
  { schematicId, version, platform, arch }: InstallerRequest,
  signal: AbortSignal,
): Promise<InstallerRecipe> {
  const { id, canonical, schematic } = schematicOf(schematicId);
  const { extraKernelArgs, systemExtensions } = schematic.customization;
  const names = systemExtensions.officialExtensions;
  const records = await Promise.all(names.map((name) => releases.selectExtension(version, name, signal)));
  const { overlay } = schematic;
  const commandLine = kernelCommandLine({
    platform,
    arch,
    version,
    kind: 'installer',
    secureboot: false,
    overlayArgs: [],
    meta: [],
    extraKernelArgs,
  });
  return {
    kind: 'installer',
    version,
    arch,
    boot: await releases.bootDigest(version, signal),
    base: (await releases.installerBase(version, arch, signal)).digest,
    extensions: [
      ...records.map(({ name, repository, digest }) => ({
        type: 'official' as const,
        name,
        repository,
        digest,
      })),
      { type: 'schematic', id, author: 'test', extraInfo: canonical },
    ],
    ...(gatesOf(version).unifiedInstaller ? { commandLine } : {}),
    ...(overlay.name === ''
      ? {}
      : {
          overlay: {
            ...(await releases.selectOverlay(version, overlay.name, signal)),
            options: overlay.options,
          },
        }),
  };
}

async function run(program: string, ...args: readonly string[]): Promise<Buffer> {
  const { stdout } = await runProgram({ program, args, timeout: 120_000 });
  return Buffer.from(stdout);
}

const skopeo = (...args: readonly string[]): Promise<Buffer> =>
  run('skopeo', '--policy', join(directory, 'policy.json'), ...args);

/** The layers of an image for one architecture, as files. */
async function pulled(reference: string, arch: string): Promise<readonly string[]> {
  const target = join(directory, `${reference.replace(/[/:]/g, '-')}-${arch}`);
  const image = `docker://${host}/${reference}`;
  await skopeo('--override-arch', arch, 'copy', '--src-tls-verify=false', image, `dir:${target}`);
  const manifest = JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8'));
  return manifest.layers.map(({ digest }: { digest: string }) =>
    join(target, digest.slice('sha256:'.length)),
  );
}

const members = async (layer: string): Promise<readonly string[]> =>
  (await run('tar', '--list', '--gzip', '--file', layer)).toString().trim().split('\n');

test('an installer of now, whose kernel image boots', async () => {
  const reference = `metal-installer/${PLAIN}:v1.13.0`;
  const index = JSON.parse(
    (await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${host}/${reference}`)).toString(),
  );
  assert.deepEqual(
    index.manifests.map(({ platform }: { platform: unknown }) => platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  );
  for (const arch of ['amd64', 'arm64']) {
    const [base, own, ...rest] = await pulled(reference, arch);
    assert.ok(base !== undefined && own !== undefined);
    assert.deepEqual(rest, []);
    assert.ok((await members(base)).includes('usr/bin/installer'));
    const at = `usr/install/${arch}`;
    assert.deepEqual(await members(own), [`${at}/systemd-boot.efi`, `${at}/vmlinuz.efi`]);
    await run('tar', '--extract', '--gzip', '--file', own, '--directory', directory);
  }
  const path = join(directory, 'usr/install/amd64/vmlinuz.efi');
  const medium = { kind: 'uki', path } as const;
  const { report } = await boot({ arch: 'amd64', firmware: 'ovmf', medium, timeoutMs: BOOT_TIMEOUT_MS });
  assert.deepEqual(report.errors, []);
  assert.equal(report.schematic, PLAIN);
  assert.match(report.cmdline, /^talos\.platform=metal .*sandbox\.test=1$/);
  assert.deepEqual(
    report.layers.map(({ name }) => name),
    ['gvisor', 'schematic'],
  );
});

test('an installer for a board has its overlay', async () => {
  const [, , overlay, ...rest] = await pulled(`metal-installer/${BOARD}:v1.13.0`, 'arm64');
  assert.ok(overlay !== undefined && rest.length === 0);
  const names = await members(overlay);
  assert.ok(names.includes('overlay/installers/default'));
  assert.ok(names.some((name) => /^overlay\/artifacts\/.*[^/]$/.test(name)));
  const options = await run(
    'tar',
    '--extract',
    '--to-stdout',
    '--gzip',
    '--file',
    overlay,
    'overlay/extra-options',
  );
  assert.equal(options.toString(), 'configTxtAppend: a=1\n');
});

test('an installer of before has kernel and initramfs', async () => {
  const [base, own, ...rest] = await pulled(`installer/${PLAIN}:v1.9.5`, 'amd64');
  assert.ok(base !== undefined && own !== undefined);
  assert.deepEqual(rest, []);
  assert.ok((await members(base)).includes('bin/installer'));
  assert.deepEqual(await members(own), ['usr/install/amd64/initramfs.xz', 'usr/install/amd64/vmlinuz']);
});

test('images of the release are passed on', async () => {
  const image = `docker://${host}/siderolabs/talosctl-all:v1.13.0`;
  const inspected = JSON.parse((await skopeo('inspect', '--tls-verify=false', image)).toString());
  assert.equal(inspected.Architecture, 'amd64');
});
