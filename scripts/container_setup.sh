#!/bin/sh
# Runs as root while the container image is built: folders that the service writes to, owned by its user.
set -eu
mkdir -p /models /jobs /tmp/transcription
chown bentoml:bentoml /models /jobs /tmp/transcription
