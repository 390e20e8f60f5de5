/** Names that official extensions had before, and what to look for when the old name is gone (`spec/profile.md` §3.1). */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['siderolabs/v4l-uvc', 'siderolabs/v4l-uvc-drivers'],
  ['siderolabs/usb-modem', 'siderolabs/usb-modem-drivers'],
  ['siderolabs/gasket', 'siderolabs/gasket-driver'],
  ['siderolabs/talos-vmtoolsd', 'siderolabs/vmtoolsd-guest-agent'],
  ['siderolabs/xe-guest-utilities', 'siderolabs/xen-guest-agent'],
  ['siderolabs/nvidia-container-toolkit', 'siderolabs/nvidia-container-toolkit-lts'],
  ['siderolabs/nvidia-open-gpu-kernel-modules', 'siderolabs/nvidia-open-gpu-kernel-modules-lts'],
  ['siderolabs/nonfree-kmod-nvidia', 'siderolabs/nonfree-kmod-nvidia-lts'],
  ['siderolabs/nvidia-fabricmanager', 'siderolabs/nvidia-fabric-manager-lts'],
  ['siderolabs/i915-ucode', 'siderolabs/i915'],
  ['siderolabs/amdgpu-firmware', 'siderolabs/amdgpu'],
]);

/** The name tried second; one step only, from old to new. */
export function extensionAlias(name: string): string | undefined {
  return ALIASES.get(name);
}
