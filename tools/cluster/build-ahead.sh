#!/usr/bin/env bash
# Builds all that the cluster tests need, in the order in which they need it, giving way to whoever wants the processor.
#
#   tools/cluster/build-ahead.sh      (after tools/ensure-env.sh dev)
#
# A test that comes first waits for the same lock, or builds the tool itself: nothing depends on this but the time.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
renice -n 10 $$ >/dev/null
build=$root/tools/cluster/build.sh
command -v go >/dev/null || exit 0

"$build" etcd kube-apiserver kubectl >/dev/null
"$root/tools/cluster/packages.sh" --check 2>/dev/null || exit 0
"$build" helm coredns network-policies pause kube-controller-manager kube-scheduler kube-proxy kubelet >/dev/null
"$build" kueue ray-operator >/dev/null
[ "$(id -u)" != 0 ] || {
  "$root/tools/images/build.sh"
  PYTHONPATH=$root/tools/cluster "$("$root/tools/ensure-env.sh" dev)/bin/python" -m practicum_cluster measure
}
"$build" skaffold >/dev/null
