import { command, Exit, type Group } from "../lib/cli/command.ts";
import { openAccess, serverAuthFlags, warnOfShownSecret } from "../lib/cli/auth_flags.ts";
import { bool, integer, parsed, seconds, text, UsageError } from "../lib/cli/flags.ts";
import { textLog } from "../lib/log.ts";
import { Endpoint, parseHost } from "../lib/protocol/endpoint.ts";
import { messageOf, quote } from "../lib/protocol/errors.ts";
import { PortRange, RATE_POLICIES, type RatePolicy } from "../lib/protocol/values.ts";
import { defaultStateDir } from "../lib/state_dir.ts";
import { survive } from "../lib/survive.ts";
import { runtimeFault, versionLine } from "../lib/version.ts";

const start = command({
  name: "start",
  summary: "Run the control server of a gateway",
  details: `Accepts requests over gRPC, reserves ports and runs the data server that forwards.
The first Ctrl-C or SIGTERM lets established connections finish and releases every
session; a second one does not wait for them. With --keep-sessions streams go on, and
the next s2cs on the same address takes them over.`,
  flags: {
    listenerIp: parsed(
      "address that it listens on, and that consumers' listeners are on",
      parseHost,
      {
        value: "IP",
        default: "0.0.0.0",
      },
    ),
    port: integer("port of the control server; 0 takes a free one", {
      value: "PORT",
      default: "5000",
      least: 0,
      most: 65535,
    }),
    wanIp: parsed(
      "address of this gateway that other gateways reach: producers' listeners are told and bound there; without it they are told as --listener-ip and bound on every address",
      parseHost,
      { value: "IP" },
    ),
    portRange: parsed("ports for data listeners", PortRange.parse, {
      value: "FIRST-LAST",
      default: "5100-5200",
    }),
    type: text(
      "data server type: S2DS (built in); Haproxy or DockerSock, Nginx, Stunnel (a container for each session); HaproxySubprocess, NginxSubprocess, StunnelSubprocess (a process for each); Mock (forwards nothing)",
      { value: "TYPE", default: "S2DS", short: "t" },
    ),
    wan: parsed(
      "between gateways, S2DS encrypts (tls) or not (plain); both gateways of a session must do alike, and one that runs a plain proxy is plain",
      parseWan,
      { value: "tls|plain", default: "tls" },
    ),
    workers: integer("processes of S2DS that share the connections; one a core if not given", {
      value: "N",
      least: 1,
      most: 64,
    }),
    udp: bool("S2DS forwards UDP beside TCP, each listener's port; it takes --wan plain"),
    ratePolicy: parsed(
      "what a request's rate means: nothing (ignore), a part of --capacity (reserve), or also a limit that S2DS holds the session to (enforce)",
      parseRatePolicy,
      { value: "POLICY", default: "reserve" },
    ),
    capacity: integer(
      "kilobytes per second that all sessions' rates together may reach; 0 is no bound",
      { value: "KBPS", default: "0", least: 0, most: Number.MAX_SAFE_INTEGER },
    ),
    dockerSocket: text(
      "Unix socket of the Docker Engine; $DOCKER_HOST if not given, else /var/run/docker.sock",
      { value: "PATH" },
    ),
    image: text("container image instead of haproxy:latest, nginx:latest or stunnel:latest", {
      value: "NAME",
    }),
    proxyDir: text(
      "folder for proxies' configurations, which the Docker Engine must be able to mount; the state folder if not given",
      { value: "DIR", env: "HAPROXY_CONFIG_PATH" },
    ),
    proxyConnections: integer("connections at once of one session's proxy", {
      default: "1024",
      least: 1,
      most: 100_000,
    }),
    proxyMemory: integer("megabytes that one session's proxy may use", {
      default: "2048",
      least: 64,
      most: 1 << 20,
      value: "MB",
    }),
    stunnelCiphers: parsed(
      "default encrypts; null proves the peer and encrypts nothing, as SciStream's Python implementation does",
      parseStunnelCiphers,
      { value: "NAME", default: "default" },
    ),
    serverCrt: text("PEM certificate chain", { value: "FILE", default: "server.crt" }),
    serverKey: text("PEM private key", { value: "FILE", default: "server.key" }),
    ssl: bool("serve TLS; False serves anyone who can reach the port, unencrypted", {
      default: "True",
    }),
    helloTimeout: seconds("how long a request waits for its application's hello", {
      default: "180",
    }),
    drainTimeout: seconds("how long a released session's connections may go on", { default: "10" }),
    keepSessions: bool(
      "when stopped, leave sessions running for the next control server on this address: for upgrades",
    ),
    maxSessions: integer("sessions at once", { default: "1000", least: 1, most: 1_000_000 }),
    maxConn: integer("channels of one session", { default: "100", least: 1, most: 10_000 }),
    ...serverAuthFlags,
    stateDir: text("folder for sockets and logs; $XDG_STATE_HOME/scistream if not given", {
      value: "DIR",
    }),
    auditLog: text(
      "file for who asked for what and what became of it, as JSON lines; audit-IP-PORT.jsonl in the state folder if not given, none for none",
      { value: "FILE", default: "" },
    ),
    config: text("TOML file with any of these options as keys", { value: "FILE" }),
    verbose: bool("log every call", { short: "v" }),
    version: bool("print the version and end"),
  },
  args: [],
  examples: [
    "scistream cert --ip 192.168.10.11",
    "s2cs --listener-ip 192.168.10.11 --port 5007",
  ],
  async run(line, io) {
    const { options } = line;
    if (options.version) {
      io.out(`s2cs, version: ${versionLine()}`);
      return Exit.OK;
    }
    const fault = runtimeFault(Deno.version.deno);
    if (fault) throw new UsageError(fault);
    if (options.udp && options.wan === "tls") {
      throw new UsageError(
        "--udp forwards datagrams in the clear, and --wan tls is to encrypt all that goes between gateways; add --wan plain, or leave --udp away",
      );
    }
    warnOfShownSecret(line, io);
    const log = textLog(options.verbose ? "debug" : "info", io.err);
    const access = await openAccess(options, log);
    const { parseType } = await import("../lib/s2ds/types.ts");
    const { dockerSocket } = await import("../lib/docker/socket.ts");
    const type = parseType(options.type);
    const { ssl, serverCrt, serverKey } = options;
    const tls = ssl ? await readTls(serverCrt, serverKey, io.err) : undefined;
    const { startS2cs } = await import("../lib/s2cs/server.ts");
    survive((message) => log("error", message));
    const server = await startS2cs({
      ...options,
      ...access,
      dockerSocket: dockerSocket(options.dockerSocket, (name) => Deno.env.get(name)),
      limits: {
        threads: Math.min(navigator.hardwareConcurrency, MOST_THREADS),
        connections: options.proxyConnections,
        memory: options.proxyMemory,
      },
      enforce: options.ratePolicy === "enforce",
      workers: options.workers ?? Math.min(navigator.hardwareConcurrency, MOST_THREADS),
      address: new Endpoint(options.listenerIp, options.port),
      type,
      tls,
      helloTimeoutMs: options.helloTimeout,
      drainTimeoutMs: options.drainTimeout,
      stateDir: options.stateDir ?? defaultStateDir((name) => Deno.env.get(name)),
      log,
    });
    if (tls) {
      io.out(`Secure gRPC Server started on ${server.address}`);
    } else {
      io.out(`WARNING: INSECURE gRPC Server started on ${server.address}`);
      io.err(
        "WARNING: --ssl=False: everything is sent in the clear, uids and tokens included, and",
      );
      io.err("WARNING: clients cannot know whom they talk to. Never use this across a network.");
    }
    if (!access.auth) {
      log("warn", "callers are not authenticated: whoever reaches this port can make sessions");
    }
    await aborted(io.interrupted);
    log(
      "info",
      options.keepSessions
        ? "stopping; sessions go on"
        : "stopping; established connections may finish, interrupt again to cut them",
    );
    const stopped = server.stop();
    io.forced.addEventListener("abort", () => server.stop(true));
    await stopped;
    log("info", "stopped");
    return Exit.OK;
  },
});

