import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesBlob } from '../src/blob/bytes.ts';
import { fileBlob } from '../src/blob/file.ts';
import { parseTag } from '../src/oci/names.ts';
import type { Descriptor, Repository } from '../src/oci/repository.ts';
import { runProgram } from '../src/process/run.ts';
import { ARCHES } from '../src/talos/arch.ts';
import { type BuiltImage, buildImage, buildIndex, buildLayer } from '../src/testing/image-builder.ts';
import { startRegistry, type TestRegistry } from '../src/testing/registry.ts';
import { noise } from '../src/testing/sandbox/extensions.ts';
import { type SandboxRelease, sandboxRelease } from '../src/testing/sandbox/release.ts';
import { bundleSignature } from '../src/testing/sandbox/signatures.ts';
import { file } from '../src/testing/tar-archive.ts';
import type { BenchExtension } from './extensions.ts';

export const VERSION = 'v1.13.0';
const IMAGER = 'siderolabs/imager';
/** An extension of the sandbox with a kernel module. */
export const MODULE_EXTENSION = 'siderolabs/drbd';

/** A release with the sandbox's boot files and extensions of a real size, in a registry of this process. */
export interface BenchRelease extends AsyncDisposable {
  readonly registry: TestRegistry;
  readonly publicKeyFile: string;
  /** Directory with `vmlinuz`, `initramfs.xz`, `systemd-boot.efi` and `systemd-stub.efi` for amd64. */
  readonly bootFiles: string;
  /** Layers of the image that they come from, gzipped tar archives. */
  readonly imagerLayers: readonly string[];
  /** The layer of each extension. */
  readonly layers: readonly string[];
}

export interface BenchReleaseOptions {
  /** Bytes that cannot be compressed, added to the initramfs for amd64: real ones are larger than the sandbox's. */
  readonly padding?: number;
}

export async function benchRelease(
  directory: string,
  extensions: readonly BenchExtension[],
  { padding = 0 }: BenchReleaseOptions = {},
): Promise<BenchRelease> {
  const sandbox = await sandboxRelease(join(import.meta.dirname, '../.cache'));
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyFile = join(directory, 'signing-key.pub');
  await writeFile(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }));
  const imagerLayers = await imagerLayerPaths(sandbox);
  const bootFiles = await unpackBootFiles(imagerLayers, directory);
  const layers: string[] = [];
  const registry = await startRegistry();
  try {
    const catalog: string[] = [];
    const sign = (name: string, root: Descriptor): Promise<void> =>
      pushSignature(registry.storage(name), root, privateKey);
    for (const { name, layer } of extensions) {
      const path = join(directory, `${name.replace('/', '-')}.tar.gz`);
      await writeFile(path, layer.bytes);
      layers.push(path);
      const image = buildIndex(ARCHES.map((arch) => ({ arch, image: buildImage(arch, [layer]) })));
      await pushImage(registry.storage(name), '1.0.0', image);
      await sign(name, image.root.descriptor);
      catalog.push(`ghcr.io/${name}:1.0.0@${image.root.descriptor.digest}\n`);
    }
    if (padding > 0) {
      const image = await paddedImager(bootFiles, padding);
      await pushImage(registry.storage(IMAGER), VERSION, image);
      await sign(IMAGER, image.root.descriptor);
    }
    for (const name of [...(padding > 0 ? [] : [IMAGER]), MODULE_EXTENSION]) {
      const { root, tag } = await copyImage(sandbox, name, registry.storage(name));
      await sign(name, root);
      if (name === MODULE_EXTENSION) catalog.push(`ghcr.io/${name}:${tag}@${root.digest}\n`);
    }
    const image = buildImage('amd64', [buildLayer([file('image-digests', catalog.join(''))])]);
    await pushImage(registry.storage('siderolabs/extensions'), VERSION, image);
    await sign('siderolabs/extensions', image.root.descriptor);
  } catch (error) {
    await registry.close();
    throw error;
  }
  return {
    registry,
    publicKeyFile,
    bootFiles,
    imagerLayers,
    layers,
    [Symbol.asyncDispose]: () => registry.close(),
  };
}

interface Manifest {
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
}

