import { isAtLeast, type TalosVersion } from './version.ts';

/** A single-board computer: `metal` on arm64 with an overlay. Its image is always `metal-arm64.raw.xz`. */
export interface Board {
  readonly name: string;
  readonly label: string;
  /** What the schematic says in `overlay.name`. */
  readonly overlayName: string;
  /** What the schematic says in `overlay.image`. */
  readonly overlayImage: string;
  /** First release that supports the board, as strict semver; pre-releases count. */
  readonly minVersion?: string;
  /** Below the base address of the documentation. */
  readonly documentation?: string;
}

const DOCS = '/platform-specific-installations/single-board-computers';

/** `spec/profile.md` §5.1, in the order in which a user interface shows them. */
export const BOARDS: readonly Board[] = [
  {
    name: 'rpi_5',
    overlayName: 'rpi_5',
    overlayImage: 'siderolabs/sbc-raspberrypi',
    label: 'Raspberry Pi 5',
    minVersion: '1.12.3',
  },
  {
    name: 'rpi_generic',
    overlayName: 'rpi_generic',
    overlayImage: 'siderolabs/sbc-raspberrypi',
    label: 'Raspberry Pi Series',
    documentation: `${DOCS}/rpi_generic`,
  },
  {
    name: 'revpi_generic',
    overlayName: 'revpi_generic',
    overlayImage: 'siderolabs/sbc-raspberrypi',
    label: 'Revolution Pi Series',
    minVersion: '1.10.0-beta.0',
  },
  {
    name: 'bananapi_m64',
    overlayName: 'bananapi_m64',
    overlayImage: 'siderolabs/sbc-allwinner',
    label: 'Banana Pi M64',
    documentation: `${DOCS}/bananapi_m64`,
  },
  {
    name: 'nanopi_r4s',
    overlayName: 'nanopi-r4s',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Friendlyelec Nano PI R4S',
    minVersion: '1.3.0',
    documentation: `${DOCS}/nanopi_r4s`,
  },
  {
    name: 'nanopi_r5s',
    overlayName: 'nanopi-r5s',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Friendlyelec Nano PI R5S',
    minVersion: '1.8.0-alpha.2',
  },
  {
    name: 'jetson_nano',
    overlayName: 'jetson_nano',
    overlayImage: 'siderolabs/sbc-jetson',
    label: 'Jetson Nano',
    documentation: `${DOCS}/jetson_nano`,
  },
  {
    name: 'libretech_all_h3_cc_h5',
    overlayName: 'libretech_all_h3_cc_h5',
    overlayImage: 'siderolabs/sbc-allwinner',
    label: 'Libre Computer Board ALL-H3-CC',
    documentation: `${DOCS}/libretech_all_h3_cc_h5`,
  },
  {
    name: 'orangepi_r1_plus_lts',
    overlayName: 'orangepi-r1-plus-lts',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Orange Pi R1 Plus LTS',
    minVersion: '1.7.0',
    documentation: `${DOCS}/orangepi_r1_plus_lts`,
  },
  {
    name: 'pine64',
    overlayName: 'pine64',
    overlayImage: 'siderolabs/sbc-allwinner',
    label: 'Pine64',
    documentation: `${DOCS}/pine64`,
  },
  {
    name: 'rock64',
    overlayName: 'rock64',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Pine64 Rock64',
    documentation: `${DOCS}/rock64`,
  },
  {
    name: 'rock4cplus',
    overlayName: 'rock4cplus',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa ROCK 4C Plus',
    minVersion: '1.7.0',
    documentation: `${DOCS}/rock4cplus`,
  },
  {
    name: 'rock4se',
    overlayName: 'rock4se',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa ROCK 4SE',
    minVersion: '1.8.0-alpha.1',
  },
  {
    name: 'rock5a',
    overlayName: 'rock5a',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa ROCK 5A',
    minVersion: '1.10.0-beta.0',
    documentation: `${DOCS}/rock5b`,
  },
  {
    name: 'rock5b',
    overlayName: 'rock5b',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa ROCK 5B',
    minVersion: '1.9.2',
    documentation: `${DOCS}/rock5b`,
  },
  {
    name: 'rockpi_4',
    overlayName: 'rockpi4',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa ROCK PI 4',
    documentation: `${DOCS}/rockpi_4`,
  },
  {
    name: 'rockpi_4c',
    overlayName: 'rockpi4c',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa ROCK PI 4C',
    documentation: `${DOCS}/rockpi_4c`,
  },
  {
    name: 'helios64',
    overlayName: 'helios64',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Kobol Helios64',
    minVersion: '1.8.0-alpha.2',
  },
  {
    name: 'turingrk1',
    overlayName: 'turingrk1',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Turing RK1',
    minVersion: '1.9.0-beta.0',
    documentation: `${DOCS}/turing_rk1`,
  },
  {
    name: 'orangepi-5',
    overlayName: 'orangepi-5',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Orange Pi 5',
    minVersion: '1.9.2',
    documentation: `${DOCS}/orangepi_5`,
  },
  {
    name: 'orangepi-5-plus',
    overlayName: 'orangepi-5-plus',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Orange Pi 5 Plus',
    minVersion: '1.10.0-beta.0',
  },
  {
    name: 'rockpro64',
    overlayName: 'rockpro64',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Pine64 RockPro64',
    minVersion: '1.10.0-beta.0',
  },
  {
    name: 'odroid-m1',
    overlayName: 'odroid-m1',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Odroid M1',
    minVersion: '1.12.0-beta.0',
  },
  {
    name: 'radxa-zero-3e',
    overlayName: 'radxa-zero-3e',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Radxa Zero 3E',
    minVersion: '1.12.0-beta.0',
  },
  {
    name: 'rock3b',
    overlayName: 'rock3b',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Rock 3B',
    minVersion: '1.12.0-beta.0',
  },
  {
    name: 'orangepi-5-max',
    overlayName: 'orangepi-5-max',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Orange Pi 5 Max',
    minVersion: '1.12.0-beta.0',
  },
  {
    name: 'rock5t',
    overlayName: 'rock5t',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Rock 5T',
    minVersion: '1.12.0-beta.0',
  },
  {
    name: 'friendlyelec-cm3588-nas',
    overlayName: 'friendlyelec-cm3588-nas',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'FriendlyELEC CM3588 NAS',
    minVersion: '1.13.0-alpha.1',
  },
  {
    name: 'rock5b-plus',
    overlayName: 'rock5b-plus',
    overlayImage: 'siderolabs/sbc-rockchip',
    label: 'Rock 5B Plus',
    minVersion: '1.13.0-alpha.1',
  },
];

/** What a release offers, in the order of `BOARDS`. */
export function boardsOf(version: TalosVersion): readonly Board[] {
  return BOARDS.filter((board) => isAtLeast(version, board.minVersion));
}
