import { createHash } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Blob } from '../../blob/blob.ts';
import { CHUNK_SIZE } from '../../blob/blob.ts';
import type { Placed } from '../../blob/compose.ts';
import { readAll } from '../../blob/consume.ts';
import { fileBlob, openFileBlob } from '../../blob/file.ts';
import { FactoryError } from '../../errors.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import type { StoredEntry } from '../../store/store.ts';
import type { DiskRange } from './disk-writes.ts';
import type { InstalledEntry } from './installed-files.ts';

/** What an overlay's installer adds to a disk image. Its blobs may be read until it is disposed. */
export interface OverlayInstallation extends Disposable {
  /** Names the content for ever. */
  readonly key: string;
  /**
   * Runs of sectors (512 bytes) that are not all zero, by their offset on the disk, in order. They come before the
   * partition table: what it has to say replaces theirs (`spec/outputs-disk.md` §7).
   */
  readonly rawWrites: readonly Placed[];
  /** Files and directories below `boot`, in tree order; those below `EFI` belong to the root of the ESP. */
  readonly files: readonly TreeEntry[];
}

/** A directory of the store: all content one after the other, and what it is. */
const CONTENT_FILE = 'content';
const INDEX_FILE = 'index.json';
/** Raised when the form changes. */
export const INSTALLATION_FORM = 1;

const partSchema = z.object({
  at: z.int().nonnegative(),
  size: z.int().nonnegative(),
  sha256: z.string(),
});
const indexSchema = z.object({
  writes: z.array(partSchema.extend({ offset: z.int().nonnegative() })),
  files: z.array(
    z.discriminatedUnion('type', [
      z.object({ type: z.literal('directory'), path: z.string() }),
      partSchema.extend({ type: z.literal('file'), path: z.string(), executable: z.boolean() }),
    ]),
  ),
});
type Part = z.infer<typeof partSchema>;
type Index = z.infer<typeof indexSchema>;

/** Copies what an installer has written into an entry of the store. */
export async function writeInstallation(
  directory: string,
  disk: string,
  ranges: readonly DiskRange[],
  files: readonly InstalledEntry[],
  signal: AbortSignal,
): Promise<void> {
  await using content = await open(join(directory, CONTENT_FILE), 'wx');
  let end = 0;
  const append = async (source: Blob): Promise<Part> => {
    const hash = createHash('sha256');
    const at = end;
    for await (const chunk of source.read(0, source.size, signal)) {
      hash.update(chunk);
      await content.writeFile(chunk);
      end += chunk.length;
    }
    return { at, size: source.size, sha256: hash.digest('hex') };
  };
  const index: { writes: Index['writes']; files: Index['files'] } = { writes: [], files: [] };
  for (const range of ranges) {
    index.writes.push({ offset: range.offset, ...(await append(fileBlob(disk, range))) });
  }
  for (const file of files) {
    if (file.type === 'directory') index.files.push({ type: 'directory', path: file.path });
    else {
      const part = await append(await openFileBlob(file.source, { size: file.size }));
      index.files.push({ type: 'file', path: file.path, executable: file.executable, ...part });
    }
  }
  await writeFile(join(directory, INDEX_FILE), JSON.stringify(index));
}

/** Opens an entry that `writeInstallation` has made, and takes it over. Throws `internal` `PIECE_UNREADABLE`. */
export async function openInstallation(entry: StoredEntry): Promise<OverlayInstallation> {
  try {
    const text = Buffer.from(await readAll(entry.blob(INDEX_FILE), 64 * CHUNK_SIZE)).toString('utf8');
    const index = indexSchema.parse(JSON.parse(text));
    const path = entry.path(CONTENT_FILE);
    const blobOf = ({ at, size, sha256 }: Part) =>
      fileBlob(path, { offset: at, size, key: `sha256:${sha256}` });
    return {
      key: entry.key,
      rawWrites: index.writes.map((part) => ({ offset: part.offset, blob: blobOf(part) })),
      files: index.files.map((file) =>
        file.type === 'directory'
          ? { type: 'directory', path: file.path, mode: 0o755 }
          : { type: 'file', path: file.path, mode: file.executable ? 0o755 : 0o644, content: blobOf(file) },
      ),
      [Symbol.dispose]: () => entry[Symbol.dispose](),
    };
  } catch (cause) {
    entry[Symbol.dispose]();
    throw new FactoryError(
      'internal',
      'PIECE_UNREADABLE',
      `piece ${entry.key} in the local store cannot be read`,
      { cause },
    );
  }
}
