import type { Blob } from '../blob/blob.ts';
import type { Digest, RepositoryName, Tag } from './names.ts';

/** OCI image-spec 1.1 descriptor. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** A manifest or index as it was served, its digest checked. `bytes` are at most 8 MiB. */
export interface RawManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A tag or a digest. */
export type Reference = Tag | Digest;

/**
 * Reads from one repository, remote or embedded. Every byte that leaves here has been checked against its
 * digest (streams fail at their end when it does not match). Errors: `FactoryError` with the codes of
 * `oci/errors.ts`; an absent thing is `undefined`, never an error.
 */
export interface RepositoryReader {
  readonly name: RepositoryName;
  /** HEAD: what a reference denotes now. */
  resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor | undefined>;
  manifest(reference: Reference, signal?: AbortSignal): Promise<RawManifest | undefined>;
  blobSize(digest: Digest, signal?: AbortSignal): Promise<number | undefined>;
  /**
   * The bytes of a blob from `offset` on (0 unless told). A whole read is digest-checked; a broken connection
   * is resumed where it stopped.
   */
  openBlob(
    digest: Digest,
    options?: { readonly offset?: number; readonly length?: number; readonly signal?: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array> | undefined>;
  tags(signal?: AbortSignal): Promise<readonly string[]>;
  /** Manifests whose `subject` is `digest`, by the referrers API or the `sha256-<hex>` tag; sorted by digest. */
  referrers(digest: Digest, artifactType?: string, signal?: AbortSignal): Promise<readonly Descriptor[]>;
}

/** Writes to one repository. All writes are idempotent. */
export interface RepositoryWriter {
  readonly name: RepositoryName;
  /** Uploads unless it is there; `mountFrom` is tried first when the registry is the same. */
  pushBlob(
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    content: Blob,
    options?: { readonly mountFrom?: RepositoryName; readonly signal?: AbortSignal },
  ): Promise<void>;
  pushManifest(
    reference: Reference,
    mediaType: string,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Descriptor>;
  deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void>;
}

export interface Repository extends RepositoryReader, RepositoryWriter {}
