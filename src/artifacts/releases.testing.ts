import { createCipheriv } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { bytesBlob } from '../blob/bytes.ts';
import { type Log, silentLog } from '../log.ts';
import { type Digest, parseTag } from '../oci/names.ts';
import { openRegistryClient, type RegistryClient } from '../oci/registry-client.ts';
import { signatureKey } from '../signing/public-key.ts';
import { signBundle, signLegacy } from '../signing/sign.ts';
import { generateSigningKeyPem, type SigningKey, signingKey } from '../signing/signing-key.ts';
import { type ImageVerifier, imageVerifier } from '../signing/verifier.ts';
import { noFacts } from '../store/facts.ts';
import { type OpenLocalStore, openLocalStore } from '../store/local-store.ts';
import { parseTalosVersion } from '../talos/version.ts';
import { type BuiltImage, buildImage, buildLayer } from '../testing/image-builder.ts';
import { startRegistry, type TestRegistry } from '../testing/registry.ts';
import { RELEASE_COMPONENTS } from '../testing/release-components.ts';
import { type ArchiveEntry, file } from '../testing/tar-archive.ts';
import { Releases, type ReleasesOptions } from './releases.ts';

export interface Upstream {
  readonly registry: TestRegistry;
  readonly client: RegistryClient;
  readonly key: SigningKey;
  readonly directory: string;
  now: number;
  readonly warnings: string[];
  /** Puts an image under a tag of `siderolabs/<name>`, signed unless told. */
  publish(
    name: string,
    tag: string,
    image: BuiltImage,
    signed?: 'bundle' | 'legacy' | 'unsigned',
  ): Promise<Digest>;
  releases(options?: Partial<ReleasesOptions>): Promise<Releases>;
  /** Closes what `releases` opened, as a restart would. */
  restart(): Promise<void>;
}

export const signing = signingKey(generateSigningKeyPem());

export function verifierOf(key: SigningKey): ImageVerifier {
  return imageVerifier({ type: 'key', key: signatureKey(key.publicKeyPem, 'sha256') });
}

/** A registry with nothing in it, and releases that read from it into a local store. */
export async function startUpstream(t: TestContext): Promise<Upstream> {
  const registry = await startRegistry();
  const client = openRegistryClient({
    credentials: { env: {} },
    retry: { attempts: 2, sleep: async () => {} },
  });
  const directory = await mkdtemp(join(tmpdir(), 'releases-'));
  let store: OpenLocalStore | undefined;
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
  const upstream: Upstream = {
    registry,
    client,
    key: signing,
    directory,
    now: 1_000_000_000,
    warnings,
    async publish(name, tag, image, signed = 'legacy') {
      const repository = registry.storage(`siderolabs/${name}`);
      for (const { descriptor, bytes } of image.blobs)
        await repository.pushBlob(descriptor, bytesBlob(bytes));
      for (const { descriptor, bytes } of image.manifests) {
        await repository.pushManifest(descriptor.digest, descriptor.mediaType, bytes);
      }
      const { descriptor, bytes } = image.root;
      await repository.pushManifest(parseTag(tag), descriptor.mediaType, bytes);
      // Through the registry, as its users do.
      const remote = client.repository(registry.name(`siderolabs/${name}`), { insecure: true });
      if (signed === 'legacy') await signLegacy(remote, descriptor.digest, signing);
      if (signed === 'bundle') await signBundle(remote, descriptor.digest, signing);
      return descriptor.digest;
    },
    async releases(options = {}) {
      store ??= await openLocalStore({ directory, maxBytes: 1 << 30 });
      return new Releases({
        core: {
          registry: registry.host,
          namespace: '',
          insecure: true,
          components: RELEASE_COMPONENTS,
        },
        versions: { minimum: parseTalosVersion('1.2.0'), broken: [] },
        recheckInterval: 900_000,
        repositories: (name, insecure) => client.repository(name, { insecure }),
        verifier: verifierOf(signing),
        store,
        facts: noFacts,
        log,
        clock: { now: () => upstream.now },
        ...options,
      });
    },
    async restart() {
      await store?.[Symbol.asyncDispose]();
      store = undefined;
    },
  };
  t.after(async () => {
    await upstream.restart();
    await client.close();
    await registry.close();
    await rm(directory, { recursive: true, force: true });
  });
  return upstream;
}

/** Bytes that cannot be compressed, always the same (the key stream of AES-CTR). */
const packed = (length: number, seed: number): Uint8Array =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(new Uint8Array(length));

export const bootContent = {
  'usr/install/amd64/vmlinuz': packed(300_000, 1),
  'usr/install/amd64/initramfs.xz': packed(200_000, 2),
  'usr/install/arm64/vmlinuz': Buffer.alloc(300_000, 'kernel of arm64 '),
  'usr/install/arm64/initramfs.xz': packed(200_000, 3),
} as const;

export const efiContent = {
  'usr/install/amd64/systemd-boot.efi': Buffer.alloc(4000, 'boot amd64 '),
  'usr/install/amd64/systemd-stub.efi': Buffer.alloc(4000, 'stub amd64 '),
  'usr/install/arm64/systemd-boot.efi': Buffer.alloc(4000, 'boot arm64 '),
  'usr/install/arm64/systemd-stub.efi': Buffer.alloc(4000, 'stub arm64 '),
} as const;

export const filesOf = (content: Readonly<Record<string, Uint8Array | string>>): ArchiveEntry[] =>
  Object.entries(content).map(([path, bytes]) => file(path, bytes));

export const imageOf = (content: Readonly<Record<string, Uint8Array | string>>): BuiltImage =>
  buildImage('amd64', [buildLayer(filesOf(content))]);

/** As a release has it: the program itself, and boards that nobody reads any more. */
export const imagerImage = (): BuiltImage =>
  buildImage('amd64', [
    buildLayer(filesOf({ 'usr/bin/imager': 'program', 'usr/install/arm64/dtb/board.dtb': 'tree' })),
    buildLayer(filesOf(bootContent)),
    buildLayer(filesOf(efiContent)),
  ]);
