import type { Blob } from '../blob/blob.ts';
import type { Arch } from '../talos/arch.ts';
import {
  type GrubDiskBios,
  type GrubIsoBios,
  type GrubSource,
  grubDiskBios,
  grubDiskEfi,
  grubIsoBios,
  grubIsoEfi,
} from './grub.ts';

/**
 * GRUB's images, each found out once: its modules are those that the toolchain's fingerprint was taken of when the
 * process started. All methods throw `not-implemented` `GRUB_MISSING` on a machine without the modules.
 */
export class GrubImages {
  readonly #source: GrubSource;
  readonly #isoEfi = new Map<Arch, Blob>();
  readonly #diskEfi = new Map<Arch, Blob>();
  #isoBios: GrubIsoBios | undefined;
  #diskBios: GrubDiskBios | undefined;

  constructor(source: GrubSource) {
    this.#source = source;
  }

  async isoBios(signal?: AbortSignal): Promise<GrubIsoBios> {
    this.#isoBios ??= await grubIsoBios(this.#source, signal);
    return this.#isoBios;
  }

  async diskBios(signal?: AbortSignal): Promise<GrubDiskBios> {
    this.#diskBios ??= await grubDiskBios(this.#source, signal);
    return this.#diskBios;
  }

  isoEfi(arch: Arch, signal?: AbortSignal): Promise<Blob> {
    return remembered(this.#isoEfi, arch, () => grubIsoEfi(this.#source, arch, signal));
  }

  diskEfi(arch: Arch, signal?: AbortSignal): Promise<Blob> {
    return remembered(this.#diskEfi, arch, () => grubDiskEfi(this.#source, arch, signal));
  }
}

async function remembered(known: Map<Arch, Blob>, arch: Arch, make: () => Promise<Blob>): Promise<Blob> {
  const image = known.get(arch) ?? (await make());
  known.set(arch, image);
  return image;
}
