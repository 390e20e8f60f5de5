#!/bin/sh
# Becomes the first process of namespaces made by unshare(1): builds a root of its own, in which an overlay's
# installer sees the system's programs, its image's files and its scratch directory, and can write to the last alone.
#
#   sandbox.sh ROOT WORK OVERLAY PROGRAM ARGUMENT...
#
# ROOT is an empty directory; WORK becomes /work, and WORK/tmp also /tmp; OVERLAY becomes /overlay, or is empty.
# Says "ready" on descriptor 3 when nothing of the host can be written any more, then executes PROGRAM in /work.
set -eu
umask 022
new=$1 work=$2 overlay=$3
shift 3

# The same machine everywhere.
hostname localhost

mount -t tmpfs -o size=512k,nr_inodes=256,mode=0755,nosuid,nodev tmpfs "$new"
mkdir "$new/usr" "$new/etc" "$new/dev" "$new/work" "$new/tmp" "$new/overlay" "$new/old"
ln -s old/proc "$new/proc"

# Recursive, since a mount that was made by someone mightier cannot be taken without what is mounted below it.
mount --rbind /usr "$new/usr"
for directory in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$directory" ]; then
    ln -s "$(readlink "/$directory")" "$new/$directory"
  elif [ -d "/$directory" ]; then
    mkdir "$new/$directory"
    mount --rbind "/$directory" "$new/$directory"
  fi
done
# Where the links of Debian's awk and others lead.
if [ -d /etc/alternatives ]; then
  mkdir "$new/etc/alternatives"
  mount --rbind /etc/alternatives "$new/etc/alternatives"
fi
mount --rbind "$overlay" "$new/overlay"

# Everything is read-only from here on: the mounts just made, those that came with them, and the root last.
# mountinfo writes blanks and backslashes in octal (proc(5)).
while read -r _ _ _ _ point _; do
  case $point in *\\*) point=$(printf '%s' "$point" | sed 's/\\/\\0/g') && point=$(printf '%b' "$point") ;; esac
  case $point in
    "$new") ;;
    "$new"/*) mount -o remount,bind,ro,nosuid,nodev "$point" ;;
  esac
done </proc/self/mountinfo

for device in null zero full random urandom; do
  : >"$new/dev/$device"
  mount --bind "/dev/$device" "$new/dev/$device"
done
mount --bind "$work" "$new/work"
mount -o remount,bind,nosuid,nodev,noexec "$new/work"
mount --bind "$work/tmp" "$new/tmp"
mount -o remount,bind,nosuid,nodev,noexec "$new/tmp"
mount -o remount,bind,ro,nosuid,nodev "$new"

# umount(8) wants /proc, which goes with the rest.
pivot_root "$new" "$new/old"
cd /work
umount --lazy /old

echo ready >&3
exec 3>&-
exec "$@"
