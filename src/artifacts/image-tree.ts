import type { TreeEntry } from '../formats/tree.ts';
import type { Digest } from '../oci/names.ts';

/**
 * The flattened file system of one image manifest (all layers applied, whiteouts honoured), verified by digest
 * and held in the local store. Pinned until disposed; file contents are blobs into the store.
 */
export interface ImageTree extends Disposable {
  /** Digest of the platform's manifest (not of an index above it). */
  readonly digest: Digest;
  /** Absolute path of the directory in the store, for workers that open the tree again. */
  readonly directory: string;
  /** In tree order (`compareTreePaths`), parents before children. Hard links are files with the target's content. */
  readonly entries: readonly TreeEntry[];
  get(path: string): TreeEntry | undefined;
}
