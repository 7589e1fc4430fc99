#!/bin/sh
# Build the chart renderer into the folder $1, with the Debian packages of Go and of Helm's template functions.
# --no-install: fail if those packages are missing instead of installing them.
set -eu
folder=$1
packages="golang-go golang-github-masterminds-sprig-dev golang-github-ghodss-yaml-dev"
sources=$(cd "$(dirname "$0")/render_chart" && pwd)
if ! { command -v go && [ -d /usr/share/gocode/src/github.com/Masterminds/sprig ] \
    && [ -d /usr/share/gocode/src/github.com/ghodss/yaml ]; } >/dev/null; then
  [ "${2:-}" != --no-install ] || { echo "Debian packages are missing: $packages. Run make tools." >&2; exit 3; }
  # shellcheck disable=SC2086  # a list
  "$(dirname "$0")/get_packages.sh" $packages
fi
mkdir -p "$folder"
cd "$sources"
GO111MODULE=off CGO_ENABLED=0 GOFLAGS= GOPATH=/usr/share/gocode go build -o "$folder/render_chart" main.go
