#!/usr/bin/env bash
# Names the Debian packages that the bare cluster and its images need, and installs those that are missing.
#
#   tools/cluster/packages.sh            installs what is missing (as root)
#   tools/cluster/packages.sh --check    only says what is missing; exit 1 if anything is
set -euo pipefail

# package -> a file of it
declare -A packages=(
  [busybox-static]=/bin/busybox                        # the tests' own small pods
  [containerd]=/usr/bin/containerd
  [containernetworking-plugins]=/usr/lib/cni/bridge
  [iproute2]=/sbin/ip
  [iptables]=/usr/sbin/iptables                        # the CNI plugins' port maps and masquerading
  [nftables]=/usr/sbin/nft                             # kube-proxy
  [openssl]=/usr/bin/openssl
  [procps]=/usr/sbin/sysctl
  [runc]=/usr/sbin/runc
  [util-linux]=/usr/bin/nsenter
)
# For building images without Docker.
declare -A builders=(
  [buildah]=/usr/bin/buildah
  [debootstrap]=/usr/sbin/debootstrap
)

missing=()
for name in "${!packages[@]}"; do [ -e "${packages[$name]}" ] || missing+=("$name"); done
for name in "${!builders[@]}"; do [ -e "${builders[$name]}" ] || missing+=("$name"); done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "${1:-}" = --check ]; then
  echo "missing Debian packages: ${missing[*]}" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "packages.sh: install these first (apt-get as root): ${missing[*]}" >&2
  exit 1
fi
# Packages must not start their services; the cluster starts what it needs.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
