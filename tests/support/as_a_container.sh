#!/bin/bash
# Start a command as a container would: a read-only root, an ordinary user without capabilities and without a way to
# new privileges, a /tmp of its own in memory, and the folders that are named. Needs root; run by `unshare --mount`.
#
#   as_a_container.sh NEWROOT UID:GID TMPFS_OPTIONS [--see FOLDER]... [--write HOST:INSIDE]... -- COMMAND...
set -euo pipefail
new=$1 user=${2%:*} group=${2#*:} tmpfs=$3
shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$new"
for entry in /*; do
  if [ -L "$entry" ]; then
    cp --no-dereference "$entry" "$new$entry"
  elif [ -d "$entry" ] && [ "$entry" != /tmp ] && [ "$entry" != /root ]; then
    mkdir "$new$entry"
    mount --rbind "$entry" "$new$entry"
    case $entry in /dev | /proc | /sys) ;; *) mount -o remount,ro,bind "$new$entry" ;; esac
  fi
done
mkdir "$new/tmp" "$new/root"
mount -t tmpfs -o "$tmpfs" tmpfs "$new/tmp"
while [ "$1" != -- ]; do
  case $1 in
    --see)
      if [ ! -e "$new$2" ]; then # it is in /tmp or in a home that others cannot enter
        mkdir --parents "$new$2"
        mount --bind "$2" "$new$2"
        mount -o remount,ro,bind "$new$2"
      fi
      ;;
    --write)
      host=${2%:*} inside=${2#*:}
      mkdir --parents "$new$inside"
      chown "$user:$group" "$host"
      mount --bind "$host" "$new$inside"
      ;;
  esac
  shift 2
done
shift
mount -o remount,ro "$new"
exec chroot "$new" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all "$@"
