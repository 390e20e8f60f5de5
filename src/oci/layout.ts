import { join } from 'node:path';
import { LayoutFiles, repositoryDirectory } from './layout-files.ts';
import { LayoutRepository } from './layout-repository.ts';
import { OCI_INDEX } from './media-types.ts';
import type { RepositoryName } from './names.ts';
import type { Repository } from './repository.ts';

/**
 * Many repositories in one OCI image layout (image-spec 1.1 "Image Layout"):
 *
 *     oci-layout                                   {"imageLayoutVersion":"1.0.0"}
 *     index.json                                   all tags, written by `writeIndex` for other tools
 *     blobs/<algorithm>/<hex>                      blobs and manifests of all repositories, each once
 *     repositories/<host>/<path>/_tags/<tag>       a descriptor
 *     repositories/<host>/<path>/_manifests/<alg>-<hex>   a descriptor
 *     repositories/<host>/<path>/_blobs/<alg>-<hex>       empty: the repository has this blob
 *     repositories/<host>/<path>/_referrers/<alg>-<hex of the subject>/<alg>-<hex>   a descriptor
 *     tmp/                                         what is being written
 *
 * The bytes are shared, so that mounting is a link and equal layers are stored once. The index is many small
 * files, not one `index.json` a repository: every write is then one rename, needs no lock between processes, and
 * costs the same with a hundred thousand tags as with one. Names that begin with `_` cannot be parts of a
 * repository's path, so the two never meet.
 */
export interface Layout {
  readonly root: string;
  repository(name: RepositoryName): Repository;
  /** The names of all repositories that have been written to, sorted. */
  repositories(): Promise<readonly RepositoryName[]>;
  /** Brings `index.json` up to date: every tag of every repository, named `host/path:tag`. */
  writeIndex(): Promise<void>;
}

export interface LayoutOptions {
  /** Whether writes are synced to the disk before they count (true unless told: only tests do). */
  readonly sync?: boolean;
}

/** Opens the layout at `root`, making it when there is none. Throws `OCI_LAYOUT_INVALID`. */
export async function openLayout(root: string, options: LayoutOptions = {}): Promise<Layout> {
  const files = new LayoutFiles(root, options.sync ?? true);
  await files.prepare();
  return {
    root,
    repository: (name) => new LayoutRepository(name, files),
    repositories: () => files.repositories(),
    writeIndex: () => writeIndex(files),
  };
}

async function writeIndex(files: LayoutFiles): Promise<void> {
  const manifests: unknown[] = [];
  for (const name of await files.repositories()) {
    for (const tag of await files.list(join(repositoryDirectory(name), '_tags'))) {
      const bytes = await files.read(join(repositoryDirectory(name), '_tags', tag));
      if (bytes === undefined) continue;
      const { mediaType, digest, size } = JSON.parse(Buffer.from(bytes).toString('utf8'));
      const annotations = { 'org.opencontainers.image.ref.name': `${name}:${tag}` };
      manifests.push({ mediaType, digest, size, annotations });
    }
  }
  await files.write(
    'index.json',
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })),
  );
}
