#!/bin/sh
# Install Debian packages, with fresh lists where the machine has none or old ones. Needs root.
set -eu
command -v apt-get >/dev/null || { echo "$* come from Debian's packages, and there is no apt-get here" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install --yes --quiet --no-install-recommends "$@"; }
install "$@" || { apt-get --quiet update && install "$@"; }
