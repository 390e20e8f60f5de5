import { FactoryError } from '../../errors.ts';
import type { Arch } from '../../talos/arch.ts';

/** By the names that Node has for them. */
const ARCHES: Readonly<Record<string, Arch>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * The architecture of the machine that this runs on, which is that of the overlay image whose installer it can
 * execute. Throws `not-implemented` `OVERLAY_ARCH_UNSUPPORTED` where overlays cannot be run.
 */
export function builderArch(nodeArch: string = process.arch): Arch {
  const arch = Object.hasOwn(ARCHES, nodeArch) ? ARCHES[nodeArch] : undefined;
  if (arch !== undefined) return arch;
  throw new FactoryError(
    'not-implemented',
    'OVERLAY_ARCH_UNSUPPORTED',
    `overlays cannot be run on a machine of architecture ${nodeArch}: run the factory on amd64 or arm64`,
  );
}
