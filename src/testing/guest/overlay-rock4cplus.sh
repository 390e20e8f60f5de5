#!/bin/sh
# Overlay installer of the sandbox board rock4cplus: U-Boot between the protective MBR and the moved GPT entries.
set -eu
input=$(cat)
value() { printf '%s\n' "$input" | sed -n "s/^ *$1: *//p" | sed 's/^"\(.*\)"$/\1/' | head -n 1; }

[ -n "$input" ] || { echo "no options on standard input" >&2; exit 1; }
case ${1:-} in
  get-options)
    printf 'name: rock4cplus\nkernelArgs:\n  - console=tty0\n  - console=ttyS2,1500000n8\n'
    printf '  - sysctl.kernel.kexec_load_disabled=1\n  - talos.dashboard.disabled=1\n'
    printf 'partitionOptions:\n  offset: 20480\n'
    ;;
  install)
    artifacts=$(value artifactsPath)
    dd if="$artifacts"/arm64/u-boot/rock4cplus/u-boot-rockchip.bin of="$(value installDisk)" \
      bs=32768 seek=1 conv=notrunc 2>/dev/null
    trees=$(value mountPrefix)/boot/EFI/dtb/rockchip
    mkdir -p "$trees"
    cp "$artifacts"/arm64/dtb/rockchip/rk3399-rock-4c-plus.dtb "$trees"/
    ;;
  *)
    echo "unknown command: ${1:-none}" >&2
    exit 1
    ;;
esac
