#!/bin/sh
# mlb-offline in its container, with Docker or Podman: all flags and mounts, so that one line is enough.
# 在容器中运行 mlb-offline（Docker 或 Podman）：已含全部参数与挂载，只需一行命令。
#
#   mlb-offline.sh check                        compare the media with SHA256SUMS       核对介质
#   mlb-offline.sh load                         check, then load the image              核对并载入映像
#   mlb-offline.sh bridge unix:/srv/mlb/socket/model.sock HOST:PORT
#                                               carry a server's TCP port to a socket   把 TCP 端口接到套接字
#   mlb-offline.sh COMMAND …                    any command of mlb-offline, without any network, in this folder
#                                               在当前文件夹、无任何网络的容器中执行命令
#
# The folder it is started in, the work folder, is the only one the container can write to; name files in it by
# relative or absolute path. This script must lie elsewhere, such as ../media. Files elsewhere are mounted read-only
# with --mount DIR (repeatable, first of all). The folder of a unix:PATH target is mounted by itself. State is kept in
# ./state.
# 启动时所在的文件夹（工作文件夹）是容器唯一可写之处；本脚本须在别处，例如 ../media。其他文件夹用 --mount DIR 只读挂载
# （可重复，写在最前）；unix:PATH 所在文件夹自动挂载。状态保存在 ./state。
#
# Settings / 设置：
#   MLB_ENGINE    docker, podman, or with global flags: "podman --runtime runc"
#   MLB_IMAGE     the image / 映像
#   MLB_USER      uid:gid; default: yours, and for root that of sudo or of the work folder's owner / 默认为当前用户
#   MLB_FLAGS     further flags of run / 附加参数
#   MLB_MEMORY    such as 16g; also keeps the container out of swap / 内存上限，且不使用交换区
#   MLB_RELABEL   z: bind mounts under SELinux / SELinux 下的挂载
#   MLB_UNSIGNED  yes: load media whose signature cannot be checked / 载入无法核对签名的介质
set -eu

unset CDPATH
here=$(cd -P -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
version=@VERSION@
# In a checkout nothing was put in the place of the version.
case $version in @*) version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/../mlb_offline/__init__.py") ;; esac
image=${MLB_IMAGE:-localhost/mlb-offline:$version}
relabel=${MLB_RELABEL:+,$MLB_RELABEL}
engine=
watch=no

say() { printf '%s\n' "$*" >&2; }
fail() { code=$1; shift; say "error: $*"; exit "$code"; }
has() { command -v "$1" >/dev/null 2>&1; }

need_engine() {
  if [ -n "${MLB_ENGINE:-}" ]; then engine=$MLB_ENGINE
  elif has docker && docker info >/dev/null 2>&1; then engine=docker
  elif has podman; then engine=podman
  elif has docker; then
    fail 3 "docker is installed but cannot be used: it is not running, or not by this user (docker info says why)" \
      "/ 已安装 docker 但无法使用：未运行，或当前用户无权使用（docker info 会说明原因）"
  else fail 3 "neither docker nor podman is here / 未找到 docker 或 podman"
  fi
}

# ---- the media -------------------------------------------------------------------------------------------------

