# What scripts that make container images share: a folder $root becomes an image. Sourced by them.
# shellcheck shell=sh disable=SC2154

fail() {
  echo "$(basename "$0" .sh): $1" >&2
  exit 1
}

# Finds the engine, and makes the folder $work for everything that is made.
engine() {
  # Left unquoted where it is used: it may be "podman --root FOLDER".
  docker=${DOCKER:-docker}
  program=${docker%% *}
  command -v "$program" > /dev/null ||
    fail "$program is not here: install the Debian package docker.io, or podman for DOCKER=podman"
  # What is copied must be readable to the user that the container runs as.
  umask 022
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
}

needs() {
  [ -e "$1" ] || fail "$1 is not here: install the Debian package $2"
}

# Copies programs or modules, and the libraries that they load, to the same paths in the image.
copy() {
  for file in "$@"; do
    cp -L --parents "$file" "$root"
    libraries "$file"
  done
}

# Copies the libraries that a program or module loads.
libraries() {
  libraries=$(ldd "$1")
  case $libraries in
    *"not found"*) fail "$1 lacks a library: $(echo "$libraries" | grep "not found")" ;;
  esac
  # "name => /path (address)", and "/path (address)" for the loader.
  for library in $(echo "$libraries" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*$/\1/p'); do
    cp -L --parents "$library" "$root"
  done
  # Not linked, but loaded when a thread ends: without it glibc aborts.
  libc=$(echo "$libraries" | sed -n 's/^.*libc\.so\.6 => \(\/[^ ]*\) (0x.*$/\1/p')
  unwinder=$(dirname "$libc")/libgcc_s.so.1
  [ ! -e "$unwinder" ] || cp -L --parents "$unwinder" "$root"
}

# What any program expects of a system.
base() {
  mkdir -p "$root/etc" "$root/run" "$root/tmp" "$root/var/log" "$root/var/lib"
  chmod 1777 "$root/tmp"
  printf '%s\n' 'root:x:0:0:root:/:/sbin/nologin' \
    'www-data:x:33:33:www-data:/var/www:/sbin/nologin' \
    'nobody:x:65534:65534:nobody:/:/sbin/nologin' > "$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'www-data:x:33:' 'nogroup:x:65534:' > "$root/etc/group"
  # Without it glibc asks DNS before /etc/hosts.
  echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
}

# import_image TAR IMAGE [-c INSTRUCTION ...]: gives the archive to the engine.
import_image() {
  tar=$1 image=$2
  shift 2
  # shellcheck disable=SC2086
  $docker import "$@" - "docker.io/library/$image" < "$tar" > "$work/said" 2>&1 ||
    fail "$docker import: $(cat "$work/said")"
  # shellcheck disable=SC2086
  size=$($docker image inspect --format '{{.Size}}' "$image")
  echo "$image  $((size / 1000000)) MB"
}
