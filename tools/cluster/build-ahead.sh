#!/usr/bin/env bash
# Builds what a whole cluster and the first API server need, in the order in which tests need it.
#
#   tools/cluster/build-ahead.sh      (after tools/ensure-env.sh dev)
#
# Tests do not depend on it: one that runs earlier waits for the same lock, or builds the tool itself.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/tools/cluster/build.sh
command -v go >/dev/null || exit 0

build_images() {
  PYTHONPATH=$root/tools/cluster "$("$root/tools/ensure-env.sh" dev)/bin/python" -m practicum_cluster measure
}

has_cluster=
[ "$(id -u)" != 0 ] || ! "$root/tools/cluster/packages.sh" --check 2>/dev/null || has_cluster=yes
# In parallel with the programs, because an image mostly waits for downloads and for the disk.
[ -z "$has_cluster" ] || build_images &
"$build" etcd kube-apiserver kubectl helm >/dev/null
if [ -n "$has_cluster" ]; then
  "$build" coredns network-policies pause kube-controller-manager kube-scheduler kube-proxy kubelet >/dev/null
  "$build" kueue ray-operator >/dev/null
  [ -z "${PRACTICUM_E2E_SERVING:-}" ] || "$build" kserve keda keda-adapter >/dev/null
fi
wait
