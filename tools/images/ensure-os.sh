#!/usr/bin/env bash
# Creates a Debian root file system in the cache and prints its archive, to build images without a registry.
#
#   tools/images/ensure-os.sh
#
# Needs root and debootstrap. Installs the packages in images/os-packages.txt.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${PRACTICUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/practicum}
suite=bookworm
packages=$(grep -v '^#' "$root/images/os-packages.txt" | paste -sd,)
key=$(cat "$root/images/os-packages.txt" "$0" | sha256sum | cut -c1-12)
archive=$cache/images/os-$suite-$key.tar
[ -f "$archive" ] && { echo "$archive"; exit 0; }

command -v debootstrap >/dev/null || { echo "install debootstrap (Debian package) or run docker" >&2; exit 4; }
mkdir -p "$cache/images" "$cache/locks"
exec 9>"$cache/locks/os-$key.lock"
flock 9
[ -f "$archive" ] && { echo "$archive"; exit 0; }
folder=$(mktemp -d "$cache/images/os-partial.XXXXXX")
trap 'rm -rf --one-file-system "$folder" "$archive.part"' EXIT
echo "making a root file system of Debian $suite" >&2
debootstrap --variant=minbase --include="$packages" "$suite" "$folder/system" >"$folder/log" 2>&1 ||
  { tail -n 20 "$folder/log" >&2; exit 4; }
chroot "$folder/system" apt-get clean
rm -rf "$folder"/system/var/lib/apt/lists/* "$folder"/system/usr/share/{doc,man,locale}/* "$folder"/system/var/log/*
rm -rf "$folder"/system/var/cache/debconf/*-old "$folder/system/etc/resolv.conf" "$folder/system/etc/hostname"
tar -C "$folder/system" --one-file-system --numeric-owner --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* -cf "$archive.part" .
mv "$archive.part" "$archive"
echo "$archive"
