#!/usr/bin/env bash
# Installs Chromium for tests/browser from Debian's packages (as root), where there is none.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "browser-packages.sh: install this first (apt-get as root): chromium" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium >&2
