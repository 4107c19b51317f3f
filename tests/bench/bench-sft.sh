#!/usr/bin/env bash
# Fine-tuning beside a bare TRL script: the same rows, the same settings, one after the other, medians.
set -euo pipefail
cd "$(dirname "$0")/../.."
PRACTICUM_MODEL_PACKAGE=$(tools/ensure-model.sh)
export PRACTICUM_MODEL_PACKAGE
PYTHONPATH=platform/core/src:platform/runtime/src:jobs/src exec "$(tools/ensure-env.sh train)/bin/python" tests/bench/bench_sft.py "$@"