check() {
  cd -- "$here"
  [ -f SHA256SUMS ] || fail 3 "no SHA256SUMS beside this script / 此脚本旁没有 SHA256SUMS"
  missing=
  for file in SHA256SUMS.sig release.pub.pem; do [ -f "$file" ] || missing="$missing $file"; done
  has openssl || missing="$missing openssl"
  if [ -z "$missing" ]; then
    # dgst, not pkeyutl: OpenSSL 1.1.1 knows it in this form too.
    openssl dgst -sha256 -verify release.pub.pem -signature SHA256SUMS.sig SHA256SUMS >&2 \
      || fail 4 "SHA256SUMS was not signed by release.pub.pem / SHA256SUMS 的签名无效"
    say "signed by the key with this SHA-256; compare it with what the publisher told you / 签名公钥的 SHA-256，请与发布者告知的核对："
    say "  $(openssl pkey -pubin -in release.pub.pem -outform DER | sha256sum | cut -d' ' -f1)"
  elif [ "${MLB_UNSIGNED:-}" = yes ]; then
    say "************************************************************************************"
    say "WARNING: THE SIGNATURE WAS NOT CHECKED (MLB_UNSIGNED=yes; missing:$missing)."
    say "Whoever had these media in hand may have changed all of them."
    say "警告：未核对签名（MLB_UNSIGNED=yes；缺少：$missing）。经手介质的任何人都可能改动其全部内容。"
    say "************************************************************************************"
  else
    fail 4 "the signature cannot be checked; missing:$missing (MLB_UNSIGNED=yes goes on without)" \
      "/ 无法核对签名；缺少：$missing（MLB_UNSIGNED=yes 可不核对而继续）"
  fi
  if LC_ALL=C grep -Evq '^[0-9a-f]{64} [ *][A-Za-z0-9][A-Za-z0-9._-]*$' SHA256SUMS; then
    fail 4 "SHA256SUMS has lines of another form / SHA256SUMS 中有格式不符的行"
  fi
  sha256sum --check --quiet SHA256SUMS >&2 || fail 4 "files of the media are damaged / 介质上的文件已损坏"
  # What nobody signed does not lie among what is signed.
  for file in * .[!.]* ..?*; do
    if [ -d "$file" ] || { [ ! -e "$file" ] && [ ! -L "$file" ]; }; then continue; fi
    case $file in SHA256SUMS|SHA256SUMS.sig) continue ;; esac
    listed | grep -qxF -e "$file" \
      || fail 4 "$file is not in SHA256SUMS; take it off the media / 不在 SHA256SUMS 之内，请从介质上移走"
  done
  say "all files are as listed in SHA256SUMS, and no others / 全部文件与 SHA256SUMS 一致，且无其他文件"
}

# Names in SHA256SUMS: 64 digits and two characters stand before each.
listed() { cut -c 67- SHA256SUMS; }

load() {
  check
  need_engine
  set --
  for name in $(listed); do
    case $name in "mlb-offline-$version-"*.tar|"mlb-offline-$version-"*.tar.part-*) set -- "$@" "$name" ;; esac
  done
  [ $# -gt 0 ] || fail 3 "no image of version $version on the media / 介质上没有版本 $version 的映像文件"
  # One file, or the parts of one file, none missing between.
  whole=${1%.part-*}
  number=0
  for name do
    if [ "$name" = "$whole" ] && [ $# -eq 1 ]; then break; fi
    [ "$name" = "$whole.part-$(printf %03d "$number")" ] \
      || fail 4 "SHA256SUMS does not name one image or all its parts: $name / SHA256SUMS 所列映像不止一个，或缺少部分"
    number=$((number + 1))
  done
  # shellcheck disable=SC2086 # engine may hold several words
  cat "$@" | $engine load >&2
  say "loaded: $image / 已载入"
}

# ---- containers ------------------------------------------------------------------------------------------------

# A folder's name that --volume can take: it has no way to write a colon.
mountable() {
  case $1 in *:*) fail 2 "a folder's name must not contain ':': $1 / 文件夹名不得含有冒号" ;; esac
}

