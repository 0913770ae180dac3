/**
 * What somebody might send for an address or a uid who wants more than a stream.
 * @module
 */

/** No addresses. */
export const NO_ADDRESSES = [
  "",
  ":",
  ":80",
  "127.0.0.1:80;\n  include /etc/passwd",
  "127.0.0.1:80\nserver evil 192.0.2.1:80",
  "127.0.0.1:80\rserver evil 192.0.2.1:80",
  "127.0.0.1:80\0",
  "127.0.0.1:80 backup",
  "127.0.0.1:80 # ",
  "127.0.0.1:80 }",
  "127.0.0.1:80; } } http { server { listen 1",
  "127.0.0.1:80\u2028server x",
  "127.0.0.1:80\u2029server x",
  "127.0.0.1\u0085:80",
  "127.0.0.1,192.0.2.1:80",
  "127.0.0.1:80-90",
  "127.0.0.1:+80",
  "127.0.0.1:000080",
  "127.0.0.1:80\n[evil]\nconnect = 192.0.2.1:80",
  "127.0.0.1:80\nexec = /bin/sh",
  "[::1%\n]:80",
  "[::1%a b]:80",
  "[::1]:80\nserver x",
  "[::1]\n:80",
  "[[::1]]:80",
  "[]:80",
  "unix@/run/x:80",
  "unix:/run/x:80",
  "/run/docker.sock:80",
  "fd@3:80",
  "*:80",
  "$(id):80",
  "${PATH}:80",
  "$host:80",
  "`id`:80",
  "'127.0.0.1':80",
  '"127.0.0.1":80',
  "127.0.0.1\\:80",
  "127.0.0.1:80\\",
  "%[env(PATH)]:80",
  "<%= 1 %>:80",
  "bücher.example.invalid:80",
  "１２７.0.0.1:80",
  "-x:80",
  "x-:80",
  "--:80",
  "a..b:80",
  ".:80",
  "..:80",
  `${"a".repeat(64)}.invalid:80`,
  `${"a.".repeat(140)}invalid:80`,
  "x".repeat(1 << 20),
];

/** Addresses with the name of an interface, which cannot stand in a proxy's configuration. */
export const SCOPED = ["[::1%eth0]:80", "[fe80::1%25eth0]:80"];

/** Addresses that only look like something else. */
export const LOOK_ALIKES = [
  "127.0.0.1:080",
  "unix:80",
  "UNIX:80",
  "env:80",
  "0x7f.0x1:80",
  "default:80",
  "xn--bcher-kva.example.invalid:80",
  `${"a".repeat(63)}.invalid:80`,
  `${"a.".repeat(120)}invalid:80`,
];

/** All of them. */
export const HOSTILE = [...NO_ADDRESSES, ...SCOPED, ...LOOK_ALIKES];
