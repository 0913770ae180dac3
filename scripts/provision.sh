#!/bin/sh
# Makes a Debian machine one of the tutorial's four (docs/tutorial.md): Vagrant runs it, as root.
set -eu

usage() {
  cat << 'END'
scripts/provision.sh [--from ARCHIVE] [--user NAME] [--containers] ADDRESS ...

Installs iperf and SciStream's commands. A machine with several addresses is a gateway: it gets a
certificate for them. Run again, it changes nothing but the commands.
  --from ARCHIVE  a release archive, with its SHA256SUMS; without one the commands are this checkout's
  --user NAME     in whose home server.crt and server.key are made; root if not given
  --containers    also Docker with the image haproxy:latest, for s2cs --type=Haproxy
END
}

fail() {
  echo "provision: $1" >&2
  exit "${2:-1}"
}

from='' user=root containers=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --from | --user)
      [ $# -gt 1 ] || fail "$1 takes a value" 2
      [ "$1" = --from ] && from=$2 || user=$2
      shift
      ;;
    --containers) containers=yes ;;
    -*) fail "there is no option $1: see provision.sh --help" 2 ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || fail "name this machine's addresses" 2
[ "$(id -u)" = 0 ] || fail "only root installs packages"
home=$(getent passwd "$user" | cut -d : -f 6)
[ -n "$home" ] || fail "there is no user \"$user\""
here=$(cd "$(dirname "$0")" && pwd)
export DEBIAN_FRONTEND=noninteractive

# Installs those packages that are not there.
packages() {
  missing=''
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q '^install ok installed$' ||
      missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  apt-get update -q
  # shellcheck disable=SC2086
  apt-get install -q -y --no-install-recommends $missing
}

packages openssl iperf iperf3
if [ -n "$from" ]; then
  "$here/install.sh" --from "$from" /usr/local
else
  # Without an executable the commands run with Deno, which npm fetches.
  [ -f "$here/../dist/scistream" ] || command -v deno > /dev/null || packages npm
  "$here/install.sh" /usr/local
fi

if [ $# -gt 1 ] && [ ! -f "$home/server.crt" ]; then
  addresses=$(echo "$*" | tr ' ' ,)
  (cd "$home" && /usr/local/bin/scistream cert --ip "$addresses")
  chown "$user:" "$home/server.crt" "$home/server.key"
fi

if [ -n "$containers" ]; then
  packages docker.io haproxy
  systemctl disable --now haproxy
  "$here/images.sh" haproxy
fi
