#!/usr/bin/env bash
# Creates .venv in the checkout: the environment `base` with Practicum's packages in editable mode.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(tools/ensure-env.sh base "$PWD/.venv")
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --no-build-isolation \
  -e platform/core -e platform/runtime -e jobs -e services/gateway -e platform/cli
