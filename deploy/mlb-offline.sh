#!/bin/sh
# mlb-offline in its container, with Docker or Podman: all flags and mounts, so that one line is enough.
# 在容器中运行 mlb-offline（Docker 或 Podman）：已含全部参数与挂载，只需一行命令。
#
#   ./mlb-offline.sh check                      compare the media with SHA256SUMS       核对介质
#   ./mlb-offline.sh load                       check, then load the image              核对并载入映像
#   ./mlb-offline.sh bridge unix:/run/mlb/model.sock HOST:PORT
#                                               carry a server's TCP port to a socket   把 TCP 端口接到套接字
#   ./mlb-offline.sh COMMAND …                  any command of mlb-offline, without any network, in this folder
#                                               在当前文件夹、无任何网络的容器中执行命令
#
# The folder it is started in is the only one the container can write to; name files in it by relative or absolute
# path. Files elsewhere are mounted read-only with --mount DIR (repeatable, first of all). The folder of a
# unix:PATH target is mounted by itself. State is kept in ./state.
#
# Settings: MLB_ENGINE (docker, podman, or with global flags: "podman --runtime runc"), MLB_IMAGE, MLB_USER (uid:gid),
# MLB_FLAGS (further flags of run), MLB_MEMORY (such as 16g; also keeps the container out of swap),
# MLB_RELABEL=z (bind mounts under SELinux).
set -eu

unset CDPATH
here=$(cd -- "$(dirname -- "$0")" && pwd)
version=@VERSION@
image=${MLB_IMAGE:-localhost/mlb-offline:$version}
user=${MLB_USER:-$(id -u):$(id -g)}
watch=no
relabel=${MLB_RELABEL:+,$MLB_RELABEL}

say() { printf '%s\n' "$*" >&2; }
fail() { code=$1; shift; say "error: $*"; exit "$code"; }

if [ -n "${MLB_ENGINE:-}" ]; then engine=$MLB_ENGINE
elif command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; then engine=docker
elif command -v podman >/dev/null 2>&1; then engine=podman
else engine=; fi

check() {
  cd "$here"
  [ -f SHA256SUMS ] || fail 3 "no SHA256SUMS beside this script / 此脚本旁没有 SHA256SUMS"
  if [ -f SHA256SUMS.sig ] && [ -f release.pub.pem ] && command -v openssl >/dev/null 2>&1; then
    openssl pkeyutl -verify -pubin -inkey release.pub.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig >&2 \
      || fail 4 "SHA256SUMS was not signed by release.pub.pem / SHA256SUMS 的签名无效"
    say "signed by the key with this SHA-256; compare it with the sheet / 签名公钥的 SHA-256，请与安装单核对："
    say "  $(openssl pkey -pubin -in release.pub.pem -outform DER | sha256sum | cut -d' ' -f1)"
  else
    say "warning: the signature was not checked (openssl or its files are missing) / 未核对签名"
  fi
  sha256sum --check --quiet SHA256SUMS >&2 || fail 4 "files of the media are damaged / 介质上的文件已损坏"
  say "all files are as listed in SHA256SUMS / 全部文件与 SHA256SUMS 一致"
}

need_engine() {
  [ -n "$engine" ] || fail 3 "neither docker nor podman is here / 未找到 docker 或 podman"
}

load() {
  check
  need_engine
  tar=$(find "$here" -maxdepth 1 -name "mlb-offline-$version-*.tar*" | LC_ALL=C sort | head -n 1)
  [ -n "$tar" ] || fail 3 "no image on the media / 介质上没有映像文件"
  whole=${tar%.part-*}
  # The parts of a split image follow one another by name.
  if [ "$whole" != "$tar" ]; then cat "$whole".part-*; else cat "$tar"; fi | $engine load >&2
  say "loaded: $image / 已载入"
}

# Runs the image with "$@" (more flags, the image, its command). What every container of ours is denied: privileges,
# writing to its own files, core dumps; and the network, but for the bridge.
contained() {
  network=$1; shift
  set -- --network "$network" --read-only --tmpfs /tmp:rw,nosuid,nodev,size=1g --user "$user" --cap-drop ALL \
    --security-opt no-new-privileges --ulimit core=0 --env "LC_MESSAGES=${LC_ALL:-${LC_MESSAGES:-${LANG:-C}}}" "$@"
  [ -z "${MLB_MEMORY:-}" ] || set -- --memory "$MLB_MEMORY" --memory-swap "$MLB_MEMORY" "$@"
  case $engine in *podman*) [ "$(id -u)" = 0 ] || set -- --userns keep-id "$@" ;; esac
  # A health check is for what runs long; elsewhere it is only noise.
  [ "$watch" = yes ] || set -- --no-healthcheck "$@"
  if [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then set -- --tty "$@"; fi
  # shellcheck disable=SC2086 # these two may hold several words
  exec $engine run --rm --interactive ${MLB_FLAGS:-} "$@"
}

bridge() {
  [ $# -ge 2 ] || fail 2 "bridge unix:/FOLDER/NAME.sock HOST:PORT"
  listen=$1 to=$2; shift 2
  case $listen in unix:/*) ;; *) fail 2 "bridge needs unix:/ABSOLUTE/PATH / 须为 unix:绝对路径" ;; esac
  folder=$(dirname -- "${listen#unix:}")
  [ -d "$folder" ] || fail 3 "$folder is not there / 文件夹不存在"
  watch=yes
  # It needs the network, and so gets nothing else: no key, no bundle, no state.
  contained host --volume "$folder:$folder:rw$relabel" "$image" bridge --listen "$listen" --to "$to" "$@"
}

evaluate() {
  work=$(pwd)
  # Words of the command are counted, mounts are put behind them, and the words moved to the end again.
  if [ "${1:-}" = --mount ]; then
    if [ $# -lt 2 ] || [ ! -d "$2" ]; then fail 2 "--mount needs a folder / --mount 须为文件夹"; fi
    folder=$(cd -- "$2" && pwd); shift 2
    MLB_MOUNTED="${MLB_MOUNTED:-}$folder
"
    evaluate "$@"
  fi
  [ "${1:-}" != run ] || watch=yes
  count=$#
  while IFS= read -r folder; do
    [ -z "$folder" ] || set -- "$@" --volume "$folder:$folder:ro$relabel"
  done <<END
${MLB_MOUNTED:-}
END
  left=$count
  for word in "$@"; do
    [ "$left" -gt 0 ] || break
    left=$((left - 1))
    case ${word#--target=} in
      unix:/*)
        path=${word#--target=}
        folder=$(dirname -- "${path#unix:}")
        [ -d "$folder" ] || fail 5 "$folder is not there: start the model's server first / 文件夹不存在，请先启动模型服务"
        [ "$folder" = "$work" ] || set -- "$@" --volume "$folder:$folder:ro$relabel" ;;
    esac
  done
  set -- "$@" --volume "$work:$work:rw$relabel" --workdir "$work" --env "MLB_STATE=$work/state" \
    --env "MLB_COMMAND=$0" "$image"
  while [ "$count" -gt 0 ]; do
    word=$1; shift; set -- "$@" "$word"; count=$((count - 1))
  done
  contained none "$@"
}

case ${1:-} in
  check) check ;;
  load) load ;;
  bridge) shift; need_engine; bridge "$@" ;;
  ''|-h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
  *) need_engine; evaluate "$@" ;;
esac
