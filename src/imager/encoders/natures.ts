import { contentNature } from '../../artifacts/content-nature.ts';
import type { Blob, LeafBlob, Nature } from '../../blob/blob.ts';
import type { NatureOf } from '../../formats/segments.ts';

/** What is smaller is compressed without asking: that takes some 20 ms (bytes). */
const WORTH_PROBING = 1 << 20;

/**
 * The natures of a blob's leaves, where samples of those that call themselves plain and are large have been tried:
 * to compress 90 MB of what does not shrink takes seconds.
 */
export async function probedNatures(blob: Blob, signal?: AbortSignal): Promise<NatureOf> {
  const plain = new Set<LeafBlob>();
  for (const extent of blob.extents()) {
    if (extent.kind === 'data' && extent.source.nature === 'plain') plain.add(extent.source);
  }
  const probed = new Map<LeafBlob, Nature>();
  for (const leaf of plain) {
    if (leaf.size >= WORTH_PROBING) probed.set(leaf, await contentNature(leaf, signal));
  }
  return (leaf) => probed.get(leaf) ?? leaf.nature;
}
