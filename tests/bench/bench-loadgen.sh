#!/usr/bin/env bash
# The load generator beside guidellm, which has an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHONPATH=platform/core/src:platform/runtime/src:jobs/src:services/gateway/src:tests/stand:tests/bench \
  exec "$(tools/ensure-env.sh dev)/bin/python" tests/bench/bench_loadgen.py --peer "$(tools/ensure-env.sh peers-load)" "$@"
