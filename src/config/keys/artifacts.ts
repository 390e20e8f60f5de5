import { duration, flag, section, text } from '../fields.ts';
import { repository } from './repository.ts';

export const artifacts = section('Where Talos releases come from, and where schematics and installers go.', {
  core: section('The registry of the Talos releases: base images, catalogs, extensions and overlays.', {
    registry: text('seed', 'ghcr.io', 'Host and port of the registry.'),
    namespace: text(
      'newer',
      '',
      'Path put before the name of every image of this registry, also of those named in catalogs; for pull-through caches.',
    ),
    components: section('Names of the images of a release.', {
      installerBase: text(
        'seed',
        'siderolabs/installer-base',
        'Base of installer images, Talos 1.10 and newer.',
      ),
      installer: text('seed', 'siderolabs/installer', 'Base of installer images, older Talos.'),
      imager: text('seed', 'siderolabs/imager', 'Boot files. Its tags are the list of Talos versions.'),
      extensionManifest: text('seed', 'siderolabs/extensions', 'Catalog of the system extensions.'),
      overlayManifest: text('seed', 'siderolabs/overlays', 'Catalog of the overlays.'),
      talosctl: text('seed', 'siderolabs/talosctl-all', 'The command line client, Talos 1.11 and newer.'),
    }),
    insecure: flag(
      'seed',
      'Allow plain HTTP (HTTPS is tried first) and certificates that cannot be verified.',
    ),
  }),
  schematic: repository('seed', 'The repository that keeps schematics.', [
    'ghcr.io',
    'siderolabs/image-factory',
    'schematics',
  ]),
  installer: section('Installer images.', {
    internal: repository('seed', 'Base of the repositories that installer images are pushed to.', [
      'ghcr.io',
      'siderolabs',
      '',
    ]),
    external: repository(
      'seed',
      'Public base of the same repositories: pulls are redirected there. Empty: the factory serves them itself.',
      ['', '', ''],
    ),
  }),
  talosVersionRecheckInterval: duration('seed', '15m0s', 'How long the list of Talos versions is used.'),
  refreshInterval: duration(
    'seed',
    '5m0s',
    'How long a session with a registry, and so its credentials, is used; more than 0.',
  ),
});
