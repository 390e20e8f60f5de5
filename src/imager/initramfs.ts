import type { Blob } from '../blob/blob.ts';
import { textBlob, zeroBlob } from '../blob/bytes.ts';
import { concatBlobs } from '../blob/compose.ts';
import { SOURCE_DATE_EPOCH } from '../clock.ts';
import { cpioArchive } from '../formats/cpio.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { MICROCODE_FILES, type MicrocodeVendor, withParents } from './extension-content.ts';
import { extensionsYaml, type Layer } from './extension-manifest.ts';

export interface InitramfsParts {
  /** The release's own file: compressed archives, taken as they are. */
  readonly base: Blob;
  /** In the order in which the node mounts them. */
  readonly layers: readonly (Layer & { readonly squashfs: Blob })[];
  /** Compressed cpio archives; a file of a later one replaces one of the same name. */
  readonly firmware: readonly Blob[];
  /** In order; what several extensions bring is put together. */
  readonly microcode: Readonly<Record<MicrocodeVendor, readonly Blob[]>>;
}

/**
 * The initramfs of an image: microcode (which the kernel wants first and uncompressed), the release's own
 * archive, firmware, and an uncompressed archive of squashfs layers, which are compressed already.
 * The kernel takes any number of archives one after the other; an uncompressed one has to start 4-byte aligned,
 * after zero bytes if need be (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
export function composeInitramfs(parts: InitramfsParts): Blob {
  const packed = [...earlyArchive(parts.microcode), parts.base, ...parts.firmware];
  const size = packed.reduce((sum, blob) => sum + blob.size, 0);
  return concatBlobs([...packed, zeroBlob(-size & 3), layersArchive(parts.layers)]);
}

function earlyArchive(microcode: InitramfsParts['microcode']): readonly Blob[] {
  const files: TreeEntry[] = [];
  for (const vendor of ['amd', 'intel'] as const) {
    const content = concatBlobs(microcode[vendor]);
    if (content.size > 0) files.push({ type: 'file', path: MICROCODE_FILES[vendor], mode: 0o644, content });
  }
  return files.length === 0 ? [] : [cpioArchive(withParents(files), { mtime: SOURCE_DATE_EPOCH })];
}

function layersArchive(layers: InitramfsParts['layers']): Blob {
  const files: TreeEntry[] = layers.map(({ image, squashfs }) => ({
    type: 'file',
    path: image,
    mode: 0o644,
    content: squashfs,
  }));
  files.push({
    type: 'file',
    path: 'extensions.yaml',
    mode: 0o644,
    content: textBlob(extensionsYaml(layers)),
  });
  files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return cpioArchive(files, { mtime: SOURCE_DATE_EPOCH });
}
