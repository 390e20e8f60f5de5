import type { ImageTree } from '../artifacts/image-tree.ts';
import type { LeafBlob } from '../blob/blob.ts';
import type { Digest } from '../oci/names.ts';
import type { Arch } from '../talos/arch.ts';
import type { TalosVersion } from '../talos/version.ts';
import type { OfficialExtension } from './recipe.ts';

/** The files of a release that images are made of, for one architecture; pinned until disposed. */
export interface BootFiles extends Disposable {
  /** Of the image that they come from. */
  readonly manifestDigest: Digest;
  /** Keys are the SHA-256 of the content. */
  readonly kernel: LeafBlob;
  readonly initramfs: LeafBlob;
  /** From Talos 1.5. */
  readonly sdBoot?: LeafBlob;
  readonly sdStub?: LeafBlob;
}

/** Where the imager gets what it builds from: verified, by digest, held locally. */
export interface Sources {
  bootFiles(version: TalosVersion, arch: Arch, signal?: AbortSignal): Promise<BootFiles>;
  extensionImage(extension: OfficialExtension, arch: Arch, signal?: AbortSignal): Promise<ImageTree>;
}
