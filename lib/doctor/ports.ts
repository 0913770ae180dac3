/**
 * Checks of the addresses and ports that a control server listens on.
 * @module
 */
import { ask, kernelSettings, ownAddresses } from "../machine.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf } from "../protocol/errors.ts";
import type { PortRange } from "../protocol/values.ts";
import { PortsInUse } from "../s2ds/data_server.ts";
import { probePorts } from "../s2ds/probe.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";
import { setKernel } from "./kernel.ts";

/** Where it is to listen. */
export interface PortSettings {
  listenerIp: string;
  wanIp?: string;
  port: number;
  portRange: PortRange;
  udp: boolean;
  /** Whether sessions listen on another host. */
  elsewhere: boolean;
}

/** A program that listens. */
interface Holder {
  port: number;
  pid: number;
  name: string;
  /** Its command line; empty where it cannot be seen. */
  args: string;
}

/** As many are named; the rest is counted. */
const MOST_NAMED = 5;
/** Our own: a control server, from source, as a binary or by its short name. */
const S2CS = /(^|[\s/])s2cs(\s|$)/;
const S2DS = /(^|[\s/])s2ds(\s|$)/;

/** `listener`, `control-port`, `port-range`, `ephemeral-ports`. */
export function portChecks(settings: PortSettings): Check[] {
  const { listenerIp, port, portRange } = settings;
  const wanIp = settings.elsewhere ? undefined : settings.wanIp;
  return [
    { name: "listener", look: (signal) => listener(listenerIp, wanIp, signal) },
    { name: "control-port", look: (signal) => controlPort(listenerIp, port, signal) },
    { name: "port-range", look: (signal) => range(settings, signal) },
    { name: "ephemeral-ports", look: (signal) => ephemeral(portRange, signal) },
  ];
}

async function listener(host: string, wan: string | undefined, signal: AbortSignal) {
  for (const [name, at] of [["listener-ip", host], ["wan-ip", wan]] as const) {
    if (at === undefined) continue;
    const why = whyNot(new Endpoint(at, 0));
    if (why === undefined) continue;
    const own = await ownAddresses(signal);
    return fail(
      `this machine cannot listen on --${name} ${at}: ${why}`,
      own.length > 0
        ? `take an address of this machine: ${own.map((each) => `--${name} ${each}`).join(" or ")}`
        : "take an address of this machine: `ip addr` shows them",
    );
  }
  return ok(`${[host, wan].filter((each) => each !== undefined).join(" and ")} can be listened on`);
}

