/**
 * The tutorial's hosts on one machine (contract section 8): network namespaces joined by veth
 * pairs. No gateway forwards packets and no host has a default route, so what crosses from one
 * facility to the other went through a data server.
 * @module
 */
import {
  type Ended,
  eventually,
  processes,
  run,
  Running,
  type RunOptions,
  SCISTREAM,
} from "./harness.ts";

/** What the tests of a network run, beside scistream. */
const TOOLS = ["ip", "ss", "tcpdump", "bash", "openssl", "sha256sum", "iperf", "iperf3"];

/**
 * Why these tests cannot run on this machine, or undefined where they can.
 * @throws {Error} the same reason, where CI=true: there it is a failure
 */
export function unavailable(): string | undefined {
  const reason = whyNot();
  if (reason && Deno.env.get("CI") === "true") {
    throw new Error(`the network tests must run in CI: ${reason}`);
  }
  return reason;
}

function whyNot(): string | undefined {
  if (Deno.build.os !== "linux") return "network namespaces are of Linux alone";
  if (Deno.uid() !== 0) return "only root makes network namespaces";
  const missing = TOOLS.filter((tool) => !isOnPath(tool));
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
  // Root in a container may not be allowed to.
  const probe = `${PREFIX}-probe`;
  const made = new Deno.Command("ip", { args: ["netns", "add", probe] }).outputSync();
  if (!made.success) return `ip netns add: ${new TextDecoder().decode(made.stderr).trim()}`;
  new Deno.Command("ip", { args: ["netns", "delete", probe] }).outputSync();
  return undefined;
}

