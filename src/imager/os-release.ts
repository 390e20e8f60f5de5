/**
 * The `.osrel` section of a unified kernel image (`spec/uki-secureboot.md` §2.1); systemd-boot shows
 * `PRETTY_NAME` in its menu. `tag` is the version with its `v`.
 */
export function osRelease(tag: string, name = 'Talos'): string {
  return `NAME="${name}"
ID=${name.toLowerCase().replaceAll(' ', '_')}
VERSION_ID=${tag}
PRETTY_NAME="${name} (${tag})"
HOME_URL="https://www.talos.dev/"
BUG_REPORT_URL="https://github.com/siderolabs/talos/issues"
VENDOR_NAME="Sidero Labs"
VENDOR_URL="https://www.siderolabs.com/"
`;
}
