import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARCHES, type Arch } from '../../talos/arch.ts';
import { type BuiltImage, type BuiltLayer, buildImage, buildIndex, buildLayer } from '../image-builder.ts';
import { type ArchiveEntry, directory, file } from '../tar-archive.ts';
import { buildInitramfs, type GuestParts } from './guest.ts';
import type { SandboxVersion } from './versions.ts';

/** The layers that all versions share: kernels and systemd's EFI programs. */
export interface SharedLayers {
  readonly kernel: Readonly<Record<Arch, BuiltLayer>>;
  readonly systemd: Readonly<Record<Arch, BuiltLayer>>;
}

export async function buildSharedLayers(parts: Readonly<Record<Arch, GuestParts>>): Promise<SharedLayers> {
  const layers = async (arch: Arch): Promise<readonly [BuiltLayer, BuiltLayer]> => {
    const at = `usr/install/${arch}`;
    const kernel = file(`${at}/vmlinuz`, await readFile(parts[arch].kernel));
    return [
      // The kernel of amd64 is compressed, that of arm64 is not.
      buildLayer([kernel], arch === 'amd64' ? 1 : 4),
      buildLayer([
        file(`${at}/systemd-boot.efi`, await readFile(parts[arch].systemdBoot)),
        file(`${at}/systemd-stub.efi`, await readFile(parts[arch].systemdStub)),
      ]),
    ];
  };
  const [amd64, arm64] = [await layers('amd64'), await layers('arm64')];
  return {
    kernel: { amd64: amd64[0], arm64: arm64[0] },
    systemd: { amd64: amd64[1], arm64: arm64[1] },
  };
}

/** The images of one version that hold its boot files. */
export interface BootImages {
  readonly imager: BuiltImage;
  readonly installer: BuiltImage;
  /** `siderolabs/installer-base`, or `siderolabs/installer` before 1.10. */
  readonly installerRepository: string;
}

/** The imager (amd64 only, with the boot files of both architectures) and the installer's base. */
export async function buildBootImages(
  target: SandboxVersion,
  parts: Readonly<Record<Arch, GuestParts>>,
  shared: SharedLayers,
): Promise<BootImages> {
  const initramfs = {
    amd64: await initramfsLayer(target, parts.amd64),
    arm64: await initramfsLayer(target, parts.arm64),
  };
  const program = file('usr/bin/imager', '#!/bin/sh\necho imager of the sandbox\n', 0o755);
  const imager = buildImage('amd64', [
    buildLayer([directory('usr'), directory('usr/bin'), program]),
    ...ARCHES.flatMap((arch) => [
      shared.kernel[arch],
      ...(target.gates.uki ? [shared.systemd[arch]] : []),
      initramfs[arch],
    ]),
  ]);
  const installer = buildIndex(
    ARCHES.map((arch) => ({ arch, image: installerImage(target, arch, initramfs[arch]) })),
  );
  const installerRepository = target.gates.unifiedInstaller
    ? 'siderolabs/installer-base'
    : 'siderolabs/installer';
  return { imager, installer, installerRepository };
}

async function initramfsLayer(target: SandboxVersion, parts: GuestParts): Promise<BuiltLayer> {
  const scratch = await mkdtemp(join(tmpdir(), 'sandbox-'));
  try {
    const bytes = await buildInitramfs(parts, target, scratch);
    return buildLayer([file(`usr/install/${parts.arch}/initramfs.xz`, bytes)], 1);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * The base of installer images (`spec/outputs-installer.md` §1.2): one layer from 1.10 on, a second one with the
 * stock boot files from 1.5 on, three layers before.
 */
function installerImage(target: SandboxVersion, arch: Arch, stock: BuiltLayer): BuiltImage {
  const program = target.gates.unifiedInstaller ? 'usr/bin/installer' : 'bin/installer';
  const system: ArchiveEntry[] = [
    file(program, `#!/bin/sh\necho installer ${target.tag} ${arch}\n`, 0o755),
    file('etc/os-release', `NAME="Talos"\nVERSION_ID=${target.tag}\n`),
  ];
  const layers = [buildLayer(system)];
  if (!target.gates.uki) layers.push(buildLayer([file('usr/share/installer/README', 'old installer\n')]));
  if (!target.gates.unifiedInstaller) layers.push(stock);
  return buildImage(arch, layers, {
    Entrypoint: [`/${program}`],
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', `VERSION=${target.tag}`],
    Labels: {
      'alpha.talos.dev/version': target.tag,
      'org.opencontainers.image.source': 'https://github.com/siderolabs/talos',
    },
  });
}

const TALOSCTL = [
  'linux-amd64',
  'linux-arm64',
  'linux-armv7',
  'darwin-amd64',
  'darwin-arm64',
  'freebsd-amd64',
  'freebsd-arm64',
  'windows-amd64.exe',
  'windows-arm64.exe',
] as const;

/** `talosctl-all` (`spec/artifacts.md` §5.5): a script and some ballast a platform, so that ranges make sense. */
export function buildTalosctl(target: SandboxVersion): BuiltImage {
  return buildImage('amd64', [
    buildLayer(
      TALOSCTL.map((name) =>
        file(
          `talosctl-${name}`,
          Buffer.concat([
            Buffer.from(`#!/bin/sh\necho "talosctl ${target.tag} ${name}"\nexit 0\n`),
            Buffer.alloc(200_000, `${target.tag} ${name} `),
          ]),
          0o755,
        ),
      ),
    ),
  ]);
}
