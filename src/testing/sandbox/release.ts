import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileBlob } from '../../blob/file.ts';
import { type Digest, parseTag, type Tag } from '../../oci/names.ts';
import type { Descriptor, RepositoryWriter } from '../../oci/repository.ts';
import type { Arch } from '../../talos/arch.ts';
import { fetchDebian } from '../debian.ts';
import type { BuiltImage, BuiltObject } from '../image-builder.ts';
import { buildExtensionCatalog, buildExtensions, layoutOf } from './extensions.ts';
import { findGuestParts, type GuestParts, guestPackages } from './guest.ts';
import { buildBootImages, buildSharedLayers, buildTalosctl } from './images.ts';
import { buildOverlayCatalog, buildOverlays } from './overlays.ts';
import { type BuiltSignature, bundleSignature, legacySignature } from './signatures.ts';
import { type SandboxVersion, sandboxVersions } from './versions.ts';

const SUITE = 'trixie';

/** What one repository holds, in the order in which it is to be pushed. */
export interface ReleasedRepository {
  /** Path without host: `siderolabs/imager`. */
  readonly name: string;
  readonly blobs: readonly Descriptor[];
  readonly manifests: readonly { readonly descriptor: Descriptor; readonly tags: readonly Tag[] }[];
}

/** The sandbox release in the cache: all of its bytes are files below `directory`, named by digest. */
export interface SandboxRelease {
  readonly directory: string;
  readonly repositories: readonly ReleasedRepository[];
  /** File of the public key (PEM) that verifies all signatures. */
  readonly publicKeyFile: string;
}

/**
 * The signed sandbox release, made on first use and kept under `<cache>/sandbox/<hash of the recipe>`. The recipe
 * is the source of this folder and the packages it is made from. Needs the network only for the packages, once.
 */
