#!/usr/bin/env bash
# Checks that linters do not make: no registry hosts, no machine paths, no large files.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
fail() { echo "check-tree: $1" >&2; status=1; }
hosts='pypi\.org|pythonhosted\.org|proxy\.golang\.org|registry\.npmjs|crates\.io|deb\.debian\.org|maven\.org'
git grep -nIE "$hosts" -- . ':!tools/check-tree.sh' && fail "a file names a package registry's host"
git grep -nIE '(^|[^A-Za-z0-9._-])/(root|work|opt/wheels)/' -- . ':!tools/check-tree.sh' && fail "a file names a path of one machine"
git grep -nE -- '-c /' 'requirements/*.txt' && fail "a lock was compiled against a file of one machine: run make locks"
while read -r size path; do
  [ "$size" -gt 1000000 ] && fail "$path is larger than 1 MB ($size bytes)"
done < <(git ls-files -z | xargs -0 stat -c '%s %n')
exit $status
