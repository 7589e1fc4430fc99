#!/bin/sh
# Runs as root while the container image is built: creates the folders that the service writes to.
set -eu
mkdir -p /models /jobs /tmp/transcription
chown bentoml:bentoml /models /jobs /tmp/transcription
