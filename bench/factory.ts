import { type FactoryProcess, startFactoryProcess } from '../src/testing/factory-process.ts';
import type { BenchRelease } from './release.ts';

/** The real program, with nothing in its store. */
export function startBenchFactory(place: string, release: BenchRelease): Promise<FactoryProcess> {
  return startFactoryProcess({
    directory: place,
    registry: release.registry.host,
    publicKeyFile: release.publicKeyFile,
  });
}

/** Every name gives another schematic. */
export function schematicOf(
  officialExtensions: readonly string[],
  name: string,
  bootloader?: 'grub' | 'hybrid',
): unknown {
  return {
    customization: {
      extraKernelArgs: [`bench.name=${name}`],
      ...(bootloader === 'grub' ? { bootloader: 'grub' } : {}),
      systemExtensions: { officialExtensions },
    },
  };
}