# What a container can write to must hold neither this script and the media, nor somebody's home.
writable() {
  mountable "$1"
  real=$(cd -P -- "$1" && pwd)
  [ "$real" != / ] || fail 2 "/ cannot be the work folder / 工作文件夹不能是 /"
  case $here/ in "$real"/*)
    fail 2 "$real holds this script, which the container could then change: use another folder, as the sheet says" \
      "/ 该文件夹含有本脚本，容器将可改动它；请照安装单另用文件夹" ;;
  esac
  # Under sudo, HOME may be root's.
  for home in "${HOME:-}" "$(getent passwd "${SUDO_UID:-$(id -u)}" 2>/dev/null | cut -d: -f6)"; do
    if [ -z "$home" ] || [ ! -d "$home" ]; then continue; fi
    case $(cd -P -- "$home" && pwd)/ in "$real"/*)
      fail 2 "$real is or holds a home folder: make a work folder of its own / 该文件夹是或含有主目录；请另建工作文件夹" ;;
    esac
  done
}

# Whom a container runs as, which must own the folder that it writes to. Never root where that can be helped: root
# without capabilities cannot write to the files of others.
choose_user() {
  if [ -n "${MLB_USER:-}" ]; then user=$MLB_USER
  elif [ "$(id -u)" != 0 ]; then user=$(id -u):$(id -g)
  elif [ "${SUDO_UID:-0}" != 0 ]; then user=$SUDO_UID:${SUDO_GID:-$SUDO_UID}
  else user=$(stat -c %u:%g -- "$1")
  fi
}

# Runs the image in the network $1, able to write to the folder $2, with the rest (more flags, the image, its command).
# What every container of ours is denied: privileges, writing to its own files, core dumps; and the network, but for the
# bridge.
contained() {
  network=$1
  choose_user "$2"
  shift 2
  need_engine
  # Without root an engine numbers users anew: Podman can keep one's own number, in Docker one is its user 0.
  if [ "$(id -u)" != 0 ]; then
    case $($engine --version 2>/dev/null) in
      *podman*)
        [ "$($engine info --format '{{.Host.Security.Rootless}}' 2>/dev/null)" = false ] \
          || set -- --userns keep-id "$@" ;;
      *)
        case $($engine info --format '{{.SecurityOptions}}' 2>/dev/null) in
          *rootless*) user=${MLB_USER:-0:0} ;;
        esac ;;
    esac
  fi
  set -- --network "$network" --read-only --tmpfs /tmp:rw,nosuid,nodev,size=1g --user "$user" --cap-drop ALL \
    --security-opt no-new-privileges --ulimit core=0 --env "LC_MESSAGES=${LC_ALL:-${LC_MESSAGES:-${LANG:-C}}}" "$@"
  [ -z "${MLB_MEMORY:-}" ] || set -- --memory "$MLB_MEMORY" --memory-swap "$MLB_MEMORY" "$@"
  # A health check is for a run, which is long and holds what is to be guarded; elsewhere it is only noise.
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
  [ -d "$folder" ] || fail 3 "$folder is not there: make it as the user of the evaluation / 文件夹不存在，请以评测用户身份建立"
  writable "$folder"
  # It needs the network, and so gets nothing else: no key, no bundle, no state.
  contained host "$folder" --volume "$folder:$folder:rw$relabel" "$image" bridge --listen "$listen" --to "$to" "$@"
}

# One word as a shell reads it back: the program prints commands to paste that begin as this one did.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

evaluate() {
  work=$(pwd)
  writable "$work"
  # Folders to mount read-only, each once, between colons: none has a colon in its name.
  mounts=: command=$(quoted "$0")
  while [ "${1:-}" = --mount ]; do
    [ -d "${2:-}" ] || fail 2 "--mount needs a folder / --mount 须为文件夹"
    folder=$(cd -- "$2" && pwd)
    also_mount "$folder"
    command="$command --mount $(quoted "$folder")"
    shift 2
  done
  for word do
    spec=${word#--target=}
    case $spec in unix:/*)
      folder=$(dirname -- "${spec#unix:}")
      [ -d "$folder" ] || fail 5 "$folder is not there: start the model's server first / 文件夹不存在，请先启动模型服务"
      also_mount "$folder" ;;
    esac
  done
  [ "${1:-}" != run ] || watch=yes
  set -- --volume "$work:$work:rw$relabel" --workdir "$work" --env "MLB_STATE=$work/state" --env "MLB_COMMAND=$command" \
    "$image" "$@"
  rest=${mounts#:}
  while [ -n "$rest" ]; do
    folder=${rest%%:*} rest=${rest#*:}
    set -- --volume "$folder:$folder:ro$relabel" "$@"
  done
  contained none "$work" "$@"
}

also_mount() {
  mountable "$1"
  [ "$1" != "$work" ] || return 0 # it is mounted anyway, to be written to
  case $mounts in *":$1:"*) ;; *) mounts=$mounts$1: ;; esac
}

case ${1:-} in
  check) check ;;
  load) load ;;
  bridge) shift; bridge "$@" ;;
  ''|-h|--help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" ;;
  *) evaluate "$@" ;;
esac
