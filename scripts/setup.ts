/**
 * The real programs that tests and benchmarks stream through: which there are, and how to get them.
 * @module
 */

/** A Debian package, and a file that is there once it is installed. */
interface Needed {
  package: string;
  file: string;
}

const NEEDED: Needed[] = [
  { package: "iproute2", file: "/usr/sbin/ip|/sbin/ip" },
  { package: "openssl", file: "/usr/bin/openssl" },
  {
    package: "faketime",
    file: ["x86_64", "aarch64"].map((machine) =>
      `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`
    ).join("|"),
  },
  { package: "e2fsprogs", file: "/usr/sbin/mkfs.ext4|/sbin/mkfs.ext4" },
  { package: "iptables", file: "/usr/sbin/iptables|/sbin/iptables" },
  { package: "iperf", file: "/usr/bin/iperf" },
  { package: "iperf3", file: "/usr/bin/iperf3" },
  { package: "tcpdump", file: "/usr/bin/tcpdump|/usr/sbin/tcpdump" },
  { package: "haproxy", file: "/usr/sbin/haproxy" },
  { package: "nginx", file: "/usr/sbin/nginx" },
  { package: "libnginx-mod-stream", file: "/usr/lib/nginx/modules/ngx_stream_module.so" },
  { package: "protobuf-compiler", file: "/usr/bin/protoc" },
  { package: "python3-grpcio", file: "/usr/lib/python3/dist-packages/grpc" },
  { package: "python3-grpc-tools", file: "/usr/lib/python3/dist-packages/grpc_tools" },
  { package: "python3-protobuf", file: "/usr/lib/python3/dist-packages/google/protobuf" },
  { package: "python3-zmq", file: "/usr/lib/python3/dist-packages/zmq" },
  { package: "nghttp2-client", file: "/usr/bin/h2load" },
  { package: "ruby", file: "/usr/bin/ruby" },
  { package: "shellcheck", file: "/usr/bin/shellcheck" },
  { package: "debootstrap", file: "/usr/sbin/debootstrap" },
  { package: "stunnel4", file: "/usr/bin/stunnel4" },
  { package: "socat", file: "/usr/bin/socat" },
  { package: "docker.io", file: "/usr/sbin/dockerd" },
  { package: "podman", file: "/usr/bin/podman" },
  { package: "prometheus", file: "/usr/bin/promtool" },
  { package: "jq", file: "/usr/bin/jq" },
  { package: "systemd", file: "/usr/bin/systemd-analyze" },
  { package: "chromium", file: "/usr/bin/chromium" },
  { package: "bash-completion", file: "/usr/share/bash-completion/bash_completion" },
  { package: "zsh", file: "/usr/bin/zsh" },
  { package: "fish", file: "/usr/bin/fish" },
  { package: "man-db", file: "/usr/bin/man" },
  { package: "mandoc", file: "/usr/bin/mandoc" },
];

/** Debian packages that are not here. */
export function missing(): string[] {
  return NEEDED.filter(({ file }) => !file.split("|").some(exists)).map((each) => each.package);
}

/** Installs what is missing where that is possible; answers what is still missing. */
export function install(say: (line: string) => void): string[] {
  const packages = missing();
  if (packages.length === 0) return [];
  if (Deno.uid() !== 0 || !exists("/usr/bin/apt-get")) return packages;
  say(`installing ${packages.join(", ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  for (
    const args of [["update", "-q"], [
      "install",
      "-q",
      "-y",
      "--no-install-recommends",
      ...packages,
    ]]
  ) {
    const { success, stdout, stderr } = new Deno.Command("apt-get", { args, env }).outputSync();
    const text = new TextDecoder();
    if (!success) say(`apt-get ${args[0]} failed:\n${text.decode(stdout)}${text.decode(stderr)}`);
  }
  return missing();
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
