import type { ImageTree } from '../../artifacts/image-tree.ts';
import type { Arch } from '../../talos/arch.ts';
import type { OverlaySource } from '../recipe.ts';
import { builderArch } from './builder-arch.ts';
import type { OverlayInstallation } from './installation.ts';
import type { OverlayInstaller } from './overlay-installer.ts';
import { type OverlayProfile, readOverlayProfile } from './overlay-profile.ts';

/** What an overlay says of images for one architecture. */
export interface OverlayFacts {
  readonly profile: OverlayProfile;
  /** Each replaces what the platform has set. */
  readonly kernelArgs: readonly string[];
  /** Logical blocks that stay free before the partition table's entries. */
  readonly partitionOffset: number;
}

/** Where overlay images come from: verified, by digest, held locally. */
export interface OverlayImages {
  overlayImage(overlay: OverlaySource, arch: Arch, signal?: AbortSignal): Promise<ImageTree>;
}

/** Overlays of schematics: their profiles, and what their installers say and do. */
export class Overlays {
  readonly #images: OverlayImages;
  readonly #installer: OverlayInstaller;

  constructor(images: OverlayImages, installer: OverlayInstaller) {
    this.#images = images;
    this.#installer = installer;
  }

  /** `arch` is that of the image to be made; the installer that is asked is that of this machine. */
  async describe(overlay: OverlaySource, arch: Arch, signal?: AbortSignal): Promise<OverlayFacts> {
    using tree = await this.#images.overlayImage(overlay, arch, signal);
    const profile = await readOverlayProfile(tree, overlay.name, signal);
    const { kernelArgs, partitionOffset } = await this.#installer.getOptions(this.#selected(overlay), signal);
    return { profile, kernelArgs, partitionOffset };
  }

  /** What the installer writes to a disk of `diskSize` bytes. */
  install(overlay: OverlaySource, diskSize: number, signal?: AbortSignal): Promise<OverlayInstallation> {
    return this.#installer.install(this.#selected(overlay), diskSize, signal);
  }

  #selected(overlay: OverlaySource) {
    const { name, digest, options } = overlay;
    const open = (signal: AbortSignal): Promise<ImageTree> =>
      this.#images.overlayImage(overlay, builderArch(), signal);
    return { name, digest, options, open };
  }
}
