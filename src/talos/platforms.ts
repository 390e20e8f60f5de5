import { FactoryError } from '../errors.ts';
import type { Arch } from './arch.ts';
import { isAtLeast, type TalosVersion } from './version.ts';

/** Platforms that Talos images can be made for (`spec/profile.md` §5), by the name in `talos.platform=`. */
export const PLATFORM_NAMES = [
  'akamai',
  'alibabacloud',
  'aws',
  'azure',
  'cloudstack',
  'container',
  'digital-ocean',
  'equinixMetal',
  'exoscale',
  'gcp',
  'hcloud',
  'metal',
  'nocloud',
  'opennebula',
  'openstack',
  'oracle',
  'scaleway',
  'upcloud',
  'vmware',
  'vultr',
] as const;
export type PlatformName = (typeof PLATFORM_NAMES)[number];

export type BootMethod = 'disk-image' | 'iso' | 'pxe';

/** How a platform is offered. Nothing here is enforced on requests: any combination can be built. */
export interface Platform {
  readonly name: PlatformName;
  readonly label: string;
  readonly arches: readonly Arch[];
  /** First release that knows the platform, as strict semver; pre-releases count. */
  readonly minVersion?: string;
  /** What follows `<name>-<arch>.` in the path of the disk image; absent when there is none to boot. */
  readonly diskImageSuffix?: string;
  readonly bootMethods: readonly BootMethod[];
  readonly secureboot: boolean;
  /** Below the base address of the documentation. */
  readonly documentation: string;
}

const BOTH: readonly Arch[] = ['amd64', 'arm64'];
const AMD64: readonly Arch[] = ['amd64'];
const DISK: readonly BootMethod[] = ['disk-image'];
const DOCS = '/platform-specific-installations';
const CLOUD = `${DOCS}/cloud-platforms`;

/** In the order in which a user interface shows them. */
export const PLATFORMS: readonly Platform[] = [
  {
    name: 'metal',
    label: 'Bare Metal',
    arches: BOTH,
    diskImageSuffix: 'raw.zst',
    bootMethods: ['iso', 'disk-image', 'pxe'],
    secureboot: true,
    documentation: `${DOCS}/bare-metal-platforms/bootloader`,
  },
  {
    name: 'aws',
    label: 'Amazon Web Services (AWS)',
    arches: BOTH,
    diskImageSuffix: 'raw.xz',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/aws`,
  },
  {
    name: 'gcp',
    label: 'Google Cloud (GCP)',
    arches: BOTH,
    diskImageSuffix: 'raw.tar.gz',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/gcp`,
  },
  {
    name: 'equinixMetal',
    label: 'Equinix Metal',
    arches: BOTH,
    bootMethods: ['pxe'],
    secureboot: false,
    documentation: `${DOCS}/bare-metal-platforms/equinix-metal`,
  },
  {
    name: 'azure',
    label: 'Microsoft Azure',
    arches: BOTH,
    diskImageSuffix: 'vhd.xz',
    bootMethods: DISK,
    secureboot: true,
    documentation: `${CLOUD}/azure`,
  },
  {
    name: 'digital-ocean',
    label: 'Digital Ocean',
    arches: AMD64,
    diskImageSuffix: 'raw.gz',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/digitalocean`,
  },
  {
    name: 'nocloud',
    label: 'Nocloud',
    arches: BOTH,
    diskImageSuffix: 'raw.xz',
    bootMethods: ['disk-image', 'iso', 'pxe'],
    secureboot: true,
    documentation: `${CLOUD}/nocloud`,
  },
  {
    name: 'openstack',
    label: 'OpenStack',
    arches: BOTH,
    diskImageSuffix: 'raw.xz',
    bootMethods: ['disk-image', 'iso', 'pxe'],
    secureboot: false,
    documentation: `${CLOUD}/openstack`,
  },
  {
    name: 'vmware',
    label: 'VMWare',
    arches: BOTH,
    diskImageSuffix: 'ova',
    bootMethods: ['disk-image', 'iso'],
    secureboot: false,
    documentation: `${DOCS}/virtualized-platforms/vmware`,
  },
  {
    name: 'akamai',
    label: 'Akamai',
    arches: AMD64,
    minVersion: '1.7.0',
    diskImageSuffix: 'raw.gz',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/akamai`,
  },
  {
    name: 'cloudstack',
    label: 'Apache CloudStack',
    arches: BOTH,
    minVersion: '1.8.0-alpha.2',
    diskImageSuffix: 'raw.gz',
    bootMethods: DISK,
    secureboot: true,
    documentation: `${CLOUD}/cloudstack`,
  },
  {
    name: 'hcloud',
    label: 'Hetzner',
    arches: AMD64,
    diskImageSuffix: 'raw.xz',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/hetzner`,
  },
  {
    name: 'oracle',
    label: 'Oracle Cloud',
    arches: BOTH,
    diskImageSuffix: 'qcow2',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/oracle`,
  },
  {
    name: 'upcloud',
    label: 'UpCloud',
    arches: AMD64,
    diskImageSuffix: 'raw.xz',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/upcloud`,
  },
  {
    name: 'vultr',
    label: 'Vultr',
    arches: AMD64,
    bootMethods: ['iso', 'pxe'],
    secureboot: false,
    documentation: `${CLOUD}/vultr`,
  },
  {
    name: 'exoscale',
    label: 'Exoscale',
    arches: BOTH,
    minVersion: '1.3.0',
    diskImageSuffix: 'qcow2',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/exoscale`,
  },
  {
    name: 'opennebula',
    label: 'OpenNebula',
    arches: BOTH,
    minVersion: '1.7.0',
    diskImageSuffix: 'raw.zst',
    bootMethods: ['disk-image', 'iso'],
    secureboot: false,
    documentation: `${DOCS}/virtualized-platforms/opennebula`,
  },
  {
    name: 'scaleway',
    label: 'Scaleway',
    arches: BOTH,
    diskImageSuffix: 'raw.zst',
    bootMethods: ['disk-image', 'iso'],
    secureboot: false,
    documentation: `${CLOUD}/scaleway`,
  },
  {
    name: 'alibabacloud',
    label: 'AlibabaCloud',
    arches: BOTH,
    minVersion: '1.14.0-beta.2',
    diskImageSuffix: 'qcow2',
    bootMethods: DISK,
    secureboot: false,
    documentation: `${CLOUD}/alibabacloud`,
  },
];

const KNOWN: ReadonlyMap<string, PlatformName> = new Map<string, PlatformName>([
  ...PLATFORM_NAMES.map((name): [string, PlatformName] => [name, name]),
  ['packet', 'equinixMetal'],
]);

/** Throws `invalid` `PLATFORM_INVALID`: `invalid platform: "foo"`. `packet` is the old name of `equinixMetal`. */
export function parsePlatform(text: string): PlatformName {
  const name = KNOWN.get(text);
  if (name === undefined) {
    throw new FactoryError('invalid', 'PLATFORM_INVALID', `invalid platform: ${JSON.stringify(text)}`);
  }
  return name;
}

/** What a release offers, in the order of `PLATFORMS`. */
export function platformsOf(version: TalosVersion): readonly Platform[] {
  return PLATFORMS.filter((platform) => isAtLeast(version, platform.minVersion));
}
