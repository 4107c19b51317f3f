#!/usr/bin/env bash
# Runs pytest in the environment for development. Without arguments all tests, in two processes beside each other: those
# of a whole cluster, once all is built that they need, and all the others.
#
#   tools/run-tests.sh [PYTEST ARGUMENT ...]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/ensure-model.sh >/dev/null
python=$(tools/ensure-env.sh dev)/bin/python
[ $# -eq 0 ] || exec "$python" -m pytest "$@"

# The tests say what a machine lacks that cannot install these.
[ "$(id -u)" != 0 ] || tools/cluster/packages.sh || true
mkdir -p build
log=build/node-tests.log
set -m # a process group of its own, ended as a whole
{
  # A compiler that is interrupted ends by itself, with a status like any other.
  trap 'exit 130' INT
  tools/cluster/build-ahead.sh >build/build-ahead.log 2>&1 || true
  exec "$python" -m pytest -m node tests/cluster
} >"$log" 2>&1 </dev/null &
node=$!
set +m
# As by Ctrl-C: it takes its cluster down before it ends. What a shell started beside itself takes no notice of that.
trap 'trap "" INT; kill -INT -- -$node 2>/dev/null && wait "$node" || true; kill -TERM -- -$node 2>/dev/null || true' EXIT
trap 'exit 130' INT
failed=0
"$python" -m pytest -m "not node" || failed=$?
echo "The tests of a whole cluster ($log):"
tail --pid="$node" -n +1 -f "$log"
wait "$node" || failed=$?
exit "$failed"
