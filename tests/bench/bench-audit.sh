#!/usr/bin/env bash
# The data audit: time and memory of whole runs, and its two costly steps beside datasketch and Presidio on the
# same rows. Needs about 5 minutes on two cores; BENCH_AUDIT_ROWS and BENCH_AUDIT_LARGE_ROWS make it shorter.
set -euo pipefail
cd "$(dirname "$0")/../.."
PRACTICUM_MODEL_PACKAGE=$(tools/ensure-model.sh)
PEERS=$(tools/ensure-env.sh peers)/bin/python
export PRACTICUM_MODEL_PACKAGE PEERS
# The model is converted by the environment that has torch; the audit itself runs in `base`, which has none.
PYTHONPATH=platform/core/src:platform/runtime/src:jobs/src "$(tools/ensure-env.sh train)/bin/python" -c '
from practicum_jobs.context import get_cache_dir
from practicum_jobs.models.sources import ensure_model
ensure_model("builtin:smollm2-135m", get_cache_dir())'
PYTHONPATH=platform/core/src:platform/runtime/src:jobs/src exec "$(tools/ensure-env.sh base)/bin/python" tests/bench/bench_audit.py "$@"
