import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob } from '../blob/blob.ts';
import { fileBlob } from '../blob/file.ts';
import { FactoryError } from '../errors.ts';
import { checkBytes, digestOf, verified } from './digest.ts';
import { type LayoutFiles, repositoryDirectory } from './layout-files.ts';
import { isIndexType, isManifestType, MAX_MANIFEST } from './media-types.ts';
import { checkReference, type Digest, isDigest, type RepositoryName } from './names.ts';
import { listReferrers, parseSubject, referrerDescriptor } from './referrers.ts';
import type { Descriptor, RawManifest, Reference, Repository } from './repository.ts';

/** One repository of an embedded layout; see `layout.ts` for the files. */
export class LayoutRepository implements Repository {
  readonly name: RepositoryName;
  readonly #files: LayoutFiles;
  readonly #directory: string;

  constructor(name: RepositoryName, files: LayoutFiles) {
    this.name = name;
    this.#files = files;
    this.#directory = repositoryDirectory(name);
  }

  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor | undefined> {
    signal?.throwIfAborted();
    const path = isDigest(reference)
      ? join('_manifests', linkName(reference))
      : join('_tags', checkReference(reference));
    const bytes = await this.#files.read(join(this.#directory, path));
    if (bytes === undefined) return undefined;
    const descriptor = this.#parseDescriptor(path, bytes);
    // A tag outlives its manifest when a delete was cut off: it denotes nothing then.
    if (isDigest(reference) || (await this.#hasManifest(descriptor.digest))) return descriptor;
    return undefined;
  }

  async manifest(reference: Reference, signal?: AbortSignal): Promise<RawManifest | undefined> {
    const descriptor = await this.resolve(reference, signal);
    if (descriptor === undefined) return undefined;
    const bytes = await this.#files.read(blobPath(descriptor.digest));
    if (bytes === undefined) return undefined;
    checkBytes(`${this.name}: manifest ${reference}`, descriptor.digest, bytes);
    return { descriptor, bytes };
  }

  async blobSize(digest: Digest, signal?: AbortSignal): Promise<number | undefined> {
    signal?.throwIfAborted();
    if ((await this.#files.size(this.#link('_blobs', digest))) === undefined) return undefined;
    return this.#files.size(blobPath(digest));
  }

  async openBlob(
    digest: Digest,
    options: { readonly offset?: number; readonly length?: number; readonly signal?: AbortSignal } = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { offset = 0, length, signal } = options;
    const size = await this.blobSize(digest, signal);
    if (size === undefined) return undefined;
    const thing = `${this.name}: blob ${digest}`;
    if (offset > size) {
      throw new FactoryError('invalid', 'OCI_RANGE_INVALID', `${thing} has no bytes from ${offset} on`);
    }
    const blob = fileBlob(join(this.#files.root, blobPath(digest)), { size });
    const stream = blob.read(offset, Math.min(length ?? size, size - offset), signal);
    return offset === 0 && length === undefined ? verified(stream, thing, digest, size) : stream;
  }

  async tags(signal?: AbortSignal): Promise<readonly string[]> {
    signal?.throwIfAborted();
    return this.#files.list(join(this.#directory, '_tags'));
  }

  async referrers(
    digest: Digest,
    artifactType?: string,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const directory = this.#link('_referrers', digest);
    const found: Descriptor[] = [];
    for (const name of await this.#files.list(directory)) {
      signal?.throwIfAborted();
      const bytes = await this.#files.read(join(directory, name));
      if (bytes === undefined) continue;
      const descriptor = this.#parseDescriptor(name, bytes);
      if (await this.#hasManifest(descriptor.digest)) found.push(descriptor);
    }
    return listReferrers(found, artifactType);
  }

  async pushBlob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    content: Blob,
    options: { readonly mountFrom?: RepositoryName; readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { digest, size } = descriptor;
    const thing = `${this.name}: blob ${digest}`;
    if (content.size !== size) {
      const message = `${thing} should have ${size} bytes, its content has ${content.size}`;
      throw new FactoryError('internal', 'OCI_SIZE_MISMATCH', message);
    }
    // All repositories share the bytes: what any of them has needs a link only. Whoever pushes has the bytes, or
    // names the repository that has them: nobody comes to a blob by its digest alone.
    if ((await this.#files.size(blobPath(digest))) !== size) {
      await this.#writeBlob(digest, verified(content.read(0, size, options.signal), thing, digest, size));
    }
    await this.#files.write(this.#link('_blobs', digest), new Uint8Array());
  }

  async pushManifest(
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Descriptor> {
    signal?.throwIfAborted();
    const thing = `${this.name}: manifest ${reference}`;
    if (bytes.length > MAX_MANIFEST) {
      throw new FactoryError(
        'internal',
        'OCI_MANIFEST_TOO_LARGE',
        `${thing} has more than ${MAX_MANIFEST} bytes`,
      );
    }
    if (!isManifestType(mediaType) && !isIndexType(mediaType)) {
      const message = `${thing}: ${JSON.stringify(mediaType)} is not the type of a manifest`;
      throw new FactoryError('invalid', 'OCI_MANIFEST_INVALID', message);
    }
    checkReference(reference);
    if (isDigest(reference)) checkBytes(thing, reference, bytes);
    const digest = isDigest(reference) ? reference : digestOf(bytes);
    const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
    const image = parseSubject({ descriptor, bytes });
    // In an order in which every name denotes something: bytes, then the manifest, then what points to it.
    if ((await this.#files.size(blobPath(digest))) !== bytes.length) {
      await this.#files.write(blobPath(digest), bytes);
    }
    const record = Buffer.from(JSON.stringify(descriptor));
    await this.#files.write(this.#link('_manifests', digest), record);
    if (image?.subject !== undefined) {
      const referrer = Buffer.from(JSON.stringify(referrerDescriptor(image)));
      await this.#files.write(
        join(this.#link('_referrers', image.subject.digest), linkName(digest)),
        referrer,
      );
    }
    if (!isDigest(reference)) await this.#files.write(join(this.#directory, '_tags', reference), record);
    return descriptor;
  }

  /** Also removes the tags that denote it. The bytes stay: other repositories may have them. */
  async deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void> {
    const raw = await this.manifest(digest, signal);
    if (raw === undefined) return;
    await this.#files.remove(this.#link('_manifests', digest));
    const subject = parseSubject(raw)?.subject;
    if (subject !== undefined) {
      await this.#files.remove(join(this.#link('_referrers', subject.digest), linkName(digest)));
    }
    for (const tag of await this.tags(signal)) {
      const path = join(this.#directory, '_tags', tag);
      const bytes = await this.#files.read(path);
      if (bytes !== undefined && this.#parseDescriptor(tag, bytes).digest === digest) {
        await this.#files.remove(path);
      }
    }
  }

  async #hasManifest(digest: Digest): Promise<boolean> {
    return (await this.#files.size(this.#link('_manifests', digest))) !== undefined;
  }

  async #writeBlob(digest: Digest, stream: AsyncIterable<Uint8Array>): Promise<void> {
    const temporary = this.#files.temporary();
    try {
      await using file = await open(temporary, 'wx', 0o644);
      for await (const chunk of stream) await file.writeFile(chunk);
      await this.#files.sync(file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw this.#files.explained(error);
    }
    await this.#files.publish(temporary, blobPath(digest));
  }

  #link(kind: '_blobs' | '_manifests' | '_referrers', digest: Digest): string {
    return join(this.#directory, kind, linkName(digest));
  }

  #parseDescriptor(path: string, bytes: Uint8Array): Descriptor {
    try {
      const value: Descriptor = JSON.parse(Buffer.from(bytes).toString('utf8'));
      if (isDigest(value.digest) && typeof value.mediaType === 'string') return value;
    } catch {
      // Falls through to the one error below.
    }
    throw new FactoryError('internal', 'OCI_LAYOUT_INVALID', `${this.name}: the record ${path} is damaged`);
  }
}

function blobPath(digest: Digest): string {
  return join('blobs', digest.replace(':', '/'));
}

function linkName(digest: Digest): string {
  return digest.replace(':', '-');
}
