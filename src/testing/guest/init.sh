#!/lib/sandbox/busybox sh
# First process of the sandbox guest. Mounts the base root file system and the layers of /extensions.yaml as
# Talos does (overlayfs, layers in list order, base lowest), prints what it sees on the serial port and powers off.
# Every line that starts with "SANDBOX " is read by boot.ts; `%` escapes are those of `printable` below.

B=/lib/sandbox/busybox
$B mkdir -p /bin /proc /sys /dev /run /base /layers /root /merged
$B --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null

# The kernel's own messages would tear our lines apart when both use the serial port.
dmesg -n 1
# Metal command lines have no serial console from Talos 1.8 on, so the port is opened here whatever they say.
for port in ttyAMA0 ttyS0; do
  [ -c /dev/$port ] && { : >/dev/$port; } 2>/dev/null && exec >/dev/$port 2>&1 </dev/null && break
done
stty -F /dev/$port 115200 2>/dev/null

# One line of at most 400 characters: the first line of what it reads, without control characters.
printable() { head -n 1 | tr -d '\000-\010\013-\037\177' | cut -c 1-400; }
say() { printf '\nSANDBOX %s' "$*"; }
ask() { sed -n "s/^$2=//p" "$1" | tr -d '"'; }

# Kernel modules that are needed to see anything, in the order in which they depend on each other.
while read -r module; do insmod /lib/sandbox/modules/"$module"; done </lib/sandbox/modules/order

say "begin arch=$(uname -m) kernel=$(uname -r)"
mount -t squashfs -o loop,ro /rootfs.sqsh /base || say "error rootfs.sqsh does not mount"
say "version=$(ask /base/etc/os-release VERSION_ID)"
say "cmdline=$(printable </proc/cmdline)"
say "full-cmdline-bytes=$(wc -c </proc/cmdline)"

if [ -d /sys/firmware/efi ]; then
  say "boot=efi"
  vars=/sys/firmware/efi/efivars
  mount -t efivarfs efivarfs $vars 2>/dev/null
  # An EFI variable is four bytes of attributes and then its value; texts are UTF-16.
  text() { tail -c +5 "$1" | tr -d '\000' | printable; }
  for name in LoaderInfo LoaderEntrySelected StubInfo StubProfile; do
    for file in $vars/$name-*; do [ -f "$file" ] && say "efi $name=$(text "$file")"; done
  done
  for file in $vars/SecureBoot-*; do
    [ -f "$file" ] && say "efi SecureBoot=$(tail -c 1 "$file" | od -An -tu1 | tr -d ' ')"
  done
else
  say "boot=bios"
fi

# extensions.yaml as the image factory writes it: `- image:` opens a layer, and the first `name:` and `version:`
# after it are its metadata. Deeper ones (compatibility, the schematic inside extraInfo) come later.
lower=
if [ -f /extensions.yaml ]; then
  awk '
    { match($0, /^ */); depth = RLENGTH; line = $0; sub(/^ +/, "", line) }
    line ~ /^- image:/ && (top == "" || depth == top) {
      top = depth; sub(/^- image: */, "", line); image = line; name = ""; next }
    image != "" && name == "" && line ~ /^name:/ { sub(/^name: */, "", line); name = line; next }
    image != "" && name != "" && line ~ /^version:/ {
      sub(/^version: */, "", line); gsub(/["\047]/, "", line); gsub(/["\047]/, "", name)
      print image, name, line; image = "" }
  ' /extensions.yaml >/run/layers
  while read -r image name version; do
    say "layer image=$image name=$name version=$version"
    [ "$name" = schematic ] && say "schematic=$version"
    mkdir -p "/layers/$image"
    if mount -t squashfs -o loop,ro "/$image" "/layers/$image"; then
      lower="$lower/layers/$image:"
    else
      say "error layer $image does not mount"
    fi
  done </run/layers
fi

if [ -n "$lower" ]; then
  mount -t overlay -o "ro,lowerdir=$lower/base" overlay /merged || say "error overlay does not mount"
else
  mount -o bind /base /merged
fi
mount -o bind /proc /merged/proc
mount -o bind /sys /merged/sys
mount -o bind /dev /merged/dev

