#!/bin/sh
# Digests of all files of a root file system, sorted, as sha256sum(1) writes them; `sha256sum --check` reads them.
# Left out: the manifest itself, and the files that container engines put in place of the image's own.
set -eu
find "${1:-/}" -xdev -type f \
  ! -path '*/MANIFEST.sha256' ! -path '/etc/hosts' ! -path '/etc/hostname' ! -path '/etc/resolv.conf' \
  ! -path '/proc/*' ! -path '/sys/*' ! -path '/dev/*' ! -path '/tmp/*' ! -path '/state/*' ! -path '/work/*' \
  ! -path '/run/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
