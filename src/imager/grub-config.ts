import { type TalosVersion, versionTag } from '../talos/version.ts';

/** Characters that GRUB's shell gives a meaning to; the backslash is one (`spec/outputs-disk.md` §4.2). */
const SPECIAL = /[\\{}&$|;<>"]/g;

/** A kernel command line as it stands in a GRUB menu. */
export function quoteGrub(text: string): string {
  return text.replaceAll(SPECIAL, '\\$&');
}

export interface GrubMenu {
  /** Not quoted. */
  readonly cmdline: string;
  /** Whether the menu offers to reset the installation. */
  readonly reset: boolean;
}

/** The menu of an ISO (`spec/outputs-iso.md` §2.1). */
export function isoGrubConfig(menu: GrubMenu): string {
  const cmdline = quoteGrub(menu.cmdline);
  const entry = (title: string, args: string): string =>
    `menuentry "${title}" {
\tset gfxmode=auto
\tset gfxpayload=text
\tlinux /boot/vmlinuz ${args}
\tinitrd /boot/initramfs.xz
}
`;
  const reset = menu.reset
    ? `\n${entry('Reset Talos installation', `${cmdline} talos.experimental.wipe=system`)}`
    : '';
  return `set default=0
set timeout=3

insmod all_video

terminal_input console
terminal_output console

${entry('Talos ISO', cmdline)}${reset}`;
}

/** The menu of a disk image (`spec/outputs-disk.md` §4.2), which Talos parses and writes anew on upgrades. */
export function diskGrubConfig(version: TalosVersion, menu: GrubMenu): string {
  const cmdline = quoteGrub(menu.cmdline);
  const title = `A - Talos ${versionTag(version)}`;
  const entry = (name: string, args: string): string =>
    `menuentry "${name}" {
  set gfxmode=auto
  set gfxpayload=text
  linux /A/vmlinuz ${args}
  initrd /A/initramfs.xz
}
`;
  const reset = menu.reset
    ? entry(
        'Reset Talos installation and return to maintenance mode',
        `${cmdline} talos.experimental.wipe=system:EPHEMERAL,STATE`,
      )
    : '';
  return `set default="${title}"

set timeout=3

insmod all_video

terminal_input console
terminal_output console

${entry(title, cmdline)}${reset}`;
}
