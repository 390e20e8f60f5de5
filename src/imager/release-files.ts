import type { Blob } from '../blob/blob.ts';
import { FactoryError } from '../errors.ts';
import type { ImageRecipe, IsoRecipe, UkiRecipe } from './recipe.ts';
import type { BootFiles } from './sources.ts';
import type { UkiSpec } from './uki.ts';

/** A file that not every release has. Throws `upstream` `BOOT_FILE_MISSING`. */
export function requireBootFile(file: Blob | undefined, name: string): Blob {
  if (file !== undefined) return file;
  throw new FactoryError(
    'upstream',
    'BOOT_FILE_MISSING',
    `the release has no ${name}, which this asset needs`,
  );
}

/** The unified kernel image of a recipe. */
export function ukiSpec(
  recipe: UkiRecipe | IsoRecipe | ImageRecipe,
  boot: BootFiles,
  initramfs: Blob,
): UkiSpec {
  return {
    version: recipe.version,
    kind: recipe.kind,
    stub: requireBootFile(boot.sdStub, 'systemd-stub'),
    kernel: boot.kernel,
    initramfs,
    cmdline: recipe.commandLine,
  };
}
