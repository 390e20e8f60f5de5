import type { Bootloader } from './bootloader.ts';
import { gatesOf } from './gates.ts';
import type { PlatformName } from './platforms.ts';
import type { TalosVersion } from './version.ts';

const MIB = 1024 * 1024;
const MINIMUM = 1246 * MIB;
const DEFAULT = 8192 * MIB;
const MINIMAL: ReadonlySet<PlatformName> = new Set([
  'metal',
  'akamai',
  'alibabacloud',
  'hcloud',
  'nocloud',
  'opennebula',
  'openstack',
  'scaleway',
]);

/** Size of a platform's disk (bytes) before the boot partitions of a release are counted (`spec/profile.md` §4.1). */
export function baseDiskSize(platform: PlatformName): number {
  if (platform === 'exoscale') return 10240 * MIB;
  return MINIMAL.has(platform) ? MINIMUM : DEFAULT;
}

/** Size of the disk image (bytes), with room for what the bootloader needs (`spec/profile.md` §4.2). */
export function diskSize(platform: PlatformName, version: TalosVersion, bootloader: Bootloader): number {
  const boot = (gatesOf(version).largeBootPartition ? 2000 : 1000) * MIB;
  const size = baseDiskSize(platform) + boot - 1000 * MIB;
  return bootloader === 'dual-boot' ? size + MIB + boot : size;
}

/**
 * Options of the disk format: the platform's own, whatever the format asked for, or those of the format
 * (`spec/profile.md` §1, rule 8). `''` when there are none.
 */
export function diskFormatOptions(
  platform: PlatformName,
  format: 'raw' | 'qcow2' | 'vhd' | 'ova',
): '' | 'cluster_size=8k' | 'subformat=fixed,force_size' {
  if (platform === 'azure') return 'subformat=fixed,force_size';
  const qcow2 =
    platform === 'alibabacloud' || platform === 'exoscale' || platform === 'oracle' || format === 'qcow2';
  return qcow2 ? 'cluster_size=8k' : '';
}
