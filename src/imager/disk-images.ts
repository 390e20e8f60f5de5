import type { Blob } from '../blob/blob.ts';
import type { TreeEntry } from '../formats/tree.ts';
import { composeDisk } from './disk/disk.ts';
import type { DiskOverlay } from './disk/spec.ts';
import type { Compressors } from './encoders/compressors.ts';
import { containDisk, encodeOuter } from './encoders/formats.ts';
import type { GrubImages } from './grub-images.ts';
import type { Slot } from './imager.ts';
import type { Overlays } from './overlay/overlays.ts';
import { type ImageRecipe, recipeKey } from './recipe.ts';
import { requireBootFile, ukiSpec } from './release-files.ts';
import type { BootFiles } from './sources.ts';
import { composeUki } from './uki.ts';

export interface DiskImageParts {
  readonly grub: GrubImages;
  readonly overlays: Overlays;
  readonly compressors: Compressors;
}

/** A disk image whose pieces stay until it is disposed. */
export interface BuiltDisk extends Disposable {
  readonly blob: Blob;
}

/** Disk images: what boots, what boards add, the container and what is put around it. */
export class DiskImages {
  readonly #parts: DiskImageParts;

  constructor(parts: DiskImageParts) {
    this.#parts = parts;
  }

  async build(
    recipe: ImageRecipe,
    boot: BootFiles,
    initramfs: Blob,
    slot: Slot,
    signal?: AbortSignal,
  ): Promise<BuiltDisk> {
    using stack = new DisposableStack();
    const overlay = await this.#overlay(recipe, stack, slot, signal);
    const disk = await this.#disk(recipe, boot, initramfs, overlay, signal);
    const { compressors } = this.#parts;
    const blob = await slot(async () => {
      const contained = await containDisk(disk, recipe.container, {
        // What is put around a disk does not make it another one.
        identity: recipeKey({ ...recipe, outer: 'none' }, ''),
        compressors,
        signal,
        ...(recipe.bootloader === 'sd-boot' ? { firmware: 'efi' } : {}),
      });
      return await encodeOuter(contained, recipe.outer, compressors, signal);
    });
    const pins = stack.move();
    return { blob, [Symbol.dispose]: () => pins.dispose() };
  }

  /** What a board's installer writes to the disk. */
  async #overlay(
    { overlay, diskSize }: ImageRecipe,
    stack: DisposableStack,
    slot: Slot,
    signal: AbortSignal | undefined,
  ): Promise<DiskOverlay | undefined> {
    if (overlay === undefined) return undefined;
    const { rawWrites, files } = stack.use(
      await slot(() => this.#parts.overlays.install(overlay, diskSize, signal)),
    );
    return {
      offsetLbas: overlay.partitionOffset,
      rawWrites,
      espFiles: files.filter(({ path }) => path.startsWith(ESP)).map(belowEsp),
      bootFiles: files.filter(({ path }) => path !== 'EFI' && !path.startsWith(ESP)),
    };
  }

  async #disk(
    recipe: ImageRecipe,
    boot: BootFiles,
    initramfs: Blob,
    overlay: DiskOverlay | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Blob> {
    const { grub } = this.#parts;
    const { version, arch, bootloader, diskSize: size, sectorSize, meta } = recipe;
    const base = { version, arch, size, sectorSize, meta, ...(overlay === undefined ? {} : { overlay }) };
    const files = { kernel: boot.kernel, initramfs, cmdline: recipe.commandLine };
    if (bootloader === 'grub') {
      const efi = await grub.diskEfi(arch, signal);
      const bios = arch === 'amd64' ? { bios: await grub.diskBios(signal) } : {};
      return await composeDisk({ ...base, ...files, bootloader, efi, ...bios }, signal);
    }
    const uki = await composeUki(ukiSpec(recipe, boot, initramfs), signal);
    const systemdBoot = requireBootFile(boot.sdBoot, 'systemd-boot');
    if (bootloader === 'sd-boot') return await composeDisk({ ...base, bootloader, uki, systemdBoot }, signal);
    const bios = await grub.diskBios(signal);
    return await composeDisk({ ...base, ...files, bootloader, uki, systemdBoot, bios }, signal);
  }
}

/** What an installer puts below this directory belongs to the root of the EFI system partition. */
const ESP = 'EFI/';

function belowEsp(entry: TreeEntry): TreeEntry {
  return { ...entry, path: entry.path.slice(ESP.length) };
}
