/**
 * Where a benchmark ran, and with what.
 * @module
 */
import { run } from "./process.ts";

/** Machine and versions, by name. */
export async function machine(signal: AbortSignal): Promise<Record<string, string>> {
  const text = (command: string[]) =>
    // nginx and stunnel tell their versions on stderr.
    run(["sh", "-c", '"$@" 2>&1', "sh", ...command], signal).catch(() => "not installed");
  const find = async (command: string[], pattern: RegExp) =>
    pattern.exec(await text(command))?.[1]?.trim() ?? "not installed";
  const model = await find(["cat", "/proc/cpuinfo"], /^model name\s*:\s*(.*)$/m);
  return {
    machine: `${navigator.hardwareConcurrency} × ${model}, Linux ${await find(
      ["uname", "-r"],
      /(.*)/,
    )}`,
    load: await find(["cat", "/proc/loadavg"], /^(\S+)/),
    deno: Deno.version.deno,
    haproxy: await find(["haproxy", "-v"], /version (\S+)/),
    nginx: await find(["nginx", "-v"], /nginx\/(\S+)/),
    stunnel: await find(["stunnel", "-version"], /stunnel (\S+) on/),
    socat: await find(["socat", "-V"], /socat version (\S+)/),
    docker: await find(["docker", "version", "--format", "{{.Server.Version}}"], /^(\d\S*)/m),
    iperf3: await find(["iperf3", "--version"], /iperf (\S+)/),
    "python3-grpcio": await find(
      ["/usr/bin/python3", "-c", "import grpc; print(grpc.__version__)"],
      /^([\d.]+)/m,
    ),
  };
}
