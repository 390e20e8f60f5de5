import type { Blob } from '../blob/blob.ts';
import type { TalosVersion } from '../talos/version.ts';

/**
 * What the HTTP frontend needs from the rest of the factory. All errors are `FactoryError`; anything else is
 * answered as `internal server error`. A signal only ends the caller's waiting, never shared work.
 */
export interface Services {
  readonly schematics: SchematicService;
  readonly assets: AssetService;
  readonly releases: ReleaseService;
  readonly keys: KeyService;
  /** False until the factory can do its work (first version listing). Draining is the server's own business. */
  ready(): Readiness;
}

export interface SchematicService {
  /** Stores the schematic of a YAML or JSON body if it is not there yet. */
  create(body: Uint8Array, signal: AbortSignal): Promise<StoredSchematic & { readonly existed: boolean }>;
  /** Throws kind `not-found` for unknown and malformed ids. */
  get(id: string, signal: AbortSignal): Promise<StoredSchematic>;
}

export interface StoredSchematic {
  readonly id: string;
  /** The canonical YAML, byte for byte what was hashed. */
  readonly canonical: string;
}

/** The three path segments as they were requested; the service checks them in this order. */
export interface AssetRequest {
  readonly schematicId: string;
  /** `v` optional. */
  readonly version: string;
  readonly path: string;
  readonly signal: AbortSignal;
}

export interface AssetService {
  /** The asset, from the cache or built. Shared builds go on when the signal aborts. */
  open(request: AssetRequest): Promise<OpenAsset>;
  /** What a PXE script is made of; `path` is `<platform>-<arch>[-secureboot]`. */
  commandLine(request: AssetRequest): Promise<BootCommandLine>;
}

/** An asset that can be read until it is disposed. */
export interface OpenAsset extends Disposable {
  readonly blob: Blob;
  /** The recipe key: names the bytes for ever. Only `[A-Za-z0-9._:+/=-]`. */
  readonly etag: string;
  /** Hex SHA-256 when it is known already. */
  readonly known: string | undefined;
  /** Hex digest of the whole blob; computed once, off the HTTP thread, and remembered. */
  digest(algorithm: DigestAlgorithm): Promise<string>;
  /** True when this URL can never name other bytes (false for what a signing key is part of). */
  readonly immutable: boolean;
  /** True when nothing had to be built. */
  readonly cached: boolean;
  /** Absolute URL of the same bytes in a store that clients may read directly (presigned), when there is one. */
  location?(filename: string, signal: AbortSignal): Promise<string>;
}

export type DigestAlgorithm = 'sha256' | 'sha512';

export interface BootCommandLine {
  readonly arch: string;
  readonly platform: string;
  readonly secureboot: boolean;
  /** One line, without a line end. */
  readonly cmdline: string;
  /** The requested version with `v`: `v1.11.0`. */
  readonly version: string;
}

export interface ReleaseService {
  /** Ascending. */
  versions(signal: AbortSignal): Promise<readonly TalosVersion[]>;
  /** In the configuration's order. */
  brokenVersions(): readonly TalosVersion[];
  /** In catalog order. Throws kind `not-found` for a version that is not listed. */
  extensions(version: TalosVersion, signal: AbortSignal): Promise<readonly OfficialExtension[]>;
  /** Empty before Talos 1.7. */
  overlays(version: TalosVersion, signal: AbortSignal): Promise<readonly OfficialOverlay[]>;
  /** File names (`talosctl-linux-amd64`); empty before Talos 1.11. Throws `not-found` as `extensions` does. */
  talosctl(version: TalosVersion, signal: AbortSignal): Promise<readonly string[]>;
  /** One of the files that `talosctl` named. */
  talosctlFile(version: TalosVersion, name: string, signal: AbortSignal): Promise<OpenFile>;
}

export interface OfficialExtension {
  readonly name: string;
  readonly ref: string;
  readonly digest: string;
  readonly author: string;
  readonly description: string;
}

export interface OfficialOverlay {
  readonly name: string;
  readonly image: string;
  readonly ref: string;
  readonly digest: string;
}

/** A file that can be read until it is disposed. */
export interface OpenFile extends Disposable {
  readonly blob: Blob;
  /** Names the bytes for ever (a digest, or digest and path). Only `[A-Za-z0-9._:+/=-]`. */
  readonly etag: string;
}

export interface KeyService {
  /** PEM `CERTIFICATE` that Secure Boot assets are signed with; `undefined` when Secure Boot is disabled. */
  secureBootCertificate(signal: AbortSignal): Promise<string | undefined>;
  /** PEM `PUBLIC KEY` of the key that signs cached images; `undefined` when there is none. */
  cosignPublicKey(signal: AbortSignal): Promise<string | undefined>;
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not; shown to the caller. */
  readonly reason?: string;
}
