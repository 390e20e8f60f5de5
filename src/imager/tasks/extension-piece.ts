import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { concatBlobs } from '../../blob/compose.ts';
import { writeBlob } from '../../blob/consume.ts';
import { SOURCE_DATE_EPOCH } from '../../clock.ts';
import { cpioArchive } from '../../formats/cpio.ts';
import { openImageTree } from '../../oci/tree-index.ts';
import { type Codec, compressToFile } from '../codec.ts';
import { extensionContent, type LibraryPath } from '../extension-content.ts';
import type { ExtensionMetadata } from '../extension-manifest.ts';
import { writeSquashfsFile } from '../squashfs-file.ts';

export interface ExtensionPieceInput {
  /** Directory of the image's tree in the local store. */
  readonly tree: string;
  /** Empty directory for `PIECE_FILES`. */
  readonly output: string;
  readonly codec: Codec;
  readonly library: LibraryPath;
}

/** Files of a piece; all but the first two only when there is something to put in. */
export const PIECE_FILES = {
  description: 'piece.json',
  squashfs: 'layer.sqsh',
  firmware: 'firmware.cpio',
  intel: 'GenuineIntel.bin',
  amd: 'AuthenticAMD.bin',
} as const;

export interface PieceDescription {
  readonly metadata: ExtensionMetadata;
  readonly hasModules: boolean;
}

/** Makes the piece of an official extension (`spec/initramfs.md` §3-4). Throws `invalid` for what is no extension. */
export async function makeExtensionPiece(input: ExtensionPieceInput, signal: AbortSignal): Promise<void> {
  using tree = await openImageTree(input.tree);
  const content = await extensionContent(tree.entries, input.library);
  const at = (name: string): string => join(input.output, name);
  await writeSquashfsFile(content.rootfs, input.codec, at(PIECE_FILES.squashfs), signal);
  if (content.firmware.length > 0) {
    const archive = cpioArchive(content.firmware, { mtime: SOURCE_DATE_EPOCH });
    await compressToFile(archive, input.codec, at(PIECE_FILES.firmware), signal);
  }
  for (const vendor of ['intel', 'amd'] as const) {
    const blobs = content.microcode[vendor];
    if (blobs.length > 0) await writeBlob(concatBlobs(blobs), at(PIECE_FILES[vendor]), signal);
  }
  const description: PieceDescription = { metadata: content.metadata, hasModules: content.hasModules };
  await writeFile(at(PIECE_FILES.description), JSON.stringify(description), { flag: 'wx' });
}
