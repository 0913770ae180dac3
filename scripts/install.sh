#!/bin/sh
# Puts scistream, s2cs, s2uc, appctrl and s2ds into a folder of the PATH:
#   scripts/install.sh [PREFIX]        default ~/.local, commands go to PREFIX/bin, completions
#                                      and manual pages to PREFIX/share
# It installs dist/scistream where `deno task build` made one, and otherwise a command that runs
# this checkout with Deno.
set -eu

prefix=${1:-"$HOME/.local"}
root=$(cd "$(dirname "$0")/.." && pwd)
bin=$prefix/bin
pinned=$(sed -n 's/^export const PINNED_DENO = "\(.*\)";$/\1/p' "$root/lib/version.ts")
mkdir -p "$bin"

# Written beside and renamed, so that a command that is running is never half replaced.
place() {
  chmod 755 "$1.new"
  mv -f "$1.new" "$1"
}

if [ -x "$root/dist/scistream" ]; then
  cp "$root/dist/scistream" "$bin/scistream.new"
else
  if deno=$(command -v deno) && "$deno" --version | head -n 1 | grep -q "^deno $pinned "; then
    runner=\"$deno\"
  elif command -v npx > /dev/null; then
    runner="npx -y deno@$pinned"
  else
    echo "install: needs Deno $pinned, or npx to fetch it" >&2
    exit 1
  fi
  flags=$(sed -n 's/^ *"scistream": "deno \(run .*\) cmd\/scistream.ts",*$/\1/p' "$root/deno.json")
  printf '#!/bin/sh\nexec %s %s --config "%s/deno.json" "%s/cmd/scistream.ts" "$@"\n' \
    "$runner" "$flags" "$root" "$root" > "$bin/scistream.new"
fi
place "$bin/scistream"

for name in s2cs s2uc appctrl s2ds; do
  printf '#!/bin/sh\nexec "%s/scistream" %s "$@"\n' "$bin" "$name" > "$bin/$name.new"
  place "$bin/$name"
done

# The command itself writes its completions and manual pages, to where shells and man look.
extras() {
  share=$prefix/share
  bash=$share/bash-completion/completions
  fish=$share/fish/vendor_completions.d
  mkdir -p "$bash" "$fish" "$share/zsh/site-functions" &&
    "$bin/scistream" completions bash > "$bash/scistream" &&
    "$bin/scistream" completions fish > "$fish/scistream.fish" &&
    "$bin/scistream" completions zsh > "$share/zsh/site-functions/_scistream" &&
    "$bin/scistream" man --dir "$share/man" > /dev/null || return 1
  for name in s2cs s2uc appctrl s2ds; do
    ln -sf scistream "$bash/$name"
    ln -sf scistream.fish "$fish/$name.fish"
  done
}
extras || echo "install: without completions and manual pages" >&2

echo "installed scistream, s2cs, s2uc, appctrl and s2ds in $bin"
case ":$PATH:" in
  *":$bin:"*) ;;
  *) echo "add it to your PATH: export PATH=\"$bin:\$PATH\"" ;;
esac
