#!/bin/bash
# Build the image without Docker, start it as deploy/compose/single.yaml says, transcribe with it, and stop it with a job
# in progress; then start it with the command in README.md, and as the cluster of deploy/compose/cluster.yaml. Needs root
# and Debian's packages, which it installs; everything it makes is under build/image-test.
#
# The base image, python:3.11-slim, comes from a registry otherwise. Here it is Debian with its own Python 3.11, and the
# image of Redis is Debian with its Redis.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "Not run: image-test needs root, for debootstrap and podman." >&2; exit 1; }
scripts/get_packages.sh buildah podman runc conmon catatonit netavark aardvark-dns iptables debootstrap >/dev/null

root=$PWD/build/image-test
base=localhost/python:3.11-slim
compose_version=1.6.0
stop_limit=10 # seconds; Docker's default before it kills
mkdir -p "$root/site"
limit=$(ulimit -Hn)
cat >"$root/containers.conf" <<END
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=$limit:$limit", "nproc=4096:4096"]
END
cat >"$root/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$root/storage"
runroot = "$root/run"
END
export CONTAINERS_CONF=$root/containers.conf CONTAINERS_STORAGE_CONF=$root/storage.conf

if ! podman image exists "$base"; then
  debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$root/base" \
    >"$root/debootstrap.log"
  # python:3.11-slim has none of these either.
  rm -rf "$root"/base/var/cache/apt/archives "$root"/base/var/lib/apt/lists "$root"/base/usr/share/{doc,man,locale,info}
  # pip refuses Debian's own Python otherwise; uv otherwise brings its own certificates.
  tar -C "$root/base" -c . | podman import --change 'ENV PIP_BREAK_SYSTEM_PACKAGES=1' \
    --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' - "$base" >/dev/null 2>&1
fi

rm -rf "$root/bentoml"
BENTOML_HOME=$root/bentoml .venv/bin/bentoml build >"$root/bento.log" 2>&1
bento=$(echo "$root"/bentoml/bentos/transcription/*/)
echo "building the image; $root/build.log has the steps"
buildah bud --isolation chroot --network host --pull-never --layers --volume /etc/ssl/certs:/etc/ssl/certs:ro \
  --tag transcription:latest -f "$bento/env/docker/Dockerfile" "$bento" >"$root/build.log" 2>&1
podman image list --format 'image: {{.Repository}} {{.Size}}'

[ -x "$root/compose/bin/podman-compose" ] || {
  python3 -m venv "$root/compose"
  "$root/compose/bin/pip" install --quiet --disable-pip-version-check "podman-compose==$compose_version"
}
cp deploy/compose/single.yaml deploy/compose/cluster.yaml "$root/site/"
echo WHISPER_MODEL=demo >"$root/site/transcription.env"
# runc may not raise limits above those of this machine, and podman leaves health checks to systemd.
cat >"$root/site/here.yaml" <<END
services:
  transcription:
    ulimits: {nofile: $limit, nproc: 4096}
    healthcheck: {disable: true}
END
files=(-f single.yaml -f here.yaml)
run_compose() { "$root/compose/bin/podman-compose" "${files[@]}" "$@" >>"$root/compose.log" 2>&1; }
url=http://127.0.0.1:3000
wait_until_ready() { curl --silent --fail --retry 60 --retry-delay 1 --retry-all-errors --output /dev/null "$url/health/ready"; }
readme=$(sed -n 's/^docker run /podman run --detach --name readme --env WHISPER_MODEL=demo /p' README.md)
cd "$root/site"
trap 'run_compose down --volumes || true; podman rm --force --ignore readme >/dev/null || true' EXIT
run_compose up --detach
container=$(podman ps --quiet --filter name=transcription_transcription)
wait_until_ready
echo "ready"

words="the meeting starts at ten on monday"
sample=$OLDPWD/samples/en-meeting.mp3
curl --silent --fail --form "file=@$sample" --form response_format=text "$url/transcribe" | grep --quiet "$words"
echo "transcribed"
complete_a_job() {
  local job
  job=$(curl --silent --fail --form "file=@$sample" --form async=true --form language=en "$url/transcribe" |
    sed 's/.*"job_id": *"\([^"]*\)".*/\1/')
  curl --silent --fail --retry 60 --retry-delay 1 --retry-all-errors "$url/jobs/$job/result?response_format=text" |
    grep --quiet "$words"
}
refuse_warnings() { # in the log of a container
  if podman logs "$1" 2>&1 | grep -E '"level": "(WARNING|ERROR|CRITICAL)"'; then
    echo "The log of $1 has the lines above." >&2
    exit 1
  fi
}
complete_a_job
echo "a job is completed"
refuse_warnings "$container"

head --bytes 60000000 /dev/urandom >"$root/noise.raw"
python3 - "$root/noise.raw" "$root/noise.wav" <<'END'
import sys, wave

with wave.open(sys.argv[2], "wb") as sound, open(sys.argv[1], "rb") as noise:
    sound.setparams((1, 2, 16000, 0, "NONE", ""))
    sound.writeframes(noise.read())
END
curl --silent --fail --form "file=@$root/noise.wav" --form async=true --form vad_filter=false --output /dev/null \
  "$url/transcribe"
sleep 3
started=$(date +%s)
podman stop --time 60 "$container" >/dev/null 2>&1
seconds=$(($(date +%s) - started))
echo "stopped with a job in progress: $seconds s"
[ "$seconds" -lt "$stop_limit" ]

eval "$readme" >/dev/null
wait_until_ready
curl --silent --fail --form "file=@$sample" --form response_format=text "$url/transcribe" | grep --quiet "$words"
podman rm --force readme >/dev/null
podman volume rm transcription-models transcription-jobs >/dev/null
echo "transcribed by the command in README.md"

run_compose down --volumes
redis=docker.io/library/$(sed -n 's/^ *image: \(redis:.*\)/\1/p' cluster.yaml)
if ! podman image exists "$redis"; then
  debootstrap --variant=minbase --include=redis-server bookworm "$root/redis-root" >"$root/debootstrap-redis.log"
  rm -rf "$root/redis-root/etc/redis" # Debian's, which another user may not read
  install --directory --owner 999 --group 1000 "$root/redis-root/data" # the image's user redis
  tar -C "$root/redis-root" -c . | podman import - "$redis" >/dev/null 2>&1
fi
mkdir -p "$root/redis"
cp "$OLDPWD/deploy/redis/redis.conf" "$root/redis/"
printf '%s\n' REDIS_PASSWORD=secret GRAFANA_PASSWORD=secret >.env
{
  echo "services:"
  for name in api worker exporter; do
    cat <<END
  $name:
    ulimits: {nofile: $limit, nproc: 4096}
    healthcheck: {disable: true}
    depends_on: {redis: {condition: service_started}}
END
  done
  echo "  redis: {healthcheck: {disable: true}}"
} >here-cluster.yaml
files=(-f cluster.yaml -f here-cluster.yaml)
run_compose up --detach redis api worker exporter
wait_until_ready
complete_a_job
figures='import urllib.request as u; print(u.urlopen("http://127.0.0.1:9090/metrics", timeout=5).read().decode())'
podman exec transcription-cluster_exporter_1 python -c "$figures" |
  grep '^transcription_stored_jobs{.*completed.* 1' >/dev/null
for name in api worker exporter; do refuse_warnings "transcription-cluster_${name}_1"; done
echo "a job is completed by the cluster"
