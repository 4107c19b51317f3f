#!/usr/bin/env bash
# Installs what tests need of Debian's packages (as root), where it is missing: Chromium, Redis and Prometheus.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v promtool >/dev/null || missing+=(prometheus)
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "test-packages.sh: install this first (apt-get as root): ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# RUNLEVEL: tests start a Redis and a Prometheus of their own; the packages would start one too.
RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
