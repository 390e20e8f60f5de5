import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FactoryError } from '../errors.ts';

/** Below an entry's directory: the files as they were made, and what is known of them. */
export const FILES = 'files';
const METADATA = 'entry.json';

const metadataSchema = z.object({
  format: z.literal(1),
  key: z.string(),
  files: z.array(z.object({ name: z.string(), size: z.int().nonnegative() })),
});

/** What an entry's directory holds. */
export interface EntryContent {
  readonly key: string;
  /** Bytes by relative path, sorted by path. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** The name of a key's directory: keys may hold `/` and `:` and be long. */
export function directoryName(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/**
 * Lists and syncs everything below `directory/files` and writes the metadata beside it, synced too.
 * Throws `internal` `STORE_ENTRY_INVALID` for anything that is neither file nor directory: a link could lead
 * out of the store.
 */
export async function sealEntry(directory: string, key: string): Promise<EntryContent> {
  const files: { readonly name: string; readonly size: number }[] = [];
  await sealTree(join(directory, FILES), '', files);
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  const path = join(directory, METADATA);
  await writeFile(path, JSON.stringify({ format: 1, key, files }), { flag: 'wx', flush: true });
  await syncDirectory(directory);
  return { key, sizes: new Map(files.map(({ name, size }) => [name, size])) };
}

async function sealTree(
  root: string,
  below: string,
  files: { readonly name: string; readonly size: number }[],
): Promise<void> {
  const directory = join(root, below);
  for (const item of await readdir(directory, { withFileTypes: true })) {
    const name = below === '' ? item.name : `${below}/${item.name}`;
    if (item.isDirectory()) await sealTree(root, name, files);
    else if (item.isFile()) {
      await using file = await open(join(root, name), 'r');
      await file.sync();
      files.push({ name, size: (await file.stat()).size });
    } else {
      throw new FactoryError(
        'internal',
        'STORE_ENTRY_INVALID',
        `store entry holds ${JSON.stringify(name)}, which is neither a file nor a directory`,
      );
    }
  }
  await syncDirectory(directory);
}

/**
 * Reads an entry back, with the time of its last use (milliseconds). `undefined` when the directory is not a
 * whole entry of this format or lies under another key's name: the caller removes it.
 */
export async function readEntry(
  directory: string,
  name: string,
): Promise<(EntryContent & { readonly usedAt: number }) | undefined> {
  const path = join(directory, METADATA);
  const text = await readFile(path, 'utf8').catch(absent);
  if (text === undefined) return undefined;
  const metadata = metadataSchema.safeParse(parseJson(text));
  if (!metadata.success || directoryName(metadata.data.key) !== name) return undefined;
  const sizes = new Map<string, number>();
  for (const file of metadata.data.files) {
    const found = await stat(join(directory, FILES, file.name)).catch(absent);
    if (found?.size !== file.size) return undefined;
    sizes.set(file.name, file.size);
  }
  const { mtimeMs } = await stat(path);
  return { key: metadata.data.key, sizes, usedAt: mtimeMs };
}

/** Keeps the time of an entry's last use (milliseconds), as the modification time of its metadata. */
export async function stampUse(directory: string, usedAt: number): Promise<void> {
  // It may have been evicted meanwhile.
  await utimes(join(directory, METADATA), usedAt / 1000, usedAt / 1000).catch(absent);
}

/** Makes the names in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not ours, or of a time before the sync: the same as no metadata.
    return undefined;
  }
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
    return undefined;
  throw error;
}
