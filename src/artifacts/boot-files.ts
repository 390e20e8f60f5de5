import { type LeafBlob, leafExtents, type Nature } from '../blob/blob.ts';
import type { Digest } from '../oci/names.ts';
import { ARCHES, type Arch } from '../talos/arch.ts';
import { badArtifact } from './errors.ts';
import type { ImageTree } from './image-tree.ts';

/** The files of a release that images are made of, for one architecture; pinned until disposed. */
export interface BootFiles extends Disposable {
  /** Of the imager image's manifest, which holds the files of all architectures. */
  readonly manifestDigest: Digest;
  /** Keys are the SHA-256 of the content (`sha256:...`), natures are known. */
  readonly kernel: LeafBlob;
  readonly initramfs: LeafBlob;
  /** From Talos 1.5. */
  readonly sdBoot?: LeafBlob;
  readonly sdStub?: LeafBlob;
}

/** Names below `usr/install/<arch>/` of the imager image (`spec/artifacts.md` §4). */
const KERNEL = 'vmlinuz';
/** The name is fixed; from Talos 1.8 the content is zstd. */
const INITRAMFS = 'initramfs.xz';
const SYSTEMD_BOOT = 'systemd-boot.efi';
const SYSTEMD_STUB = 'systemd-stub.efi';

const bootPath = (arch: Arch, name: string): string => `usr/install/${arch}/${name}`;

/** The eight files; everything else of the image is of no use here. */
export const BOOT_PATHS: ReadonlySet<string> = new Set(
  ARCHES.flatMap((arch) =>
    [KERNEL, INITRAMFS, SYSTEMD_BOOT, SYSTEMD_STUB].map((name) => bootPath(arch, name)),
  ),
);

/**
 * The boot files of an architecture in a tree of `BOOT_PATHS`, which is disposed with them. `uki`: whether the
 * release must have systemd-boot and its stub. Throws `upstream` `ARTIFACT_FILE_MISSING`.
 */
export function bootFilesOf(
  tree: ImageTree & { readonly natures: ReadonlyMap<string, Nature> },
  arch: Arch,
  uki: boolean,
): BootFiles {
  const required = (name: string): LeafBlob => {
    const path = bootPath(arch, name);
    const entry = tree.get(path);
    // The content of a tree's file is one extent, whose source names the bytes by their hash.
    const extent = entry?.type === 'file' ? [...entry.content.extents()][0] : undefined;
    if (entry?.type !== 'file' || extent?.kind !== 'data') {
      throw badArtifact('ARTIFACT_FILE_MISSING', `failed to find artifact: ${path} in image ${tree.digest}`);
    }
    const { source } = extent;
    const leaf: LeafBlob = {
      size: source.size,
      nature: tree.natures.get(path) ?? 'plain',
      key: source.key,
      ...(source.file === undefined ? {} : { file: source.file }),
      read: (offset, length, signal) => source.read(offset, length, signal),
      extents: () => leafExtents(leaf),
    };
    return leaf;
  };
  return {
    manifestDigest: tree.digest,
    kernel: required(KERNEL),
    initramfs: required(INITRAMFS),
    ...(uki ? { sdBoot: required(SYSTEMD_BOOT), sdStub: required(SYSTEMD_STUB) } : {}),
    [Symbol.dispose]: () => tree[Symbol.dispose](),
  };
}