/** Why nobody could listen there; undefined if one can. */
function whyNot(at: Endpoint): string | undefined {
  try {
    Deno.listen({ hostname: at.host, port: at.port }).close();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

async function controlPort(host: string, port: number, signal: AbortSignal): Promise<Finding> {
  if (port === 0) return ok("s2cs takes a free one (--port 0)");
  const at = new Endpoint(host, port);
  try {
    Deno.listen({ hostname: host, port }).close();
    return ok(`${at} is free`);
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) {
      return fail(
        `${at}: ports this low are for root`,
        "take a --port above 1023, or give the unit AmbientCapabilities=CAP_NET_BIND_SERVICE",
      );
    }
    if (!(error instanceof Deno.errors.AddrInUse)) {
      return skip(`${at} cannot be tried: ${messageOf(error)}`);
    }
  }
  const holders = await holdersOf((each) => each === port, signal);
  const own = holders.find(({ args }) => S2CS.test(args));
  if (own) return ok(`an s2cs listens at ${at} already (process ${own.pid})`);
  return fail(
    `${at} is taken by ${told(holders)}`,
    `end that, or take another --port; sudo ss -ltnp 'sport = :${port}' shows who it is`,
  );
}

async function range(settings: PortSettings, signal: AbortSignal): Promise<Finding> {
  const { listenerIp, wanIp, port, portRange, udp, elsewhere } = settings;
  if (elsewhere) return skip("sessions listen on the Docker Engine's host");
  const ports = Array.from({ length: portRange.size }, (_, i) => portRange.first + i)
    .filter((each) => each !== port);
  // Producers' listeners are on every address where no --wan-ip says which.
  const hosts = new Set([listenerIp, wanIp ?? "0.0.0.0"]);
  const taken = new Set<number>();
  for (const host of hosts) {
    try {
      probePorts(ports.map((each) => new Endpoint(host, each)), udp);
    } catch (error) {
      if (!(error instanceof PortsInUse)) return skip(messageOf(error));
      for (const each of error.ports) taken.add(each);
    }
  }
  const all = `${portRange.size} ports, ${portRange}`;
  const holders = await holdersOf((each) => taken.has(each), signal);
  const ours = new Set(holders.filter(({ args }) => S2DS.test(args)).map((each) => each.port));
  const strangers = holders.filter((each) => !ours.has(each.port));
  const theirs = [...taken].filter((each) => !ours.has(each));
  const held = ours.size > 0 ? `; sessions of a control server here hold ${ours.size}` : "";
  const another = strangers.length === 0
    ? "take another --port-range; sudo ss -ltunp shows who has these"
    : `take another --port-range, or end ${told(strangers)}`;
  if (ports.length === 0 || theirs.length === ports.length) {
    return fail(`${all}: none is free`, another);
  }
  if (theirs.length > 0) {
    const some = theirs.slice(0, MOST_NAMED).join(", ");
    return warn(
      `${all}: ${theirs.length} taken by others (${some}${
        theirs.length > MOST_NAMED ? ", …" : ""
      }: ${told(strangers)}), which s2cs leaves out${held}`,
      another,
    );
  }
  if (ports.length < portRange.size) {
    return warn(
      `${all}: the control server's own ${port} is among them`,
      "take another --port or --port-range",
    );
  }
  return ok(`${all}, are free${held}`);
}

async function ephemeral({ first, last }: PortRange, signal: AbortSignal): Promise<Finding> {
  const range = "net.ipv4.ip_local_port_range";
  const reserved = "net.ipv4.ip_local_reserved_ports";
  const found = await kernelSettings([range, reserved], signal);
  const [from = NaN, to = NaN] = found.get(range)?.split(" ").map(Number) ?? [];
  if (Number.isNaN(from + to)) return skip(`the kernel does not tell ${range}`);
  const apart = `the kernel gives out ${from}-${to} by itself`;
  if (last < from || first > to) return ok(`${apart}, none of them of ${first}-${last}`);
  const kept = (found.get(reserved) ?? "").split(",").filter(Boolean).map((part) => {
    const [a = NaN, b = a] = part.split("-").map(Number);
    return [a, b] as const;
  });
  const overlap = [Math.max(first, from), Math.min(last, to)] as const;
  if (kept.some(([a, b]) => a <= overlap[0] && b >= overlap[1])) {
    return ok(`${apart}, but not ${first}-${last}, which are reserved`);
  }
  const shared = `${apart}, also ${
    overlap.join("-")
  } of the port range: other programs may get them`;
  // Reserved ports are none for connections to elsewhere.
  if (overlap[1] - overlap[0] > (to - from) / 2) {
    return warn(shared, `take a --port-range outside of ${from}-${to}`);
  }
  const others = kept.map(([a, b]) => a === b ? `${a}` : `${a}-${b}`);
  return warn(
    shared,
    setKernel("ports", [`${reserved} = ${[...others, overlap.join("-")].join(",")}`]),
  );
}

/** Who listens on these ports; those of other users cannot be seen by everybody. */
async function holdersOf(
  isMeant: (port: number) => boolean,
  signal: AbortSignal,
): Promise<Holder[]> {
  const said = await ask("ss", ["-Hltunp"], signal);
  const found = new Map<string, Holder>();
  for (const line of said?.out.split("\n") ?? []) {
    const port = Number(/:(\d+)\s+\S+:\*/.exec(line)?.[1]);
    if (!isMeant(port)) continue;
    for (const [, name = "", pid] of line.matchAll(/\("([^"]*)",pid=(\d+)/g)) {
      found.set(`${port} ${pid}`, { port, pid: Number(pid), name, args: "" });
    }
  }
  const holders = [...found.values()];
  const pids = [...new Set(holders.map(({ pid }) => pid))];
  if (pids.length === 0) return [];
  const ps = await ask("ps", ["-ww", "-o", "pid=,args=", "-p", pids.join(",")], signal);
  for (const line of ps?.out.split("\n") ?? []) {
    const [, pid, args] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
    for (const holder of holders) if (holder.pid === Number(pid)) holder.args = args ?? "";
  }
  return holders;
}

function told(holders: readonly Holder[]): string {
  const names = [...new Set(holders.map(({ name, pid }) => `${name} (process ${pid})`))];
  if (names.length === 0) return "a program that this user cannot see";
  const more = names.length > MOST_NAMED ? " and others" : "";
  return names.slice(0, MOST_NAMED).join(", ") + more;
}
