#!/usr/bin/env bash
# Speed of the statistics of an evaluation.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHONPATH=platform/core/src:jobs/src exec "$(tools/ensure-env.sh base)/bin/python" tests/bench/bench_eval.py "$@"
