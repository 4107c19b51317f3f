# Sourced by the scripts in this folder: chooses the engine that builds images.
# shellcheck shell=bash
#
# Docker if its daemon answers, else buildah as root, with its images in the cache. Sets `engine`, `cache`, `root`,
# `registry` and `tag`.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${PRACTICUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/practicum}
registry=${PRACTICUM_REGISTRY:-localhost}
tag=${PRACTICUM_TAG:-dev}
store=$cache/images/store

choose_engine() {
  if [ -n "${PRACTICUM_IMAGE_ENGINE:-}" ]; then
    engine=$PRACTICUM_IMAGE_ENGINE
  elif command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; then
    engine=docker
  elif command -v buildah >/dev/null && [ "$(id -u)" = 0 ]; then
    engine=buildah
  else
    echo "images are built by docker (its daemon running) or by buildah as root (Debian: apt-get install buildah debootstrap)" >&2
    exit 4
  fi
}

# Separate folders, so that other stores of this machine and files from before a reboot do not interfere.
run_buildah() {
  mkdir -p "$store/root" "$store/run"
  TMPDIR=$store BUILDAH_ISOLATION=chroot buildah --storage-driver overlay --root "$store/root" --runroot "$store/run" "$@"
}

get_image() { echo "$registry/practicum-$1:$tag"; }