function isOnPath(tool: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${tool}`).isFile;
    } catch {
      return false;
    }
  });
}

/** Every namespace and every folder of this process begins so. */
export const PREFIX = `scistream-${Deno.pid}`;
let made = 0;

/** One end of a link: whose it is, what the interface is called there, and the words of `ip address add`. */
export type End = readonly [host: string, device: string, address: string];
/** A veth pair. */
export type Link = readonly [End, End];

const TUTORIAL: readonly Link[] = [
  [["producer", "lan", "192.168.10.10/24"], ["producers2", "lan", "192.168.10.11/24"]],
  [["producers2", "wan", "192.168.20.10/24"], ["consumers2", "wan", "192.168.20.11/24"]],
  [["consumers2", "lan", "192.168.30.10/24"], ["consumer", "lan", "192.168.30.11/24"]],
];

/**
 * A fifth host for whoever sets up both sides at once: it has an address in each facility's LAN
 * and reaches the two control servers there, and nothing else.
 */
export const USER: readonly Link[] = [
  [
    ["user", "producers", "192.168.10.12 peer 192.168.10.11"],
    ["producers2", "user", "192.168.10.11 peer 192.168.10.12"],
  ],
  [
    ["user", "consumers", "192.168.30.12 peer 192.168.30.10"],
    ["consumers2", "user", "192.168.30.10 peer 192.168.30.12"],
  ],
];

/** A command line: words, or a line that is split at its spaces. */
export type CommandLine = string | readonly string[];

/** One host: a network namespace, a working folder and a state folder. */
export class Host {
  /** Every process that was started here, for a failed test to show. */
  readonly started: { command: string; process: Running }[] = [];

  constructor(
    readonly name: string,
    readonly namespace: string,
    /** Where its commands run; no other host's files are there. */
    readonly folder: string,
  ) {}

  /** Starts a command here. `s2cs`, `s2uc` and `appctrl` are scistream's. */
  start(command: CommandLine, options: RunOptions = {}): Running {
    const words = typeof command === "string" ? command.trim().split(/\s+/) : command;
    const ours = /^(s2cs|s2uc|appctrl)$/.test(words[0] ?? "");
    const process = new Running(
      ["ip", "netns", "exec", this.namespace, ...ours ? SCISTREAM : [], ...words],
      {
        cwd: this.folder,
        ...options,
        env: { SCISTREAM_STATE_DIR: `${this.folder}/state`, ...options.env },
      },
    );
    this.started.push({ command: words.join(" "), process });
    return process;
  }

  /** Runs a command here to its end. */
  run(command: CommandLine, options: RunOptions = {}): Promise<Ended> {
    return this.start(command, options).ended;
  }

  /** Waits until somebody here listens on the port: for a program that does not say so in time. */
  async listening(port: number): Promise<void> {
    await eventually(`${this.name} listens on ${port}`, async () => {
      const { out } = await run(ip("netns", "exec", this.namespace, "ss", "-Hltn"));
      return out.split("\n").some((line) => line.split(/\s+/)[3]?.endsWith(`:${port}`));
    });
  }

  /** Copies a file from another host, as the tutorial does with server.crt. */
  copy(from: Host, file: string, to = file): void {
    Deno.copyFileSync(`${from.folder}/${file}`, `${this.folder}/${to}`);
  }

  /** Processes that run here. */
  async pids(): Promise<number[]> {
    const { out } = await run(ip("netns", "pids", this.namespace));
    return out.split("\n").filter(Boolean).map(Number);
  }
}

/** The tutorial's hosts, wired up. Disposal ends what runs on them and deletes everything. */
export class Network implements AsyncDisposable {
  readonly #hosts = new Map<string, Host>();
  readonly #folder = Deno.makeTempDirSync({ prefix: `${PREFIX}-` });

  private constructor() {}

  /** The tutorial's four hosts, and what further links add. A set-up that fails leaves nothing. */
  static async create(further: readonly Link[] = []): Promise<Network> {
    await removeAbandoned();
    const network = new Network();
    try {
      const links = [...TUTORIAL, ...further];
      const number = made++;
      for (const name of new Set(links.flat().map(([host]) => host))) {
        await network.#add(name, `${PREFIX}-${number}-${name}`);
      }
      for (const link of links) await network.#connect(link);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #add(name: string, namespace: string): Promise<void> {
    const folder = `${this.#folder}/${name}`;
    Deno.mkdirSync(folder);
    await must(ip("netns", "add", namespace));
    this.#hosts.set(name, new Host(name, namespace, folder));
    await must(ip("-n", namespace, "link", "set", "lo", "up"));
    // A new namespace may inherit it from a machine that forwards, as one with Docker does.
    const off = "echo 0 > /proc/sys/net/ipv4/ip_forward";
    await must(ip("netns", "exec", namespace, "bash", "-c", off));
  }

  async #connect([one, other]: Link): Promise<void> {
    const at = (end: End) => ["name", end[1], "netns", this.host(end[0]).namespace];
    await must(ip("link", "add", ...at(one), "type", "veth", "peer", ...at(other)));
    for (const [host, device, address] of [one, other]) {
      const here = (...args: string[]) => must(ip("-n", this.host(host).namespace, ...args));
      // No link-local addresses, and so nothing that the kernel says over IPv6 by itself.
      await here("link", "set", device, "addrgenmode", "none");
      await here("address", "add", ...address.split(" "), "dev", device);
      await here("link", "set", device, "up");
    }
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (!host) throw new Error(`no host ${name} in this network`);
    return host;
  }

  get producer(): Host {
    return this.host("producer");
  }
  get producers2(): Host {
    return this.host("producers2");
  }
  get consumers2(): Host {
    return this.host("consumers2");
  }
  get consumer(): Host {
    return this.host("consumer");
  }

  get hosts(): Host[] {
    return [...this.#hosts.values()];
  }

  /** Everything that runs on any host: its name and the command line. */
  async processes(): Promise<string[]> {
    const all = await Promise.all(this.hosts.map(async (host) =>
      (await host.pids()).map((pid) => {
        try {
          const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
          return `${host.name}: ${line}`;
        } catch {
          return "";
        }
      })
    ));
    return all.flat().filter(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that fails must not keep the others.
    const results = await Promise.allSettled(this.hosts.map(remove));
    Deno.removeSync(this.#folder, { recursive: true });
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

/** Ends what runs on a host, and deletes its namespace. */
export async function remove(host: Host): Promise<void> {
  await eventually(`${host.name} has no processes`, async () => {
    const pids = await host.pids();
    for (const pid of pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
    return pids.length === 0;
  });
  await Promise.all(host.started.map(({ process }) => process.ended));
  await must(ip("netns", "delete", host.namespace));
}

/** Watches a link for packets that are not between the two addresses that may use it. */
export class Capture {
  readonly #host: Host;
  readonly #device: string;
  readonly #tcpdump: Running;

  private constructor(host: Host, device: string, tcpdump: Running) {
    this.#host = host;
    this.#device = device;
    this.#tcpdump = tcpdump;
  }

  /** Starts it. Filtering in the kernel keeps up with any rate. ARP is how neighbours find each other. */
  static async start(host: Host, device: string, [a, b]: [string, string]): Promise<Capture> {
    const between = (from: string, to: string) => `(src host ${from} and dst host ${to})`;
    const filter = `not arp and not (ip and (${between(a, b)} or ${between(b, a)}))`;
    const tcpdump = host.start(
      ["tcpdump", "-n", "-l", "--immediate-mode", "-i", device, filter],
    );
    await tcpdump.line(/listening on/, "err");
    return new Capture(host, device, tcpdump);
  }

  /**
   * Ends it and answers the packets that it saw. It is shown one that does not belong there first,
   * and must have seen that: so it was not blind, and nothing before it is still on its way.
   */
  async stop(): Promise<string[]> {
    const stranger = "192.168.20.99";
    const neighbour = [stranger, "lladdr", "02:00:00:00:00:63", "dev", this.#device];
    await must(ip("-n", this.#host.namespace, "neigh", "add", ...neighbour, "nud", "permanent"));
    const said = await this.#host.run(["bash", "-c", `echo > /dev/udp/${stranger}/9`]);
    if (said.code !== 0) throw new Error(`cannot show the capture a packet: ${said.err}`);
    await this.#tcpdump.line(new RegExp(`> ${stranger}\\.9: `));
    const { out, err } = await this.#tcpdump.stop("SIGINT");
    if (!/^0 packets dropped by kernel/m.test(err)) throw new Error(`packets were missed: ${err}`);
    return out.split("\n").filter((line) => line && !line.includes(`> ${stranger}.9: `));
  }
}

/** Names of this process's namespaces that exist. */
export async function namespaces(): Promise<string[]> {
  return (await everyNamespace()).filter((name) => name.startsWith(`${PREFIX}-`));
}

async function everyNamespace(): Promise<string[]> {
  const { out } = await must(ip("netns", "list"));
  return out.split("\n").map((line) => line.split(" ", 1)[0] ?? "");
}

/** Removes what a test process that was killed has left: its namespaces, and who runs in them. */
export async function removeAbandoned(): Promise<void> {
  const alive = new Set(processes().map(({ pid }) => String(pid)));
  for (const name of await everyNamespace()) {
    const owner = /^scistream-([0-9]+)-/.exec(name)?.[1];
    if (owner === undefined || alive.has(owner)) continue;
    const { out } = await must(ip("netns", "pids", name));
    for (const pid of out.split("\n").filter(Boolean)) {
      try {
        Deno.kill(Number(pid), "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
    await must(ip("netns", "delete", name));
  }
}

function ip(...args: string[]): string[] {
  return ["ip", ...args];
}

async function must(command: readonly string[]): Promise<Ended> {
  const ended = await run(command);
  if (ended.code === 0) return ended;
  throw new Error(`${command.join(" ")}: exit ${ended.code}: ${ended.err.trim()}`);
}

/** Does something on a network of its own (the tutorial's if no links are given), in bounded time; shows what its processes said if it fails. */
export async function onNetwork(
  links: readonly Link[] | undefined,
  hangMs: number,
  work: (network: Network) => Promise<void>,
): Promise<void> {
  await using network = await Network.create(links && [...links]);
  const hang = Promise.withResolvers<never>();
  const timer = setTimeout(() => hang.reject(new Error("it hangs")), hangMs);
  try {
    await Promise.race([work(network), hang.promise]);
  } catch (error) {
    for (const host of network.hosts) {
      for (const { command, process } of host.started) {
        console.error(`--- ${host.name}$ ${command}\n${process.out}${process.err}`);
      }
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
