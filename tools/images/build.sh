#!/usr/bin/env bash
# Builds the images of images/: practicum-base, -train, -quantize, -serve, -gateway and -controller.
#
#   tools/images/build.sh [NAME ...]
#
# Variables: PRACTICUM_REGISTRY (localhost), PRACTICUM_TAG (dev), PRACTICUM_BASE_IMAGE (docker: debian:bookworm-slim;
# buildah: a root file system made here by debootstrap), PRACTICUM_IMAGE_ENGINE (docker or buildah).
set -euo pipefail
# shellcheck source=tools/images/engine.sh
. "$(dirname "$0")/engine.sh"
choose_engine
cd "$root"

ensure_base_image() {
  local archive image
  archive=$("$root/tools/images/ensure-os.sh")
  image=localhost/practicum-os:$(basename "$archive" .tar)
  if ! run_buildah image exists "$image" 2>/dev/null && ! run_buildah inspect --type image "$image" >/dev/null 2>&1; then
    local container
    container=$(run_buildah from scratch)
    run_buildah add --quiet "$container" "$archive" / >/dev/null
    run_buildah config --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin --cmd bash "$container"
    run_buildah commit --quiet --rm "$container" "$image" >/dev/null
  fi
  echo "$image"
}

list_code_arguments() {
  local commit state=""
  commit=$(git rev-parse HEAD 2>/dev/null) || return 0
  # The same fields as on a laptop, so that evidence from a pod and from a laptop names the same state of a checkout.
  [ -n "$(git status --porcelain 2>/dev/null)" ] && state=dirty
  echo "--build-arg COMMIT=$commit --build-arg COMMIT_STATE=$state"
}

build_with_docker() {
  local base=()
  [ -n "${PRACTICUM_BASE_IMAGE:-}" ] && base=(--build-arg "BASE_IMAGE=$PRACTICUM_BASE_IMAGE")
  # shellcheck disable=SC2046 # a list of words is meant
  DOCKER_BUILDKIT=1 docker build --quiet --file "images/$1/Dockerfile" --tag "$(get_image "$1")" "${base[@]}" \
    $(list_code_arguments) . >/dev/null
}

build_with_buildah() {
  local wheels=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv} volumes=()
  mkdir -p "$wheels"
  # Mount the machine's wheel cache, to download nothing twice, and its certificate authorities, to trust its proxy.
  volumes=(--volume "$wheels:/var/cache/wheels")
  [ -f "${SSL_CERT_FILE:-}" ] && volumes+=(--volume "$SSL_CERT_FILE:/etc/ssl/certs/ca-certificates.crt:ro")
  # shellcheck disable=SC2046 # a list of words is meant
  run_buildah build --quiet --layers --isolation chroot --network host --file "images/$1/Dockerfile" \
    --tag "$(get_image "$1")" --build-arg "BASE_IMAGE=${PRACTICUM_BASE_IMAGE:-$base_image}" \
    --build-arg UV_CACHE=/var/cache/wheels "${volumes[@]}" $(list_code_arguments) . >/dev/null
}

[ $# -gt 0 ] || set -- base train quantize serve gateway controller
if [ "$engine" = buildah ]; then
  mkdir -p "$cache/locks"
  exec 8>"$cache/locks/images.lock"
  flock 8
  base_image=${PRACTICUM_BASE_IMAGE:-$(ensure_base_image)}
fi
for name; do
  started=$SECONDS
  "build_with_$engine" "$name"
  echo "$(get_image "$name") ($((SECONDS - started)) s, $engine)"
done
# Remove what builds that failed left, replaced images and layers that no image uses; keep the base of the next build.
[ "$engine" != buildah ] || { run_buildah rm --all >/dev/null && run_buildah rmi --prune >/dev/null; }
