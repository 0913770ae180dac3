#!/bin/sh
# Makes the container images haproxy:latest, nginx:latest and stunnel:latest of the programs that
# this machine's own Debian packages installed: for machines without a registry, and for CI.
set -eu

usage() {
  cat << 'END'
scripts/images.sh [haproxy|nginx|stunnel ...]      without arguments all three

Imports haproxy:latest, nginx:latest and stunnel:latest, made of this machine's Debian packages.
  DOCKER_HOST   the engine that gets them, as for docker
  DOCKER        the command that imports them: docker, or podman (with options, if need be)
END
}

fail() {
  echo "images: $1" >&2
  exit 1
}

for name in "$@"; do
  case $name in
    -h | --help) usage; exit 0 ;;
    haproxy | nginx | stunnel) ;;
    *) fail "no image \"$name\": there are haproxy, nginx and stunnel" ;;
  esac
done
[ $# -gt 0 ] || set -- haproxy nginx stunnel

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

needs() {
  [ -e "$1" ] || fail "$1 is not here: install the Debian package $2"
}

# Copies programs or modules, and the libraries that they load, to the same paths in the image.
copy() {
  for file in "$@"; do
    cp -L --parents "$file" "$root"
    libraries=$(ldd "$file")
    case $libraries in
      *"not found"*) fail "$file lacks a library: $(echo "$libraries" | grep "not found")" ;;
    esac
    # "name => /path (address)", and "/path (address)" for the loader.
    for library in $(echo "$libraries" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*$/\1/p'); do
      cp -L --parents "$library" "$root"
    done
    # Not linked, but loaded when a thread ends: without it glibc aborts.
    libc=$(echo "$libraries" | sed -n 's/^.*libc\.so\.6 => \(\/[^ ]*\) (0x.*$/\1/p')
    unwinder=$(dirname "$libc")/libgcc_s.so.1
    [ ! -e "$unwinder" ] || cp -L --parents "$unwinder" "$root"
  done
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

haproxy() {
  needs /usr/sbin/haproxy haproxy
  copy /usr/sbin/haproxy
  mkdir -p "$root/usr/local/etc/haproxy"
  command='["haproxy","-W","-db","-f","/usr/local/etc/haproxy/haproxy.cfg"]'
}

nginx() {
  modules=/usr/lib/nginx/modules
  load=/usr/share/nginx/modules-available/mod-stream.conf
  needs /usr/sbin/nginx nginx
  needs $modules/ngx_stream_module.so libnginx-mod-stream
  needs $load libnginx-mod-stream
  copy /usr/sbin/nginx $modules/ngx_stream_module.so
  cp --parents $load "$root"
  # It loads modules/ngx_stream_module.so, which nginx looks for beneath its prefix.
  ln -s ../../lib/nginx/modules "$root/usr/share/nginx/modules"
  mkdir -p "$root/etc/nginx" "$root/var/lib/nginx" "$root/var/log/nginx"
  ln -s /dev/stdout "$root/var/log/nginx/access.log"
  ln -s /dev/stderr "$root/var/log/nginx/error.log"
  command='["nginx","-c","/etc/nginx/nginx.conf","-g","daemon off;"]'
}

stunnel() {
  # Debian's /usr/bin/stunnel is a link to it that other packages may turn elsewhere.
  needs /usr/bin/stunnel4 stunnel4
  copy /usr/bin/stunnel4
  ln -s stunnel4 "$root/usr/bin/stunnel"
  mkdir -p "$root/etc/stunnel"
  command='["stunnel","/etc/stunnel/stunnel.conf"]'
}

path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for name in "$@"; do
  # A folder within: mktemp's own is closed to everybody else, and the image would be too.
  root=$work/$name
  mkdir "$root"
  base
  "$name"
  tar -c -f "$work/$name.tar" --owner=0 --group=0 --numeric-owner -C "$root" .
  # shellcheck disable=SC2086
  $docker import -c "ENV PATH=$path" -c "CMD $command" - "docker.io/library/$name:latest" \
    < "$work/$name.tar" > "$work/said" 2>&1 || fail "$docker import: $(cat "$work/said")"
  # shellcheck disable=SC2086
  size=$($docker image inspect --format '{{.Size}}' "$name:latest")
  echo "$name:latest  $((size / 1000000)) MB"
done
