#!/bin/sh
# Puts scistream, s2cs, s2uc, appctrl and s2ds into a folder of the PATH, and takes them away again.
set -eu

usage() {
  cat << 'END'
install.sh [--from ARCHIVE] [--systemd] [PREFIX]    installs; also over another version that runs
install.sh --uninstall [PREFIX]                     removes what it installed

Commands go to PREFIX/bin, completions and manual pages to PREFIX/share. PREFIX is ~/.local, if
neither the command line nor the environment says something else. What is installed is the
executable of the release that this script lies in, or the one that `deno task build` made in dist/.
A checkout without one gets a command that runs its sources with Deno.
  --from ARCHIVE  the executable of a release archive, scistream-VERSION-TARGET.tar.gz, which is
                  checked against the SHA256SUMS beside it
  --systemd       as root: also the service scistream-s2cs, and its user scistream
END
}

fail() {
  echo "install: $1" >&2
  exit "${2:-1}"
}

from='' service='' uninstall='' place=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --from)
      [ $# -gt 1 ] || fail "--from takes a release archive" 2
      from=$2
      shift
      ;;
    --systemd) service=yes ;;
    --uninstall) uninstall=yes ;;
    -*) fail "there is no option $1: see install.sh --help" 2 ;;
    *)
      [ -z "$place" ] || fail "\"$1\" is one folder too many: see install.sh --help" 2
      place=$1
      ;;
  esac
  shift
done
prefix=${place:-${PREFIX:-"$HOME/.local"}}
case $prefix in
  /*) ;;
  *) prefix=$(pwd)/$prefix ;;
esac
bin=$prefix/bin
# Every file and folder that is ours, a path a line, folders with a slash at the end.
list=$prefix/share/scistream/installed
units=/etc/systemd/system

umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Makes a folder, and those above it that are not there.
folder() {
  [ ! -d "$1" ] || return 0
  folder "$(dirname "$1")"
  mkdir "$1"
  echo "$1/" >> "$work/made"
}

# put FILE TARGET MODE: written beside and renamed, so that a command that is running is never half
# replaced.
put() {
  folder "$(dirname "$2")"
  cp "$1" "$2.new"
  chmod "$3" "$2.new"
  mv -f "$2.new" "$2"
  echo "$2" >> "$work/made"
}

# Unpacks the archive, if it is what SHA256SUMS says, to $root.
unpack() {
  [ -f "$from" ] || fail "there is no file $from"
  sums=$(dirname "$from")/SHA256SUMS
  [ -f "$sums" ] || fail "$sums is not there: it comes with the archive, and tells whether that is whole"
  wanted=$(awk -v name="$(basename "$from")" '$2 == name { print $1 }' "$sums")
  [ -n "$wanted" ] || fail "$sums does not name $(basename "$from")"
  if command -v sha256sum > /dev/null; then
    found=$(sha256sum < "$from")
  else
    found=$(shasum -a 256 < "$from")
  fi
  [ "${found%% *}" = "$wanted" ] ||
    fail "$from is not the file that SHA256SUMS names (it has ${found%% *}): fetch it again"
  mkdir "$work/archive"
  tar -x -z -f "$from" -C "$work/archive"
  root=$(echo "$work"/archive/*)
}

# A command that runs the sources of this checkout.
from_source() {
  pinned=$(sed -n 's/^export const PINNED_DENO = "\(.*\)";$/\1/p' "$root/lib/version.ts")
  if deno=$(command -v deno) && "$deno" --version | head -n 1 | grep -q "^deno $pinned "; then
    runner=\"$deno\"
  elif command -v npx > /dev/null; then
    runner="npx -y deno@$pinned"
  else
    fail "needs Deno $pinned, or npx to fetch it"
  fi
  flags=$(sed -n 's/^ *"scistream": "deno \(run .*\) cmd\/scistream.ts",*$/\1/p' "$root/deno.json")
  printf '#!/bin/sh\nexec %s %s --config "%s/deno.json" "%s/cmd/scistream.ts" "$@"\n' \
    "$runner" "$flags" "$root" "$root"
}

# The executable, or what stands in for it, and a command for each of the names.
commands() {
  executable=''
  for file in "$root/scistream" "$root/dist/scistream"; do
    [ -n "$executable" ] || [ ! -f "$file" ] || executable=$file
  done
  if [ -n "$executable" ]; then
    "$executable" --version > "$work/said" 2>&1 ||
      fail "the executable does not run on this machine: $(head -n 1 "$work/said")"
  elif [ -n "$service" ]; then
    fail "a service needs the executable: deno task build, or --from a release archive"
  else
    from_source > "$work/scistream"
    executable=$work/scistream
  fi
  put "$executable" "$bin/scistream" 755
  for name in s2cs s2uc appctrl s2ds; do
    printf '#!/bin/sh\nexec "%s/scistream" %s "$@"\n' "$bin" "$name" > "$work/$name"
    put "$work/$name" "$bin/$name" 755
  done
  echo "installed scistream, s2cs, s2uc, appctrl and s2ds in $bin"
}

# The service, not yet started; drop-ins are there to be chosen.
systemd() {
  source=$root/systemd
  [ -d "$source" ] || source=$root/scripts/systemd
  sed "s|/usr/local/bin/|$bin/|" "$source/scistream-s2cs.service" > "$work/unit"
  put "$work/unit" "$units/scistream-s2cs.service" 644
  for file in "$source"/*.conf; do
    put "$file" "$prefix/share/scistream/systemd/$(basename "$file")" 644
  done
  getent passwd scistream > /dev/null ||
    useradd --system --home-dir /var/lib/scistream --shell /usr/sbin/nologin scistream
  [ -d /etc/scistream ] || install -d -m 750 -g scistream /etc/scistream
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
  cat << END
installed the service scistream-s2cs, not yet started. Next, with this gateway's address:
  cd /etc/scistream && $bin/scistream cert --ip ADDRESS
  echo 'listener-ip = "ADDRESS"' > s2cs.toml
  chown root:scistream server.crt server.key s2cs.toml && chmod 640 server.crt server.key s2cs.toml
  systemctl enable --now scistream-s2cs
END
}

# link TARGET NAME: another name for what has been put beside it.
link() {
  ln -sf "$1" "$2"
  echo "$2" >> "$work/made"
}

# The command itself writes its completions and manual pages, to where shells and man look.
extras() {
  share=$prefix/share
  bash=$share/bash-completion/completions
  fish=$share/fish/vendor_completions.d
  for shell in bash zsh fish; do
    "$bin/scistream" completions "$shell" > "$work/$shell" || return 1
  done
  "$bin/scistream" man --dir "$work/man" > /dev/null || return 1
  put "$work/bash" "$bash/scistream" 644
  put "$work/fish" "$fish/scistream.fish" 644
  put "$work/zsh" "$share/zsh/site-functions/_scistream" 644
  for name in s2cs s2uc appctrl s2ds; do
    link scistream "$bash/$name"
    link scistream.fish "$fish/$name.fish"
  done
  for page in "$work"/man/*/*; do
    put "$page" "$share${page#"$work"}" 644
  done
}

