import { readFile } from 'node:fs/promises';
import { ARCHES, type Arch } from '../../talos/arch.ts';
import { type BuiltImage, buildImage, buildIndex, buildLayer } from '../image-builder.ts';
import { type ArchiveEntry, directory, file, hardlink, symlink } from '../tar-archive.ts';
import { type GuestParts, moduleFile } from './guest.ts';
import type { SandboxVersion } from './versions.ts';

/** Where an extension keeps firmware and modules: Talos 1.10 moved both below `/usr`. */
export type Layout = 'legacy' | 'usr';

export const layoutOf = (target: SandboxVersion): Layout => (target.gates.usrMerge ? 'usr' : 'legacy');

/** An extension of the sandbox catalogs. */
interface SandboxExtension {
  readonly name: string;
  readonly description: string;
  readonly arches?: readonly Arch[];
  /** In which versions it is; in all when absent. */
  readonly released?: (target: SandboxVersion) => boolean;
  /** Layers of entries below `rootfs/`, later layers over earlier ones. */
  readonly layers: (
    parts: GuestParts,
    layout: Layout,
  ) => readonly (readonly ArchiveEntry[])[] | Promise<readonly (readonly ArchiveEntry[])[]>;
}

const firmware = (layout: Layout): string => (layout === 'usr' ? 'usr/lib/firmware' : 'lib/firmware');
const modules = (layout: Layout, parts: GuestParts): string =>
  `${layout === 'usr' ? 'usr/lib' : 'lib'}/modules/${parts.kernelRelease}`;

/** Bytes that look like no text and do not compress, the same on every machine. */
export function noise(seed: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let at = 0; at < size; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
}

async function module(parts: GuestParts, layout: Layout, name: string): Promise<ArchiveEntry> {
  const base = name.slice(name.lastIndexOf('/') + 1);
  return file(`${modules(layout, parts)}/extras/${base}.ko.xz`, await readFile(moduleFile(parts, name)));
}

const EXTENSIONS: readonly SandboxExtension[] = [
  {
    name: 'siderolabs/gvisor',
    description: '[core] Container runtime: plain files, one of them labelled for SELinux\n',
    layers: (_, layout) => [
      [
        {
          ...file('usr/local/bin/runsc', '#!/bin/sh\necho runsc\n', 0o755),
          ...(layout === 'usr' ? { selinux: 'system_u:object_r:containerd_exec_t:s0' } : {}),
        },
        symlink('usr/local/bin/containerd-shim-runsc-v1', 'runsc'),
        file('usr/local/share/gvisor/README', 'gVisor of the sandbox\n'),
      ],
    ],
  },
  {
    name: 'siderolabs/iscsi-tools',
    description: '[core] Service: its definition and its container, with a hard link\n',
    layers: () => [
      [
        file(
          'usr/local/etc/containers/iscsid.yaml',
          'name: iscsid\ncontainer:\n  entrypoint: ./sbin/iscsid\nrestart: always\n',
        ),
        file('usr/local/lib/containers/iscsid/sbin/iscsid', '#!/bin/sh\nexec sleep 1\n', 0o755),
        hardlink(
          'usr/local/lib/containers/iscsid/sbin/iscsi-iname',
          'rootfs/usr/local/lib/containers/iscsid/sbin/iscsid',
        ),
      ],
    ],
  },
  {
    name: 'siderolabs/hello-world-service',
    description: '[contrib] Two layers, the upper of which removes a file of the lower\n',
    layers: () => [
      [
        file('usr/local/share/hello/removed', 'must not be seen\n'),
        file('usr/local/share/hello/replaced', 'lower layer\n'),
      ],
      [
        file('usr/local/share/hello/.wh.removed', ''),
        file('usr/local/share/hello/replaced', 'upper layer\n'),
      ],
    ],
  },
  {
    name: 'siderolabs/intel-ucode',
    description: '[core] Microcode: two files, which become one\n',
    layers: (_, layout) => [
      [
        file(`${firmware(layout)}/intel-ucode/06-55-07`, noise(2, 2048)),
        file(`${firmware(layout)}/intel-ucode/06-3f-02`, noise(1, 1024)),
      ],
    ],
  },
  {
    name: 'siderolabs/amd-ucode',
    description: '[core] Microcode beside a file that is none\n',
    layers: (_, layout) => [
      [
        file(`${firmware(layout)}/amd-ucode/microcode_amd_fam17h.bin`, noise(3, 3200)),
        file(`${firmware(layout)}/amd-ucode/microcode_amd.bin`, noise(4, 1600)),
        file(`${firmware(layout)}/amd-ucode/README`, 'not microcode\n'),
      ],
    ],
  },
  {
    name: 'siderolabs/i915',
    description: '[core] Firmware with a symbolic link\n',
    released: (target) => target.gates.overlays,
    layers: (_, layout) => [firmwareOfI915(layout)],
  },
  {
    name: 'siderolabs/i915-ucode',
    description: '[core] Firmware with a symbolic link, by its old name\n',
    released: (target) => !target.gates.overlays,
    layers: (_, layout) => [firmwareOfI915(layout)],
  },
  {
    name: 'siderolabs/drbd',
    description: '[core] Kernel module that needs two modules of the base\n',
    layers: async (parts, layout) => [[await module(parts, layout, 'kernel/drivers/block/drbd/drbd')]],
  },
  {
    name: 'siderolabs/gasket-driver',
    description: '[contrib] Another kernel module, and a file of its own\n',
    layers: async (parts, layout) => [
      [
        await module(parts, layout, 'kernel/drivers/net/dummy'),
        file('usr/local/share/gasket/README', 'gasket of the sandbox\n'),
      ],
    ],
  },
  {
    name: 'siderolabs/panfrost',
    description: '[core] Firmware for arm64 only\n',
    arches: ['arm64'],
    released: (target) => target.gates.usrMerge,
    layers: (_, layout) => [[file(`${firmware(layout)}/arm/mali/arch10.8/mali_csffw.bin`, noise(6, 4096))]],
  },
  {
    name: 'siderolabs/newt',
    description: '[contrib] Only in versions from 1.13 on\n',
    released: (target) => target.gates.procMem,
    layers: () => [[file('usr/local/share/newt/README', 'newt of the sandbox\n')]],
  },
];

