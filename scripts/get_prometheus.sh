#!/bin/sh
# Extract prometheus and promtool from the Debian package prometheus into the folder $1, without installing a service.
set -eu
folder=$1
command -v apt-get >/dev/null || { echo "apt-get is not available; prometheus is taken from its Debian package" >&2; exit 1; }
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
cd "$unpacked"
if ! apt-get --quiet download prometheus; then
  apt-get --quiet update
  apt-get --quiet download prometheus
fi
dpkg -x prometheus_*.deb .
mkdir -p "$folder"
cp usr/bin/promtool usr/bin/prometheus "$folder/"
