#!/usr/bin/env bash
# Runs pytest in the development environment. Without arguments it runs all tests in three parallel processes: the tests of
# a whole cluster, after everything that they need is built; tests/integration; and all the rest. Where at most
# three tests of the last two failed, these are run once more, alone, and only what fails twice makes the status red.
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
# pytest keeps the names of failed tests in its cache, of which each process has one of its own.
caches=(build/pytest-integration build/pytest-rest)
rm -rf "${caches[@]}"
node_log=build/node-tests.log
integration_log=build/integration-tests.log
set -m # separate process groups, each of which can be stopped as a whole
{
  # An interrupted compiler ends by itself with an ordinary status.
  trap 'exit 130' INT
  tools/cluster/build-ahead.sh >build/build-ahead.log 2>&1 || true
  exec "$python" -m pytest -m node tests/cluster
} >"$node_log" 2>&1 </dev/null &
node=$!
"$python" -m pytest -o cache_dir="${caches[0]}" tests/integration >"$integration_log" 2>&1 </dev/null &
beside=$!
set +m
# The same signal as Ctrl-C, after which the tests stop their cluster; background jobs of a shell ignore SIGINT.
stop() {
  trap "" INT
  for group in "$node" "$beside"; do kill -INT -- "-$group" 2>/dev/null || true; done
  for group in "$node" "$beside"; do wait "$group" || true; done
  for group in "$node" "$beside"; do kill -TERM -- "-$group" 2>/dev/null || true; done
}
trap stop EXIT
trap 'exit 130' INT
show() { # what a process in the background has printed, until it ends
  echo "$1 ($3):"
  tail --pid="$2" -n +1 -f "$3"
}

others=0
# Not --ignore, which does not hold for a folder that testpaths names.
"$python" -m pytest -o cache_dir="${caches[1]}" -m "not node" --deselect=tests/integration || others=$?
started=0
show "The integration tests" "$beside" "$integration_log"
wait "$beside" || started=$?
clustered=0
show "The tests of a whole cluster" "$node" "$node_log"
wait "$node" || clustered=$?

failed=$((others > started ? others : started))
# 1: tests failed. Anything else, as an interruption or an error of pytest itself, is no test that could be run again.
if [ "$failed" = 1 ]; then
  failed=0
  "$python" tools/rerun_failed.py "${caches[@]}" || failed=$?
fi
[ "$clustered" = 0 ] || echo "A test of a whole cluster failed, see $node_log; these are not run again."
exit $((failed ? failed : clustered))
