/** `artifacts.core.components` as everyone has them: the names under which test releases are published. */
export const RELEASE_COMPONENTS = {
  installerBase: 'siderolabs/installer-base',
  installer: 'siderolabs/installer',
  imager: 'siderolabs/imager',
  extensionManifest: 'siderolabs/extensions',
  overlayManifest: 'siderolabs/overlays',
  talosctl: 'siderolabs/talosctl-all',
} as const;
