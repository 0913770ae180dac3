#!/bin/sh
# Makes the container image scistream:VERSION, without a registry and without a base image.
set -eu

usage() {
  cat << 'END'
scripts/image.sh [EXECUTABLE]

Imports scistream:VERSION and scistream:latest: the executable with the libraries that it loads, CA
certificates and a shell, run by a user who is not root. Without EXECUTABLE it is dist/scistream, and
where `deno task build` has made none, the sources of this checkout with Deno and their packages.
  DOCKER_HOST   the engine that gets it, as for docker
  DOCKER        the command that imports it: docker, or podman (with options, if need be)
END
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
tree=$(dirname "$here")
# shellcheck source=scripts/rootfs.sh
. "$here/rootfs.sh"
engine

executable=${1:-$tree/dist/scistream}
[ $# -eq 0 ] || [ -f "$executable" ] || fail "there is no file $executable"
certificates=/etc/ssl/certs/ca-certificates.crt
needs $certificates ca-certificates

root=$work/scistream
mkdir "$root"
base
# s2cs asks it for its limits, and the commands below are scripts of it.
copy /bin/sh
mkdir -p "$root/usr/local/bin"
cp -L --parents $certificates "$root"
# The number of its user stays: volumes keep it.
user=10001
echo "scistream:x:$user:$user:scistream:/var/lib/scistream:/sbin/nologin" >> "$root/etc/passwd"
echo "scistream:x:$user:" >> "$root/etc/group"
mkdir -p "$root/etc/scistream"

commit=$(git -C "$tree" rev-parse HEAD 2> /dev/null || echo unknown)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$tree" log -1 --format=%ct 2> /dev/null || echo 0)}
version=$(sed -n 's/^ *"version": "\(.*\)",$/\1/p' "$tree/deno.json")
if [ -f "$executable" ]; then
  # "scistream 0.1.0 (COMMIT, …"
  said=$("$executable" --version) || fail "$executable does not run on this machine"
  version=$(echo "$said" | cut -d ' ' -f 2)
  commit=$(echo "$said" | sed 's/^[^(]*(\([^,]*\),.*$/\1/')
  cp "$executable" "$root/usr/local/bin/scistream"
  chmod 755 "$root/usr/local/bin/scistream"
  libraries "$executable"
else
  echo "image: no executable at $executable, so it is the sources with Deno" >&2
  pinned=$(sed -n 's/^export const PINNED_DENO = "\(.*\)";$/\1/p' "$tree/lib/version.ts")
  deno=$(command -v deno || echo false)
  "$deno" --version | head -n 1 | grep -q "^deno $pinned " ||
    fail "the sources run with Deno $pinned: npx -y deno@$pinned task image"
  cp -L "$deno" "$root/usr/local/bin/deno"
  libraries "$deno"
  there=/usr/local/lib/scistream
  mkdir -p "$root$there"
  "$deno" run --quiet --no-prompt --allow-read --allow-write --allow-env --allow-run \
    "$here/release/sources.ts" "$tree" "$root$there"
  flags=$(sed -n 's/^ *"scistream": "deno \(run .*\) cmd\/scistream.ts",*$/\1/p' "$tree/deno.json")
  printf '#!/bin/sh\nDENO_DIR=%s/cache exec deno %s --cached-only --config %s %s "$@"\n' \
    $there "$flags" $there/src/deno.json $there/src/cmd/scistream.ts \
    > "$root/usr/local/bin/scistream"
  chmod 755 "$root/usr/local/bin/scistream"
fi
for name in s2cs s2uc appctrl s2ds; do
  printf '#!/bin/sh\nexec scistream %s "$@"\n' $name > "$root/usr/local/bin/$name"
  chmod 755 "$root/usr/local/bin/$name"
done

# pack FLAGS PATH ...: reproducible, as far as what is in it is.
pack() {
  flags=$1
  shift
  tar "$flags" -f "$work/scistream.tar" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner \
    -C "$root" "$@"
}
pack -c --owner=0 --group=0 .
mkdir "$root/var/lib/scistream"
chmod 700 "$root/var/lib/scistream"
pack -r --owner=$user --group=$user ./var/lib/scistream

label=org.opencontainers.image
import_image "$work/scistream.tar" "scistream:$version" \
  -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
  -c 'ENV HOME=/var/lib/scistream' \
  -c "ENV SSL_CERT_FILE=$certificates" \
  -c 'ENV SCISTREAM_SERVER_CRT=/etc/scistream/server.crt' \
  -c 'ENV SCISTREAM_SERVER_KEY=/etc/scistream/server.key' \
  -c 'ENV SCISTREAM_STATE_DIR=/var/lib/scistream' \
  -c 'ENTRYPOINT ["scistream"]' \
  -c 'CMD ["s2cs"]' \
  -c 'EXPOSE 5000' \
  -c 'EXPOSE 5100-5200' \
  -c "USER $user:$user" \
  -c 'VOLUME /var/lib/scistream' \
  -c 'WORKDIR /var/lib/scistream' \
  -c "LABEL $label.title=scistream" \
  -c "LABEL $label.description=\"Streams scientific data memory to memory between institutions\"" \
  -c "LABEL $label.version=$version" \
  -c "LABEL $label.revision=\"$commit\"" \
  -c "LABEL $label.created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
# shellcheck disable=SC2086
$docker tag "scistream:$version" scistream:latest
