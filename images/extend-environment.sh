#!/bin/sh
# Changes the /opt/venv of a layer below to what a lock with hashes says. Runs inside an image's build:
# extend-environment.sh LOCK [UV_CACHE]
#
# The layer that this makes holds only the packages that differ. Bytecode is compiled as install-environment.sh does it.
set -eu
lock=$1
export UV_CACHE_DIR="${2:-/var/cache/uv}" UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
bootstrap=$(mktemp -d)
python3 -m venv "$bootstrap"
"$bootstrap/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
  -r "$(dirname "$lock")/uv.txt"
"$bootstrap/bin/uv" pip sync --quiet --require-hashes --compile-bytecode --python /opt/venv/bin/python "$lock"
rm -rf "$bootstrap"