remove() {
  [ -f "$list" ] || fail "nothing in $prefix was installed by this script: $list is not there"
  if grep -q "^$units/" "$list"; then
    [ "$(id -u)" = 0 ] || fail "only root removes the service"
    if [ -d /run/systemd/system ] && systemctl is-active --quiet scistream-s2cs; then
      fail "the service runs: systemctl disable --now scistream-s2cs"
    fi
    echo "the service's user, /etc/scistream, /var/lib/scistream and /var/log/scistream stay"
  fi
  # The list itself goes with them. What is within a folder comes before it.
  sort -r "$list" > "$work/list"
  while read -r path; do
    case $path in
      */) rmdir "$path" 2> /dev/null || [ ! -d "$path" ] || echo "left: $path is not empty" ;;
      *) rm -f "$path" ;;
    esac
  done < "$work/list"
  [ ! -d /run/systemd/system ] || ! grep -q "^$units/" "$work/list" || systemctl daemon-reload
  echo "removed scistream, s2cs, s2uc, appctrl and s2ds from $bin"
}

if [ -n "$uninstall" ]; then
  remove
  exit 0
fi
[ -z "$service" ] || [ "$(id -u)" = 0 ] || fail "only root installs a service"
root=$(cd "$(dirname "$0")" && pwd)
# In a checkout it lies in scripts/.
[ -f "$root/scistream" ] || root=$(dirname "$root")
[ -z "$from" ] || unpack
commands
[ -z "$service" ] || systemd
extras || echo "install: without completions and manual pages" >&2
# What an earlier version installed stays on the list.
[ ! -f "$list" ] || cat "$list" >> "$work/made"
folder "$(dirname "$list")"
echo "$list" >> "$work/made"
sort -u "$work/made" > "$work/list"
put "$work/list" "$list" 644
case ":$PATH:" in
  *":$bin:"*) ;;
  *) echo "add it to your PATH: export PATH=\"$bin:\$PATH\"" ;;
esac
