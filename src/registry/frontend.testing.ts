import type { TestContext } from 'node:test';
import { bytesBlob } from '../blob/bytes.ts';
import { systemClock } from '../clock.ts';
import { FactoryError } from '../errors.ts';
import { SCHEMATIC } from '../http/testing/fakes.ts';
import { type LogLine, recordingLog, TestServer } from '../http/testing/start.ts';
import { type InstallerImage, installerImage } from '../imager/installer/image.ts';
import { layerTools } from '../imager/installer/installer.testing.ts';
import { gzipLayer, type InstallerLayer } from '../imager/installer/layer.ts';
import { digestOf } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { openRegistryClient, type RegistryClient } from '../oci/registry-client.ts';
import type { Repository } from '../oci/repository.ts';
import { generateSigningKeyPem, type SigningKey, signingKey } from '../signing/signing-key.ts';
import { parseTalosVersion, versionTag } from '../talos/version.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../testing/registry.ts';
import { type RegistryParts, registryFrontend } from './frontend.ts';
import type { InstallerRequest } from './installer-images.ts';

export { SCHEMATIC };
/** Base of the images in the internal registry. */
export const BASE = 'own/installers';

export interface Frontend extends AsyncDisposable {
  readonly server: TestServer;
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  readonly registry: TestRegistry;
  readonly client: RegistryClient;
  readonly key: SigningKey;
  /** Requests for images that were built, in order. */
  readonly built: InstallerRequest[];
  readonly lines: LogLine[];
  /** The registry's own repository behind an image. */
  internal(image: string): Repository;
}

export interface FrontendOptions {
  readonly parts?: Partial<RegistryParts>;
  /** Keeps images in the layout, without HTTP. */
  readonly embedded?: boolean;
  readonly registry?: RegistryOptions;
  /** Runs before each build. */
  readonly before?: (request: InstallerRequest) => Promise<void>;
}

const tools = layerTools();
const BASE_LAYER = Buffer.from('the layer of the base, which is not looked at');

/** A small image that says what it was asked for. */
export async function sampleImage(
  request: InstallerRequest,
  origin?: RepositoryName,
): Promise<InstallerImage> {
  const { arch, version, platform, schematicId } = request;
  const base: InstallerLayer = {
    descriptor: {
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: digestOf(BASE_LAYER),
      size: BASE_LAYER.length,
    },
    diffId: digestOf(BASE_LAYER),
    content: bytesBlob(BASE_LAYER),
    ...(origin === undefined ? {} : { origin }),
  };
  const text = [versionTag(version), platform, arch, schematicId].join(' ');
  const content = bytesBlob(Buffer.from(text));
  const own = await gzipLayer([{ type: 'file', path: 'about', mode: 0o644, content }], tools);
  return installerImage(arch, {}, [base, own]);
}

/** A server with the frontend and a registry behind it, which also holds the release's imager and base layer. */
export async function startFrontend(t: TestContext, options: FrontendOptions = {}): Promise<Frontend> {
  const registry = await startRegistry(options.registry);
  const client = openRegistryClient({
    credentials: { env: {} },
    retry: { attempts: 1, sleep: async () => {} },
  });
  const origin = registry.name('siderolabs/installer-base');
  const source = registry.storage('siderolabs/installer-base');
  await source.pushBlob({ digest: digestOf(BASE_LAYER), size: BASE_LAYER.length }, bytesBlob(BASE_LAYER));
  const key = signingKey(generateSigningKeyPem());
  const built: InstallerRequest[] = [];
  const lines: LogLine[] = [];
  const parts: RegistryParts = {
    schematics: {
      async get(id) {
        if (id === SCHEMATIC) return {};
        throw new FactoryError('not-found', 'SCHEMATIC_NOT_FOUND', `schematic ID "${id}" not found`);
      },
    },
    versions: async () => ['1.12.0', '1.13.0', '1.14.0-beta.0'].map(parseTalosVersion),
    build: async (request) => {
      await options.before?.(request);
      built.push(request);
      const image = await sampleImage(request, origin);
      return { ...image, [Symbol.dispose]: () => {} };
    },
    repository: (path) =>
      options.embedded === true
        ? registry.storage(`${BASE}/${path}`)
        : client.repository(registry.name(`${BASE}/${path}`), { insecure: true }),
    sources: new Map([
      ['installer-base', client.repository(origin, { insecure: true })],
      ['imager', client.repository(registry.name('siderolabs/imager'), { insecure: true })],
    ]),
    secureBoot: false,
    signer: key,
    clock: systemClock,
    log: recordingLog(lines),
    pause: async () => {},
    ...options.parts,
  };
  const server = await TestServer.start(
    { keys: { cosignPublicKey: async () => key.publicKeyPem } },
    { routes: registryFrontend(parts) },
  );
  const frontend: Frontend = {
    server,
    host: `127.0.0.1:${server.port}`,
    registry,
    client,
    key,
    built,
    lines,
    internal: (image) => registry.storage(`${BASE}/${image}/${SCHEMATIC}`),
    async [Symbol.asyncDispose]() {
      // Waits for what is still being published.
      await server.request('GET', `/v2/metal-installer/${SCHEMATIC}/blobs/sha256:${'0'.repeat(64)}`);
      await server[Symbol.asyncDispose]();
      await client.close();
      await registry.close();
    },
  };
  t.after(() => frontend[Symbol.asyncDispose]());
  return frontend;
}
