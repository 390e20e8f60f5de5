import { createHash } from 'node:crypto';
import type { ImageTree } from '../../artifacts/image-tree.ts';
import { textBlob } from '../../blob/bytes.ts';
import { compareTreePaths, type TreeEntry } from '../../formats/tree.ts';
import type { Digest } from '../../oci/names.ts';

/** Contents of files by path; `{ link }` for symbolic links. Files below `installers/` are executable. */
export type Files = Readonly<Record<string, string | { readonly link: string }>>;

/** An image of these files and the directories above them. */
export function memoryTree(files: Files): ImageTree {
  const byPath = new Map<string, TreeEntry>();
  for (const [path, what] of Object.entries(files)) {
    const parts = path.split('/');
    for (let i = 1; i < parts.length; i++) {
      const parent = parts.slice(0, i).join('/');
      byPath.set(parent, { type: 'directory', path: parent, mode: 0o700 });
    }
    const mode = path.startsWith('installers/') ? 0o700 : 0o600;
    byPath.set(
      path,
      typeof what === 'string'
        ? { type: 'file', path, mode, content: textBlob(what) }
        : { type: 'symlink', path, mode: 0o777, target: what.link },
    );
  }
  const entries = [...byPath.values()].sort((a, b) => compareTreePaths(a.path, b.path));
  const digest: Digest =
    `sha256:${createHash('sha256').update(JSON.stringify(files)).digest('hex')}` as Digest;
  return {
    digest,
    directory: '/nowhere',
    entries,
    get: (path) => byPath.get(path),
    [Symbol.dispose]: () => {},
  };
}
