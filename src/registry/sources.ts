import { joinRepository } from '../artifacts/image-reference.ts';
import type { OpenRepository } from '../artifacts/image-source.ts';
import type { CoreRegistry } from '../artifacts/releases.ts';
import type { RepositoryReader } from '../oci/repository.ts';

/** The images of releases that are passed on, by the name that they have upstream (`spec/registry.md` §7). */
export function sourceRepositories(
  core: CoreRegistry,
  open: OpenRepository,
): ReadonlyMap<string, RepositoryReader> {
  const { components } = core;
  const names: Readonly<Record<string, string>> = {
    'installer-base': components.installerBase,
    installer: components.installer,
    imager: components.imager,
    extensions: components.extensionManifest,
    overlays: components.overlayManifest,
    'talosctl-all': components.talosctl,
  };
  return new Map(
    Object.entries(names).map(([name, component]) => [
      name,
      open(joinRepository(core.registry, core.namespace, component), core.insecure),
    ]),
  );
}