function firmwareOfI915(layout: Layout): readonly ArchiveEntry[] {
  return [
    file(`${firmware(layout)}/i915/adlp_dmc_ver2_16.bin`, noise(5, 6000)),
    symlink(`${firmware(layout)}/i915/adlp_dmc.bin`, 'adlp_dmc_ver2_16.bin'),
  ];
}

/** A released extension: the same image for all versions of one layout. */
export interface ReleasedExtension {
  readonly name: string;
  readonly tag: string;
  readonly description: string;
  readonly released: (target: SandboxVersion) => boolean;
  readonly image: BuiltImage;
}

/** All extensions in one layout, for both architectures. */
export async function buildExtensions(
  layout: Layout,
  parts: Readonly<Record<Arch, GuestParts>>,
): Promise<readonly ReleasedExtension[]> {
  const release = layout === 'usr' ? '20250505.0' : '20231214.0';
  const built: ReleasedExtension[] = [];
  for (const extension of EXTENSIONS) {
    const tag = `${release}-v1.0.0`;
    const images: { arch: Arch; image: BuiltImage }[] = [];
    for (const arch of extension.arches ?? ARCHES) {
      const [first, ...rest] = await extension.layers(parts[arch], layout);
      const manifest = [file('manifest.yaml', manifestText(extension, tag)), directory('rootfs')];
      const below = (entries: readonly ArchiveEntry[] | undefined): ArchiveEntry[] =>
        (entries ?? []).map((entry) => ({ ...entry, path: `rootfs/${entry.path}` }));
      const layers = [
        buildLayer([...manifest, ...below(first)]),
        ...rest.map((entries) => buildLayer(below(entries))),
      ];
      images.push({ arch, image: buildImage(arch, layers) });
    }
    built.push({
      name: extension.name,
      tag,
      description: extension.description,
      released: extension.released ?? (() => true),
      image: buildIndex(images),
    });
  }
  return built;
}

function manifestText(extension: SandboxExtension, version: string): string {
  return [
    'version: v1alpha1',
    'metadata:',
    `  name: ${extension.name.slice(extension.name.indexOf('/') + 1)}`,
    `  version: ${version}`,
    '  author: Sandbox Authors',
    `  description: ${JSON.stringify(extension.description)}`,
    '  compatibility:',
    '    talos:',
    '      version: ">= v1.0.0"',
    '',
  ].join('\n');
}

const catalogLine = (extension: ReleasedExtension): string =>
  `ghcr.io/${extension.name}:${extension.tag}@${extension.image.root.descriptor.digest}`;

/**
 * The extensions catalog of a version (`spec/artifacts.md` §5.1): a single-platform image with a layer a file;
 * the oldest versions have no descriptions.
 */
export function buildExtensionCatalog(
  target: SandboxVersion,
  extensions: readonly ReleasedExtension[],
): BuiltImage {
  const released = extensions.filter((extension) => extension.released(target));
  const lines = released.map((extension) => `${catalogLine(extension)}\n`).join('');
  const descriptions = released
    .map(
      (extension) =>
        `${catalogLine(extension)}:\n  author: Sandbox Authors\n  description: |\n    ${extension.description}`,
    )
    .join('');
  const layers = [buildLayer([file('image-digests', lines)])];
  if (target.gates.uki) layers.push(buildLayer([file('descriptions.yaml', descriptions)]));
  return buildImage('amd64', layers);
}
