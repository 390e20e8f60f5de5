import { badArtifact } from './errors.ts';

/**
 * The command line clients among the files of a `talosctl-all` image, in byte order (`spec/artifacts.md` §5.5):
 * `talosctl-<os>-<arch>[.exe]`. Throws `upstream` `CATALOG_INVALID` when a name does not split so.
 */
export function talosctlNames(paths: Iterable<string>): readonly string[] {
  const names: string[] = [];
  for (const path of paths) {
    if (!path.startsWith('talosctl-') || path.includes('/')) continue;
    if (!/^talosctl-[a-z0-9_]+-[a-z0-9_]+(?:\.exe)?$/.test(path)) {
      throw badArtifact(
        'CATALOG_INVALID',
        `invalid talosctl file name ${JSON.stringify(path.slice(0, 200))}`,
      );
    }
    names.push(path);
  }
  return names.sort((a, b) => (a < b ? -1 : 1));
}
