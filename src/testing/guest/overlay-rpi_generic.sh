#!/bin/sh
# Overlay installer of the sandbox board rpi_generic: files for the ESP, no raw writes.
# Reads the few shapes of YAML that its callers write: plain or quoted scalars and literal blocks.
set -eu
input=$(cat)

# The value of a key at any depth; a literal block (`|`) loses the indentation of its first line.
value() {
  printf '%s\n' "$input" | awk -v key="$1" '
    block { if ($0 ~ /^ *$/) { print ""; next }
            match($0, /^ */); if (depth == 0) depth = RLENGTH
            if (RLENGTH < depth) exit
            print substr($0, depth + 1); next }
    { line = $0; sub(/^ +/, "", line) }
    index(line, key ":") == 1 {
      sub(/^[^:]*: */, "", line)
      if (line ~ /^\|/) { block = 1; next }
      if (line ~ /^".*"$/) { line = substr(line, 2, length(line) - 2); gsub(/\\n/, "\n", line); gsub(/\\"/, "\"", line) }
      else if (line ~ /^\047.*\047$/) { line = substr(line, 2, length(line) - 2); gsub(/\047\047/, "\047", line) }
      print line; exit }'
}

[ -n "$input" ] || { echo "no options on standard input" >&2; exit 1; }
case ${1:-} in
  get-options)
    printf 'name: rpi_generic\nkernelArgs:\n  - console=tty0\n  - console=ttyAMA0,115200\n'
    printf '  - sysctl.kernel.kexec_load_disabled=1\n  - talos.dashboard.disabled=1\n'
    board=$(value board)
    [ -z "$board" ] || printf '  - sandbox.board=%s\n' "$board"
    ;;
  install)
    artifacts=$(value artifactsPath)
    esp=$(value mountPrefix)/boot/EFI
    mkdir -p "$esp"
    cp -R "$artifacts"/arm64/firmware/boot/. "$esp"/
    cp "$artifacts"/arm64/u-boot/rpi_generic/u-boot.bin "$esp"/u-boot.bin
    config=$(value configTxt)
    [ -n "$config" ] || config=$(printf 'arm_64bit=1\nkernel=u-boot.bin')
    printf '%s\n' "$config" >"$esp"/config.txt
    extra=$(value configTxtAppend)
    [ -z "$extra" ] || printf '%s\n' "$extra" >>"$esp"/config.txt
    ;;
  *)
    echo "unknown command: ${1:-none}" >&2
    exit 1
    ;;
esac
