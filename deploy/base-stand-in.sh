#!/bin/sh
# Where no image registry can be reached: a minimal Debian 12 from the package mirror that this machine uses, under the
# name of the base image. For tests; a release is built on the real base, pinned by digest. Needs root and debootstrap.
set -eu
name=${1:-docker.io/library/debian:bookworm-slim}
if podman image exists "$name"; then exit 0; fi
sources=/etc/apt/sources.list.d/debian.sources
mirror=$(sed -n 's/^URIs: *//p' $sources | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "${mirror:-http://deb.debian.org/debian}" >&2
cp $sources "$root/etc/apt/sources.list.d/"
: > "$root/etc/apt/sources.list"
tar --directory "$root" --create . | podman import - "$name"
