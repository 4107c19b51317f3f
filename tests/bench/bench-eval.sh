#!/usr/bin/env bash
# An evaluation: speed of its statistics, and of its answers by vLLM beside the bare engine and lm-evaluation-harness.
set -euo pipefail
cd "$(dirname "$0")/../.."
PRACTICUM_MODEL_PACKAGE=$(tools/ensure-model.sh)
export PRACTICUM_MODEL_PACKAGE
PYTHONPATH=platform/core/src:platform/runtime/src:jobs/src exec "$(tools/ensure-env.sh serve)/bin/python" tests/bench/bench_eval.py "$@"
