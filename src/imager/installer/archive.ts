import type { Blob } from '../../blob/blob.ts';
import { bytesBlob } from '../../blob/bytes.ts';
import { tarArchive } from '../../formats/tar.ts';
import type { TreeEntry } from '../../formats/tree.ts';
import { digestHex } from '../../oci/digest.ts';
import type { InstallerImage } from './image.ts';

/**
 * The image as a docker archive (`spec/outputs-installer.md` §1.5), which `docker load`, `crane push` and
 * `skopeo copy docker-archive:` take. `repoTag` is the name under which it is loaded.
 */
export function installerArchive(image: InstallerImage, repoTag: string): Blob {
  const config = image.config.descriptor.digest;
  const layers = image.layers.map(({ descriptor, content }) => ({
    path: `${digestHex(descriptor.digest)}.tar.gz`,
    content,
  }));
  const manifest = [{ Config: config, RepoTags: [repoTag], Layers: layers.map(({ path }) => path) }];
  const unique = new Map(layers.map(({ path, content }) => [path, content]));
  const member = (path: string, content: Blob): TreeEntry => ({ type: 'file', path, mode: 0o644, content });
  return tarArchive(
    [
      member(config, bytesBlob(image.config.bytes)),
      ...[...unique].map(([path, content]) => member(path, content)),
      member('manifest.json', bytesBlob(Buffer.from(JSON.stringify(manifest)))),
    ],
    { mtime: 0 },
  );
}