function objectPath(release: SandboxRelease, digest: string): string {
  return join(release.directory, 'blobs/sha256', digest.slice('sha256:'.length));
}

/** The image of the sandbox that has the tag of the version, or else the first one that has a tag of its own. */
function sandboxImage(release: SandboxRelease, name: string) {
  const manifests = release.repositories.find((repository) => repository.name === name)?.manifests ?? [];
  const tagged = manifests.filter(({ tags }) => tags.some((tag) => !tag.startsWith('sha256-')));
  const wanted = tagged.find(({ tags }) => tags.some((tag) => tag === VERSION)) ?? tagged.at(-1);
  const tag = wanted?.tags.find((candidate) => candidate === VERSION) ?? wanted?.tags[0];
  if (wanted === undefined || tag === undefined) throw new Error(`the sandbox has no ${name}`);
  return { root: wanted.descriptor, tag };
}

async function copyImage(
  release: SandboxRelease,
  name: string,
  target: Repository,
): Promise<{ readonly root: Descriptor; readonly tag: string }> {
  const { root, tag } = sandboxImage(release, name);
  const copy = async (descriptor: Descriptor): Promise<Uint8Array> => {
    const bytes = await readFile(objectPath(release, descriptor.digest));
    const manifest = JSON.parse(bytes.toString()) as Manifest;
    for (const child of manifest.manifests ?? []) await copy(child);
    for (const blob of [...(manifest.config ? [manifest.config] : []), ...(manifest.layers ?? [])]) {
      await target.pushBlob(blob, fileBlob(objectPath(release, blob.digest), { size: blob.size }));
    }
    await target.pushManifest(descriptor.digest, descriptor.mediaType, bytes);
    return bytes;
  };
  await target.pushManifest(parseTag(tag), root.mediaType, await copy(root));
  return { root, tag };
}

async function pushImage(target: Repository, tag: string, image: BuiltImage): Promise<void> {
  for (const { descriptor, bytes } of image.blobs) await target.pushBlob(descriptor, bytesBlob(bytes));
  for (const { descriptor, bytes } of [...image.manifests, image.root]) {
    await target.pushManifest(descriptor.digest, descriptor.mediaType, bytes);
  }
  await target.pushManifest(parseTag(tag), image.root.descriptor.mediaType, image.root.bytes);
}

async function pushSignature(target: Repository, subject: Descriptor, key: KeyObject): Promise<void> {
  const { manifest, blobs } = bundleSignature(subject, key);
  for (const { descriptor, bytes } of blobs) await target.pushBlob(descriptor, bytesBlob(bytes));
  const { digest, mediaType } = manifest.descriptor;
  await target.pushManifest(digest, mediaType, manifest.bytes);
}

async function imagerLayerPaths(release: SandboxRelease): Promise<readonly string[]> {
  const { root } = sandboxImage(release, IMAGER);
  const manifest = JSON.parse(await readFile(objectPath(release, root.digest), 'utf8')) as Manifest;
  return (manifest.layers ?? []).map(({ digest }) => objectPath(release, digest));
}

async function unpackBootFiles(layers: readonly string[], directory: string): Promise<string> {
  const target = join(directory, 'imager');
  await mkdir(target);
  for (const layer of layers) {
    await runProgram({ program: 'tar', args: ['-xzf', layer, '-C', target] });
  }
  return join(target, 'usr/install/amd64');
}

/** An imager image of boot files for amd64 whose initramfs, that on the disk too, has become larger. */
async function paddedImager(bootFiles: string, padding: number): Promise<BuiltImage> {
  const path = join(bootFiles, 'initramfs.xz');
  // A frame that decompressors skip (RFC 8878 §3.1.2): what follows the archives is none of the kernel's business here.
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a50);
  header.writeUInt32LE(padding, 4);
  await appendFile(path, Buffer.concat([header, noise(1, padding)]));
  const names = await readdir(bootFiles);
  const entries = names.map(async (name) =>
    file(`usr/install/amd64/${name}`, await readFile(join(bootFiles, name))),
  );
  return buildImage('amd64', [buildLayer(await Promise.all(entries), 1)]);
}
