#!/bin/sh
# Digests of the files of a root file system, sorted, as sha256sum(1) writes them; `sha256sum --check` reads them.
# Left out: the manifest itself, what container engines put in place of the image's own (users, hosts, name servers),
# and the few files that only root may read: the program must be able to measure all of it as any user.
set -eu
find "${1:-/}" -xdev -type f -perm -004 \
  ! -path '*/MANIFEST.sha256' ! -path '/etc/hosts' ! -path '/etc/hostname' ! -path '/etc/resolv.conf' \
  ! -path '/root/*' ! -path '/etc/passwd*' ! -path '/etc/group*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/dev/*' ! -path '/tmp/*' \
  ! -path '/state/*' ! -path '/work/*' ! -path '/run/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
