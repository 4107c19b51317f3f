#!/usr/bin/env bash
# Makes .venv at the checkout's root: the environment `base` with Practicum's own packages installed in place.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(tools/ensure-env.sh base "$PWD/.venv")
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --no-build-isolation \
  -e platform/core -e platform/runtime -e jobs -e platform/cli
