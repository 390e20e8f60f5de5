#!/bin/sh
# What `make test` and `make demo` need on a Debian machine. Says nothing and changes nothing when all is there.
set -eu
cd "$(dirname "$0")/.."

# Programs that the factory runs.
runtime='grub-common grub-efi-amd64-bin grub-pc-bin kmod xz-utils'
# What the sandbox release is made with.
sandbox='ca-certificates cpio debian-archive-keyring squashfs-tools zstd'
# Machines to boot.
machines='ipxe-qemu mtools ovmf qemu-efi-aarch64 qemu-system-arm qemu-system-x86 qemu-utils'
# Independent judges of what the tests write.
judges='binutils busybox-static curl docker-registry dosfstools fdisk file gdisk openssl procps python3 sbsigntool skopeo xfsprogs xorriso'

missing=
for package in $runtime $sandbox $machines $judges; do
  case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
    installed) ;;
    *) missing="$missing $package" ;;
  esac
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "packages are missing; as root: apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  echo "installing:$missing" >&2
  apt-get -qq update
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi

if ! command -v npm >/dev/null; then
  echo 'npm is missing: install Node.js 20 or later with npm (https://nodejs.org/en/download)' >&2
  exit 1
fi

# node_modules is as package-lock.json says when npm's own record of it has the same versions.
current() {
  node -e '
    const read = (path) => JSON.parse(require("node:fs").readFileSync(path, "utf8")).packages;
    const wanted = read("package-lock.json");
    const there = read("node_modules/.package-lock.json");
    for (const [path, { version, optional }] of Object.entries(wanted)) {
      if (path !== "" && !optional && there[path]?.version !== version) process.exit(1);
    }' 2>/dev/null
}
if ! current; then
  echo 'installing the packages of package-lock.json' >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
fi

# The package `node` brings its binary by an install script, which npm may have been told not to run.
new_enough() {
  [ -x node_modules/.bin/node ] && node_modules/.bin/node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 24 || (major === 24 && minor >= 15) ? 0 : 1)' 2>/dev/null
}
if ! new_enough; then
  (cd node_modules/node && node installArchSpecificPackage.js) >/dev/null 2>&1 || true
  if ! new_enough; then
    echo 'node_modules/.bin/node is not Node.js 24.15 or later: remove node_modules and run' >&2
    echo '"npm ci" with install scripts allowed, or put a Node.js 24 on the PATH and link it there' >&2
    exit 1
  fi
fi
