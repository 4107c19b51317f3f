#!/usr/bin/env bash
# Makes the environment NAME from requirements/NAME.txt on first use and prints its folder.
#
#   tools/ensure-env.sh NAME [FOLDER]
#
# Without FOLDER the environment is cached under a key of its lock's SHA-256, so that all checkouts
# with the same lock share it and a changed lock creates a new one. `practicum` makes stage
# environments the same way (platform/cli, environments.py); both agree on folder, key and lock file.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${PRACTICUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/practicum}
name=$1
lock=$root/requirements/$name.txt
key=$(sha256sum "$lock" | cut -c1-12)
folder=${2:-$cache/envs/$name-$key}

# A folder is complete if it contains the key of its lock; after an interrupted installation it does not.
is_whole() { [ "$(cat "$folder/.practicum-lock" 2>/dev/null)" = "$key" ]; }

ensure_uv() {
  local uv_lock=$root/requirements/uv.txt uv_folder
  uv_folder=$cache/uv-$(sha256sum "$uv_lock" | cut -c1-12)
  if [ ! -x "$uv_folder/bin/uv" ]; then
    local partial
    partial=$(mktemp -d "$cache/uv-partial.XXXXXX")
    "${PYTHON:-python3}" -m venv "$partial"
    "$partial/bin/pip" install --quiet --require-hashes --no-deps -r "$uv_lock"
    mv -T "$partial" "$uv_folder" 2>/dev/null || rm -rf "$partial"
  fi
  echo "$uv_folder/bin/uv"
}

is_whole && { echo "$folder"; exit 0; }
mkdir -p "$cache/envs" "$cache/locks"
exec 9>"$cache/locks/$name-$key.lock"
flock 9
is_whole && { echo "$folder"; exit 0; }

uv=$(ensure_uv)
echo "setting up the environment '$name' ($(grep -c '==' "$lock") packages)" >&2
rm -rf "$folder"
UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --python "${PYTHON:-python3}" "$folder" >&2
"$uv" pip sync --quiet --require-hashes --python "$folder/bin/python" "$lock" >&2
echo "$key" >"$folder/.practicum-lock"
echo "$folder"