/** More do not make one session faster. */
const MOST_THREADS = 16;

function parseWan(text: string): "tls" | "plain" {
  if (text === "tls" || text === "plain") return text;
  throw new UsageError(`${quote(text)} is neither tls nor plain`);
}

function parseRatePolicy(text: string): RatePolicy {
  const policy = RATE_POLICIES.find((each) => each === text);
  if (policy) return policy;
  throw new UsageError(`${quote(text)} is none of ${RATE_POLICIES.join(", ")}`);
}

function parseStunnelCiphers(text: string): "default" | "null" {
  if (text === "default" || text === "null") return text;
  throw new UsageError(`${quote(text)} is neither default nor null`);
}

async function readTls(crt: string, key: string, warn: (sentence: string) => void) {
  const { checkCertificate, checkKey } = await import("../lib/protocol/pem.ts");
  const advice = "make one with `scistream cert --ip ADDRESS`";
  const read = async (path: string, what: string) => {
    try {
      return await Deno.readFile(path);
    } catch (error) {
      throw new UsageError(`cannot read the ${what} ${path}: ${messageOf(error)}; ${advice}`);
    }
  };
  const tls = { cert: await read(crt, "certificate"), key: await read(key, "private key") };
  const doubt = checkCertificate(tls.cert, crt);
  if (doubt) warn(`${doubt}: clients will refuse it; ${advice}`);
  checkKey({ pem: tls.cert, name: crt }, { pem: tls.key, name: key });
  return tls;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

const group: Group = {
  name: "s2cs",
  summary: "Control server: owns a gateway's sessions, ports and data servers",
  commands: [start],
  standard: "start",
};
export default group;
