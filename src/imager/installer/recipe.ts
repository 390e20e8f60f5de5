import type { Digest } from '../../oci/names.ts';
import type { Arch } from '../../talos/arch.ts';
import type { TalosVersion } from '../../talos/version.ts';
import type { ExtensionSource, OverlaySource } from '../recipe.ts';

/** What decides the bytes of an installer image for one architecture (`spec/outputs-installer.md` §1). */
export interface InstallerRecipe {
  readonly kind: 'installer';
  readonly version: TalosVersion;
  readonly arch: Arch;
  /** Digest of the imager image's manifest. */
  readonly boot: Digest;
  /** Digest of the base installer's manifest for the architecture. */
  readonly base: Digest;
  readonly extensions: readonly ExtensionSource[];
  /** Of the UKI. Releases before 1.10 have none in their installers, and no command line either. */
  readonly commandLine?: string;
  readonly overlay?: OverlaySource;
}
