#!/bin/sh
# Install Debian packages; update the package lists if they are missing or outdated. Needs root.
set -eu
command -v apt-get >/dev/null || { echo "apt-get is not available; these Debian packages are needed: $*" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --yes --quiet --no-install-recommends "$@"; }
install "$@" || { apt-get --quiet update && install "$@"; }
