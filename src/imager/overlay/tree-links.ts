import type { ImageTree } from '../../artifacts/image-tree.ts';
import type { TreeEntry } from '../../formats/tree.ts';

/** Linux's own limit (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * The entry that `path` leads to in an image, with symbolic links followed as in a container: absolute targets begin
 * at the image's root and `..` does not leave it. `undefined` when it leads nowhere or in a circle.
 */
export function follow(tree: ImageTree, path: string): Exclude<TreeEntry, { type: 'symlink' }> | undefined {
  const pending = path.split('/').reverse();
  let reached: readonly string[] = [];
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === '' || part === '.') continue;
    if (entryAt(tree, reached)?.type !== 'directory') return undefined;
    if (part === '..') {
      reached = reached.slice(0, -1);
      continue;
    }
    const next = [...reached, part];
    const entry = entryAt(tree, next);
    if (entry === undefined) return undefined;
    if (entry.type === 'symlink') {
      links++;
      if (links > MOST_LINKS) return undefined;
      if (entry.target.startsWith('/')) reached = [];
      pending.push(...entry.target.split('/').reverse());
    } else reached = next;
  }
  const found = entryAt(tree, reached);
  return found?.type === 'symlink' ? undefined : found;
}

function entryAt(tree: ImageTree, parts: readonly string[]): TreeEntry | undefined {
  return parts.length === 0 ? { type: 'directory', path: '', mode: 0o755 } : tree.get(parts.join('/'));
}
