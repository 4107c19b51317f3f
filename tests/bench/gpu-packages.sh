#!/usr/bin/env bash
# Gathers what the GPU bench imports and a machine with torch, transformers, peft and accelerate lacks, for Python 3.12
# on x86-64, with the versions and hashes of the lock. The folder (16 MiB) travels with the tree; nothing is installed
# on that machine:
#
#   tests/bench/gpu-packages.sh                                                       here, with a package index
#   PRACTICUM_BENCH_PACKAGES=build/gpu-packages tests/bench/bench-gpu.sh --size half-billion    there, without
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-build/gpu-packages}
names='annotated-types|datasets|dill|multiprocess|pydantic|pydantic-core|trl|typing-extensions|typing-inspection'
uv=$(tools/ensure-env.sh uv)/bin/uv
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
awk -v names="^($names)==" '/^[a-z]/ { keep = $1 ~ names } keep' requirements/train.txt >"$pins"
rm -rf "$folder"
"$uv" pip install --quiet --target "$folder" --python-version 3.12 --python-platform x86_64-manylinux_2_28 \
  --only-binary :all: --no-deps --require-hashes -r "$pins"
du -sh "$folder"
