#!/usr/bin/env bash
# Pushes images that tools/images/build.sh built to the registry in their names, with the same engine.
#
#   PRACTICUM_REGISTRY=registry.example/llm PRACTICUM_TAG=0.1.0 tools/images/push.sh [NAME ...] [-- OPTION ...]
#
# Options are those of `docker push` or `buildah push`. The variables are those of build.sh.
set -euo pipefail
# shellcheck source=tools/images/engine.sh
. "$(dirname "$0")/engine.sh"
choose_engine

names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do names+=("$1") && shift; done
[ $# -eq 0 ] || shift
[ ${#names[@]} -gt 0 ] || names=(base train quantize serve gateway controller)
for name in "${names[@]}"; do
  case $engine in
    docker) docker push "$@" "$(get_image "$name")" ;;
    buildah) run_buildah push "$@" "$(get_image "$name")" ;;
  esac
done
