#!/bin/sh
# Unpack promtool of Debian's package prometheus into the folder $1, without installing the server.
set -eu
folder=$1
command -v apt-get >/dev/null || { echo "promtool comes from Debian's packages, and there is no apt-get here" >&2; exit 1; }
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
cd "$unpacked"
if ! apt-get --quiet download prometheus; then
  apt-get --quiet update
  apt-get --quiet download prometheus
fi
dpkg -x prometheus_*.deb .
mkdir -p "$folder"
cp usr/bin/promtool "$folder/promtool"
