#!/usr/bin/env bash
# Runs pytest in the development environment. Without arguments it runs all tests in two parallel processes: the tests of
# a whole cluster, after everything that they need is built, and all other tests.
#
#   tools/run-tests.sh [PYTEST ARGUMENT ...]
set -euo pipefail
cd "$(dirname "$0")/.."

# Where this is set, every process compiles the modules of torch and vLLM again: 13 s at each start of vLLM.
unset PYTHONDONTWRITEBYTECODE
tools/ensure-model.sh >/dev/null
python=$(tools/ensure-env.sh dev)/bin/python
[ $# -eq 0 ] || exec "$python" -m pytest "$@"

# If the machine cannot install them, the tests name what is missing.
[ "$(id -u)" != 0 ] || tools/cluster/packages.sh || true
[ "$(id -u)" != 0 ] || tools/test-packages.sh || true
mkdir -p build
log=build/node-tests.log
set -m # a separate process group, which can be stopped as a whole
{
  # An interrupted compiler ends by itself with an ordinary status.
  trap 'exit 130' INT
  tools/cluster/build-ahead.sh >build/build-ahead.log 2>&1 || true
  exec "$python" -m pytest -m node tests/cluster
} >"$log" 2>&1 </dev/null &
node=$!
set +m
# The same signal as Ctrl-C, after which the tests stop their cluster; background jobs of a shell ignore SIGINT.
trap 'trap "" INT; kill -INT -- -$node 2>/dev/null && wait "$node" || true; kill -TERM -- -$node 2>/dev/null || true' EXIT
trap 'exit 130' INT
failed=0
"$python" -m pytest -m "not node" || failed=$?
echo "The tests of a whole cluster ($log):"
tail --pid="$node" -n +1 -f "$log"
wait "$node" || failed=$?
exit "$failed"