export async function sandboxRelease(cache: string): Promise<SandboxRelease> {
  const debian = async (arch: Arch) =>
    fetchDebian({ cache: join(cache, 'debian'), suite: SUITE, arch, packages: guestPackages(arch) });
  const trees = { amd64: await debian('amd64'), arm64: await debian('arm64') };
  const recipe = await recipeHash([...trees.amd64.packages, ...trees.arm64.packages]);
  const place = join(cache, 'sandbox', recipe);
  const kept = await readRelease(place);
  if (kept !== undefined) return kept;

  const made = `${place}.${process.pid}.tmp`;
  await rm(made, { recursive: true, force: true });
  await mkdir(join(made, 'blobs/sha256'), { recursive: true });
  try {
    const parts = {
      amd64: await findGuestParts('amd64', trees.amd64),
      arm64: await findGuestParts('arm64', trees.arm64),
    };
    await makeRelease(made, parts);
    // Another process may have been first; its release is as good as ours.
    await rename(made, place).catch(async (error: unknown) => {
      if ((await readRelease(place)) === undefined) throw error;
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  const release = await readRelease(place);
  if (release === undefined) throw new Error(`the sandbox release in ${place} cannot be read`);
  return release;
}

async function readRelease(place: string): Promise<SandboxRelease | undefined> {
  try {
    const text = await readFile(join(place, 'release.json'), 'utf8');
    const repositories = JSON.parse(text) as readonly ReleasedRepository[];
    return { directory: place, repositories, publicKeyFile: join(place, 'signing-key.pub') };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function recipeHash(packages: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(packages.join('\n'));
  const above = join(import.meta.dirname, '..');
  for (const folder of ['sandbox', 'guest']) {
    for (const name of (await readdir(join(above, folder))).sort()) {
      if (!name.endsWith('.test.ts')) hash.update(name).update(await readFile(join(above, folder, name)));
    }
  }
  for (const name of ['image-builder.ts', 'tar-archive.ts']) hash.update(await readFile(join(above, name)));
  return hash.digest('hex').slice(0, 16);
}

async function makeRelease(directory: string, parts: Readonly<Record<Arch, GuestParts>>): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(join(directory, 'signing-key.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const draft = new ReleaseDraft(directory, privateKey);
  const shared = await buildSharedLayers(parts);
  const extensions = {
    legacy: await buildExtensions('legacy', parts),
    usr: await buildExtensions('usr', parts),
  };
  const overlays = await buildOverlays();
  for (const target of sandboxVersions) {
    const boot = await buildBootImages(target, parts, shared);
    await draft.add('siderolabs/imager', target.tag, boot.imager, target);
    await draft.add(boot.installerRepository, target.tag, boot.installer, target);
    const released = extensions[layoutOf(target)].filter((extension) => extension.released(target));
    for (const { name, tag, image } of released) await draft.add(name, tag, image, target);
    await draft.add('siderolabs/extensions', target.tag, buildExtensionCatalog(target, released), target);
    if (target.gates.overlays) {
      for (const { repository, tag, image } of overlays) await draft.add(repository, tag, image, target);
      await draft.add('siderolabs/overlays', target.tag, buildOverlayCatalog(overlays), target);
    }
    if (target.gates.talosctl) {
      await draft.add('siderolabs/talosctl-all', target.tag, buildTalosctl(target), target);
    }
    if (target === sandboxVersions.at(-1)) {
      // Tags that are no versions, as registries have them: discovery has to leave them out.
      for (const stray of ['latest', 'v1.14.0-alpha.0-12-gabcdef']) {
        await draft.add('siderolabs/imager', stray, boot.imager, target);
      }
    }
  }
  await writeFile(join(directory, 'release.json'), JSON.stringify(draft.repositories(), null, 1));
}

interface Drafted {
  readonly blobs: Map<Digest, Descriptor>;
  readonly manifests: Map<Digest, { readonly descriptor: Descriptor; readonly tags: Set<Tag> }>;
}

/** Collects images with their signatures and writes their bytes. */
class ReleaseDraft {
  readonly #directory: string;
  readonly #key: KeyObject;
  readonly #drafted = new Map<string, Drafted>();
  readonly #signed = new Set<string>();

  constructor(directory: string, key: KeyObject) {
    this.#directory = directory;
    this.#key = key;
  }

  async add(repository: string, tag: string, image: BuiltImage, target: SandboxVersion): Promise<void> {
    const drafted = this.#drafted.get(repository) ?? { blobs: new Map(), manifests: new Map() };
    this.#drafted.set(repository, drafted);
    for (const blob of image.blobs) await this.#blob(drafted, blob);
    for (const manifest of image.manifests) await this.#manifest(drafted, manifest);
    await this.#manifest(drafted, image.root, parseTag(tag));

    // Releases after 1.11.0 carry bundles, older ones the legacy form (`spec/artifacts.md` §6.3).
    const kind = target.gates.talosctl ? 'bundle' : 'legacy';
    const subject = image.root.descriptor;
    const mark = `${repository} ${kind} ${subject.digest}`;
    if (this.#signed.has(mark)) return;
    this.#signed.add(mark);
    const signature: BuiltSignature =
      kind === 'bundle'
        ? bundleSignature(subject, this.#key)
        : legacySignature(repository, subject, this.#key);
    for (const blob of signature.blobs) await this.#blob(drafted, blob);
    await this.#manifest(drafted, signature.manifest, signature.tag);
  }

  repositories(): readonly ReleasedRepository[] {
    return [...this.#drafted].map(([name, { blobs, manifests }]) => ({
      name,
      blobs: [...blobs.values()],
      manifests: [...manifests.values()].map(({ descriptor, tags }) => ({ descriptor, tags: [...tags] })),
    }));
  }

  async #blob(drafted: Drafted, object: BuiltObject): Promise<void> {
    if (drafted.blobs.has(object.descriptor.digest)) return;
    drafted.blobs.set(object.descriptor.digest, object.descriptor);
    await this.#write(object);
  }

  async #manifest(drafted: Drafted, object: BuiltObject, tag?: Tag): Promise<void> {
    const { descriptor } = object;
    const entry = drafted.manifests.get(descriptor.digest) ?? { descriptor, tags: new Set<Tag>() };
    drafted.manifests.set(descriptor.digest, entry);
    if (tag !== undefined) entry.tags.add(tag);
    await this.#write(object);
  }

  async #write(object: BuiltObject): Promise<void> {
    await writeFile(objectPath(this.#directory, object.descriptor.digest), object.bytes);
  }
}

function objectPath(directory: string, digest: Digest): string {
  return join(directory, 'blobs/sha256', digest.slice('sha256:'.length));
}

/** Pushes the whole release, each repository through the writer that `open` gives for its path. */
export async function pushSandboxRelease(
  release: SandboxRelease,
  open: (repository: string) => RepositoryWriter,
): Promise<void> {
  for (const { name, blobs, manifests } of release.repositories) {
    const writer = open(name);
    for (const { digest, size } of blobs) {
      await writer.pushBlob({ digest, size }, fileBlob(objectPath(release.directory, digest), { size }));
    }
    for (const { descriptor, tags } of manifests) {
      const bytes = await readFile(objectPath(release.directory, descriptor.digest));
      await writer.pushManifest(descriptor.digest, descriptor.mediaType, bytes);
      for (const tag of tags) await writer.pushManifest(tag, descriptor.mediaType, bytes);
    }
  }
}
