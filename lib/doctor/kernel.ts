/**
 * Checks of what the kernel allows: buffers, queues, limits. What is recommended is ESnet's tuning of
 * hosts with 100 Gbit/s (fasterdata.es.net, "Linux Tuning").
 * @module
 */
import { ask, type Interface, interfaces, kernelSettings } from "../machine.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";

/** Where data is to come in. */
export interface KernelSettings {
  listenerIp: string;
  wanIp?: string;
}

/** What 100 Gbit/s have under way on a path of 40 ms, in bytes. */
const UNDER_WAY = 500_000_000;
/** ESnet's, in bytes: of one socket, and of the kernel's own tuning. */
const SOCKET_MOST = 2_147_483_647;
const TUNED_MOST = 1_073_741_824;
const BACKLOG = 250_000;
const JUMBO = 9000;
/** What the systemd unit sets. A connection takes two, in its data server. */
const FILES = 65_536;
/** With fewer a control server hardly starts. */
const FEW_FILES = 512;
const CONNTRACK = 1_048_576;
/** How full the table of connections may be. */
const FULL = 0.8;

/** `socket-buffers`, `backlog`, `congestion-control`, `mtu`, `open-files`, `conntrack`. */
export function kernelChecks(settings: KernelSettings): Check[] {
  return [
    { name: "socket-buffers", look: buffers },
    { name: "backlog", look: backlog },
    { name: "congestion-control", look: congestion },
    { name: "mtu", look: (signal) => mtu(settings, signal) },
    { name: "open-files", look: openFiles },
    { name: "conntrack", look: conntrack },
  ];
}

/** The command that sets what the kernel is to do, for good. */
export function setKernel(name: string, lines: readonly string[]): string {
  const words = lines.map((line) => `'${line}'`).join(" ");
  return `printf '%s\\n' ${words} | sudo tee /etc/sysctl.d/90-scistream-${name}.conf && sudo sysctl --system`;
}

async function buffers(signal: AbortSignal): Promise<Finding> {
  const wanted: Record<string, string> = {
    "net.core.rmem_max": `${SOCKET_MOST}`,
    "net.core.wmem_max": `${SOCKET_MOST}`,
    "net.ipv4.tcp_rmem": `4096 131072 ${TUNED_MOST}`,
    "net.ipv4.tcp_wmem": `4096 16384 ${TUNED_MOST}`,
  };
  const found = await kernelSettings(Object.keys(wanted), signal);
  if (found.size === 0) return skip("the kernel does not tell its buffers here");
  const most = (value: string) => Number(value.split(" ").at(-1));
  const small = [...found].filter(([, value]) => most(value) < UNDER_WAY);
  const told = [...found].map(([name, value]) => `${name.split(".").at(-1)} ${most(value)}`)
    .join(", ");
  if (small.length === 0) return ok(`${told} bytes`);
  return warn(
    `${told} bytes: ${small.length} of ${found.size} below the ${UNDER_WAY} that 100 Gbit/s have under way in 40 ms`,
    setKernel("buffers", small.map(([name]) => `${name} = ${wanted[name]}`)),
  );
}

async function backlog(signal: AbortSignal): Promise<Finding> {
  const name = "net.core.netdev_max_backlog";
  const value = (await kernelSettings([name], signal)).get(name);
  if (value === undefined) return skip(`the kernel does not tell ${name} here`);
  if (Number(value) >= BACKLOG) return ok(`${name} ${value}`);
  return warn(
    `${name} ${value}: a burst of 100 Gbit/s may be dropped before TCP sees it`,
    setKernel("backlog", [`${name} = ${BACKLOG}`]),
  );
}

async function congestion(signal: AbortSignal): Promise<Finding> {
  const [control, queue, choice] = [
    "net.ipv4.tcp_congestion_control",
    "net.core.default_qdisc",
    "net.ipv4.tcp_available_congestion_control",
  ] as const;
  const found = await kernelSettings([control, queue, choice], signal);
  const [now, qdisc] = [found.get(control), found.get(queue)];
  if (now === undefined) return skip("the kernel does not tell its congestion control here");
  const told = `${now}${qdisc === undefined ? "" : `, queue ${qdisc}`}`;
  const lines = [
    ...now === "bbr" || now === "htcp" ? [] : [`${control} = bbr`],
    ...qdisc === undefined || qdisc === "fq" ? [] : [`${queue} = fq`],
  ];
  if (lines.length === 0) return ok(told);
  const load = lines.some((line) => line.endsWith("bbr")) &&
    !(found.get(choice) ?? "").split(" ").includes("bbr");
  return warn(
    `${told}: long paths with some loss are slower than with bbr and fq, which paces`,
    `${load ? "sudo modprobe tcp_bbr && " : ""}${setKernel("congestion", lines)}`,
  );
}

async function mtu({ listenerIp, wanIp }: KernelSettings, signal: AbortSignal): Promise<Finding> {
  const all = (await interfaces(signal)).filter((each) => each.mtu !== undefined);
  const named = all.filter(({ addresses }) =>
    addresses.some((each) => each === listenerIp || each === wanIp)
  );
  const meant = (named.length > 0 ? named : all).filter(({ loopback, addresses }) =>
    !loopback && addresses.length > 0
  );
  if (meant.length === 0) return skip("no interface but the loopback has one of the addresses");
  const told = (those: readonly Interface[]) =>
    those.map(({ name, mtu }) => `${name} ${mtu}`).join(", ");
  const small = meant.filter(({ mtu }) => (mtu ?? 0) < JUMBO);
  if (small.length === 0) return ok(told(meant));
  return warn(
    `${told(small)}: packets of ${JUMBO} take a sixth of the work`,
    `where every switch on the way takes them: ${
      small.map(({ name }) => `sudo ip link set ${name} mtu ${JUMBO}`).join(" && ")
    }`,
  );
}

async function openFiles(signal: AbortSignal): Promise<Finding> {
  const said = (await ask("sh", ["-c", "ulimit -n"], signal))?.out.trim() ?? "";
  const limit = said === "unlimited" ? Infinity : Number(said || NaN);
  if (Number.isNaN(limit)) return skip("the shell does not tell the limit of open files");
  if (limit >= FILES) return ok(`${said} for each process`);
  const advice =
    `ulimit -n ${FILES} before s2cs, nofile in /etc/security/limits.conf, or the systemd unit, which has LimitNOFILE=${FILES}`;
  const found = `${said} for each process; every connection takes two, so about ${
    Math.floor(limit / 2)
  } fit`;
  return limit < FEW_FILES ? fail(found, advice) : warn(found, advice);
}

async function conntrack(signal: AbortSignal): Promise<Finding> {
  const most = "net.netfilter.nf_conntrack_max";
  const count = "net.netfilter.nf_conntrack_count";
  const found = await kernelSettings([most, count], signal);
  const limit = Number(found.get(most) ?? NaN);
  const used = Number(found.get(count) ?? NaN);
  if (Number.isNaN(limit + used)) return skip("the kernel keeps no table of connections");
  const told = `${used} of ${limit} tracked connections`;
  if (used < limit * FULL) return ok(told);
  return warn(
    `${told}: when the table is full, new connections are dropped`,
    setKernel("conntrack", [`${most} = ${Math.max(CONNTRACK, 2 * limit)}`]),
  );
}
