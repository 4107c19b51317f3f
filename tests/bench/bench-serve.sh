#!/usr/bin/env bash
# From `practicum serve` to the first token beside bare vLLM, and how load slows vLLM beside the tests' own engine.
set -euo pipefail
cd "$(dirname "$0")/../.."
PRACTICUM_MODEL_PACKAGE=$(tools/ensure-model.sh)
export PRACTICUM_MODEL_PACKAGE
root=$PWD
export PYTHONPATH=$root/platform/core/src:$root/platform/runtime/src:$root/platform/cli/src:$root/jobs/src:$root/services/gateway/src:$root/tests/stand
exec "$(tools/ensure-env.sh dev)/bin/python" tests/bench/bench_serve.py "$(tools/ensure-env.sh serve)/bin/python" "$@"