# What the extensions brought, read through the merged root.
for layer in /layers/*; do
  [ -d "$layer" ] || continue
  (cd "$layer" && find . -type f ! -name '*.ko*' ! -name 'modules.*' | sort | head -n 12) >/run/files
  while read -r file; do
    path=${file#.}
    if [ "$(wc -c <"/merged$path")" -le 200 ]; then
      say "file $path=$(printable <"/merged$path")"
    else
      say "file $path=sha256:$(sha256sum "/merged$path" | cut -d ' ' -f 1)"
    fi
  done </run/files
  (cd "$layer" && find . -type f -name '*.ko*' | sort | head -n 12) >/run/modules
  while read -r file; do
    module=$(basename "$file" | sed 's/\.ko.*//; s/-/_/g')
    said=$(chroot /merged /usr/bin/busybox modprobe "$module" 2>&1 | printable)
    if grep -q "^$module " /proc/modules; then say "module $module=loaded"; else say "module $module=failed: $said"; fi
  done </run/modules
done

# Firmware and microcode are in the initramfs itself, not in a layer.
for root in /lib/firmware /usr/lib/firmware; do
  [ -d $root ] || continue
  find $root \( -type f -o -type l \) | sort | head -n 24 >/run/firmware
  while read -r file; do say "firmware $file=$(sha256sum "$file" | cut -d ' ' -f 1)"; done </run/firmware
done
find /kernel -type f 2>/dev/null | sort >/run/microcode
while read -r file; do say "microcode $file=$(sha256sum "$file" | cut -d ' ' -f 1)"; done </run/microcode

# META by way of the command line: base64 of `0xa=..;0xb=..`, gzipped when it is long.
for argument in $(cat /proc/cmdline); do
  case $argument in talos.environment=INSTALLER_META_BASE64=*)
    printf %s "${argument#talos.environment=INSTALLER_META_BASE64=}" | base64 -d >/run/meta
    [ "$(od -An -tx1 -N2 /run/meta | tr -d ' ')" = 1f8b ] && { zcat </run/meta >/run/meta.text; mv /run/meta.text /run/meta; }
    tr ';' '\n' </run/meta >/run/meta.lines
    echo >>/run/meta.lines
    while read -r value; do [ -n "$value" ] && say "meta-argument $(printf %s "$value" | printable)"; done </run/meta.lines
    ;;
  esac
done

# META on disk: two equal blocks of 256 KiB, each the magic, then records (tag and length, 32 bits each, big-endian,
# and the value) up to tag 0, and near its end a SHA-256 of the block with the digest's own place zero.
hex() { tail -c +$(($2 + 1)) "$1" | head -c "$3" | od -An -v -tx1 | tr -d ' \n'; }
for uevent in /sys/class/block/*/uevent; do
  [ "$(ask "$uevent" PARTNAME)" = META ] || continue
  disk=/dev/$(ask "$uevent" DEVNAME)
  head -c 262144 "$disk" >/run/adv
  if [ "$(hex /run/adv 0 4)" != 5a4b3c2d ]; then
    say "meta-disk empty"
    continue
  fi
  { head -c 262108 /run/adv; head -c 32 /dev/zero; tail -c 4 /run/adv; } >/run/adv.zeroed
  digest=wrong
  [ "$(hex /run/adv 262108 32)" = "$(sha256sum /run/adv.zeroed | cut -d ' ' -f 1)" ] && digest=right
  copies=differ
  [ "$(tail -c +262145 "$disk" | head -c 262144 | sha256sum)" = "$(sha256sum </run/adv)" ] && copies=equal
  say "meta-disk digest=$digest copies=$copies"
  at=4
  while [ $at -lt 262100 ]; do
    tag=$((0x$(hex /run/adv $at 4)))
    [ "$tag" = 0 ] && break
    size=$((0x$(hex /run/adv $((at + 4)) 4)))
    say "meta $(printf '0x%x' "$tag")=$(tail -c +$((at + 9)) /run/adv | head -c "$size" | printable)"
    at=$((at + 8 + size))
  done
done

say "end"
printf '\n'
sleep 0.2
poweroff -f
