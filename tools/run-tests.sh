#!/usr/bin/env bash
# Runs pytest in the environment for development; without arguments all tests, while what they need is built beside them.
#
#   tools/run-tests.sh [PYTEST ARGUMENT ...]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/ensure-model.sh >/dev/null
python=$(tools/ensure-env.sh dev)/bin/python
if [ $# -eq 0 ]; then
  # The tests say what a machine lacks that cannot install these.
  [ "$(id -u)" != 0 ] || tools/cluster/packages.sh || true
  mkdir -p build
  set -m # a process group of its own, ended as a whole
  tools/cluster/build-ahead.sh >build/build-ahead.log 2>&1 </dev/null &
  ahead=$!
  set +m
  trap 'kill -- -$ahead 2>/dev/null || true' EXIT
fi
"$python" -m pytest "$@"
