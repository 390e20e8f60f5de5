import { readAll } from '../blob/consume.ts';
import { checkBytes, digestOf } from '../oci/digest.ts';
import { parseImage } from '../oci/image.ts';
import { type Digest, isDigest, parseRepositoryName } from '../oci/names.ts';
import { referrerDescriptor } from '../oci/referrers.ts';
import type { Descriptor, RawManifest, Reference, Repository } from '../oci/repository.ts';

/** A repository in memory, with its insides open: what is put into `manifests` and `blobs` is served unchecked. */
export interface MemoryRepository extends Repository {
  readonly manifests: Map<string, RawManifest>;
  readonly blobs: Map<string, Uint8Array>;
  /** `resolve v1.0.0`, `manifest sha256:...`, `blob ...`, `referrers ...`, `tags`, in order. */
  readonly calls: string[];
  /** Thrown by every read while it is set. */
  failure: Error | undefined;
}

export function memoryRepository(name = 'registry.example.com/siderolabs/imager'): MemoryRepository {
  const manifests = new Map<string, RawManifest>();
  const blobs = new Map<string, Uint8Array>();
  const calls: string[] = [];
  const called = (call: string): void => {
    calls.push(call);
    if (repository.failure !== undefined) throw repository.failure;
  };
  const repository: MemoryRepository = {
    name: parseRepositoryName(name),
    manifests,
    blobs,
    calls,
    failure: undefined,
    async resolve(reference) {
      called(`resolve ${reference}`);
      return manifests.get(reference)?.descriptor;
    },
    async manifest(reference) {
      called(`manifest ${reference}`);
      return manifests.get(reference);
    },
    async blobSize(digest) {
      return blobs.get(digest)?.length;
    },
    async openBlob(digest) {
      called(`blob ${digest}`);
      const bytes = blobs.get(digest);
      return bytes === undefined
        ? undefined
        : (async function* () {
            for (let at = 0; at < bytes.length; at += 1 << 16) yield bytes.subarray(at, at + (1 << 16));
            checkBytes(digest, digest, bytes);
          })();
    },
    async tags() {
      called('tags');
      return [...manifests.keys()].filter((reference) => !isDigest(reference));
    },
    async referrers(digest): Promise<readonly Descriptor[]> {
      called(`referrers ${digest}`);
      const found: Descriptor[] = [];
      for (const [reference, raw] of manifests) {
        if (!isDigest(reference)) continue;
        const image = parseImage(raw);
        if (image.subject?.digest === digest) found.push(referrerDescriptor(image));
      }
      return found.sort((a, b) => (a.digest < b.digest ? -1 : 1));
    },
    async pushBlob(descriptor, content) {
      blobs.set(descriptor.digest, await readAll(content, 1 << 28));
    },
    async pushManifest(reference: Reference, mediaType, bytes) {
      const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
      manifests.set(descriptor.digest, { descriptor, bytes });
      manifests.set(reference, { descriptor, bytes });
      return descriptor;
    },
    async deleteManifest(digest: Digest) {
      manifests.delete(digest);
    },
  };
  return repository;
}
