import type { Blob } from '../blob/blob.ts';
import type { Arch } from '../talos/arch.ts';
import { type GrubIsoBios, type GrubSource, grubIsoBios, grubIsoEfi } from './grub.ts';

/**
 * GRUB's images for ISOs, found out once: its modules are those that the toolchain's fingerprint was taken of when
 * the process started.
 */
export class GrubIsoImages {
  readonly #source: GrubSource;
  readonly #efi = new Map<Arch, Blob>();
  #bios: GrubIsoBios | undefined;

  constructor(source: GrubSource) {
    this.#source = source;
  }

  /** Throws `internal` `GRUB_MISSING`. */
  async bios(signal?: AbortSignal): Promise<GrubIsoBios> {
    this.#bios ??= await grubIsoBios(this.#source, signal);
    return this.#bios;
  }

  /** Throws `internal` `GRUB_MISSING`. */
  async efi(arch: Arch, signal?: AbortSignal): Promise<Blob> {
    const known = this.#efi.get(arch);
    if (known !== undefined) return known;
    const made = await grubIsoEfi(this.#source, arch, signal);
    this.#efi.set(arch, made);
    return made;
  }
}
