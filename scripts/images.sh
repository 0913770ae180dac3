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

# shellcheck source=scripts/rootfs.sh
. "$(dirname "$0")/rootfs.sh"

for name in "$@"; do
  case $name in
    -h | --help) usage; exit 0 ;;
    haproxy | nginx | stunnel) ;;
    *) fail "no image \"$name\": there are haproxy, nginx and stunnel" ;;
  esac
done
[ $# -gt 0 ] || set -- haproxy nginx stunnel

engine

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
  import_image "$work/$name.tar" "$name:latest" -c "ENV PATH=$path" -c "CMD $command"
done
