import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ARCHES } from '../../talos/arch.ts';
import { type BuiltImage, buildImage, buildIndex, buildLayer } from '../image-builder.ts';
import { directory, file } from '../tar-archive.ts';

/** An overlay image and the boards that it serves. */
export interface ReleasedOverlay {
  readonly repository: string;
  readonly tag: string;
  readonly boards: readonly string[];
  readonly image: BuiltImage;
}

const PROFILE = [
  'arch: arm64',
  'platform: metal',
  'secureboot: false',
  'output:',
  '  kind: image',
  '  outFormat: .xz',
  '  imageOptions:',
  '    bootloader: grub',
  '    diskFormat: raw',
  '    diskSize: 1306525696',
  '',
].join('\n');

/** Boards of the sandbox: one with files for the ESP, one with a boot loader in front of the partitions. */
const OVERLAYS = [
  {
    repository: 'siderolabs/sbc-raspberrypi',
    board: 'rpi_generic',
    artifacts: [
      file('artifacts/arm64/firmware/boot/fixup.dat', 'fixup of the sandbox\n'),
      file('artifacts/arm64/firmware/boot/start4.elf', 'start of the sandbox\n'),
      file('artifacts/arm64/u-boot/rpi_generic/u-boot.bin', Buffer.alloc(4096, 'u-boot for rpi ')),
    ],
  },
  {
    repository: 'siderolabs/sbc-rockchip',
    board: 'rock4cplus',
    artifacts: [
      file('artifacts/arm64/dtb/rockchip/rk3399-rock-4c-plus.dtb', 'device tree of the sandbox\n'),
      file('artifacts/arm64/u-boot/rock4cplus/u-boot-rockchip.bin', Buffer.alloc(65536, 'u-boot for rock ')),
    ],
  },
] as const;

/**
 * Overlay images (`spec/outputs-installer.md` §2). Their installers are shell scripts, so that both
 * architectures' images run on any build host.
 */
export async function buildOverlays(): Promise<readonly ReleasedOverlay[]> {
  const built: ReleasedOverlay[] = [];
  for (const { repository, board, artifacts } of OVERLAYS) {
    const installer = await readFile(join(import.meta.dirname, `../guest/overlay-${board}.sh`));
    const layer = buildLayer([
      directory('artifacts'),
      ...artifacts,
      directory('installers'),
      file(`installers/${board}`, installer, 0o755),
      directory('profiles'),
      file(`profiles/${board}.yaml`, PROFILE),
    ]);
    const image = buildIndex(ARCHES.map((arch) => ({ arch, image: buildImage(arch, [layer]) })));
    built.push({ repository, tag: 'v0.1.0', boards: [board], image });
  }
  return built;
}

/** The overlays catalog (`spec/artifacts.md` §5.4). */
export function buildOverlayCatalog(overlays: readonly ReleasedOverlay[]): BuiltImage {
  const lines = overlays.flatMap(({ repository, tag, boards, image }) =>
    boards.flatMap((board) => [
      `  - name: ${board}`,
      `    image: ghcr.io/${repository}:${tag}`,
      `    digest: ${image.root.descriptor.digest}`,
    ]),
  );
  return buildImage('amd64', [buildLayer([file('overlays.yaml', `overlays:\n${lines.join('\n')}\n`)])]);
}
