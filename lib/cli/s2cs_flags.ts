/**
 * The flags of a control server.
 * @module
 */
import { isLoopback } from "../protocol/address.ts";
import { Endpoint, parseHost } from "../protocol/endpoint.ts";
import { quote } from "../protocol/errors.ts";
import { PortRange, RATE_POLICIES } from "../protocol/values.ts";
import { ENGINES, IN_SWARM, TYPE_NAMES } from "../s2ds/type_names.ts";
import { checkAccess, isAuthenticated, serverAuthFlags } from "./auth_flags.ts";
import { bool, choice, integer, type Options, parsed, seconds, text, UsageError } from "./flags.ts";
import { janusFlags } from "./janus_flags.ts";
import { limitFlags, limitsOf } from "./limit_flags.ts";
import { logFlags } from "./log_flags.ts";

/** All of them; help is made from this table. */
export const s2csFlags = {
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
  lanIp: parsed(
    "address that consumers' listeners are on; --listener-ip if not given. For a Docker Engine elsewhere: its host's",
    parseHost,
    { value: "IP" },
  ),
  portRange: parsed("ports for data listeners", PortRange.parse, {
    value: "FIRST-LAST",
    default: "5100-5200",
  }),
  type: text(
    "data server type: S2DS (built in); Haproxy or DockerSock, Nginx, Stunnel (a container for each session); HaproxySubprocess, NginxSubprocess, StunnelSubprocess (a process for each); Janus (a container for each, on a data-transfer node); Mock (forwards nothing)",
    { value: "TYPE", choices: TYPE_NAMES, default: "S2DS", short: "t" },
  ),
  engine: choice(
    "what runs the containers of a type: the Docker Engine of one machine (docker), or a Docker Swarm on the nodes that its labels make gateways (swarm)",
    ENGINES,
    { default: "docker" },
  ),
  swarmName: parsed(
    "name of this control server's sessions in a Swarm: whichever s2cs is started with it takes them over; two facilities in one Swarm have two names",
    parseSwarmName,
    { value: "NAME", default: "s2cs" },
  ),
  wan: choice(
    "between gateways, S2DS encrypts (tls) or not (plain); both gateways of a session must do alike, and one that runs a plain proxy is plain",
    ["tls", "plain"],
    { default: "tls" },
  ),
  workers: integer("processes of S2DS that share the connections; one a core if not given", {
    value: "N",
    least: 1,
    most: 64,
  }),
  udp: bool("S2DS forwards UDP beside TCP, each listener's port; it takes --wan plain"),
  ratePolicy: choice(
    "what a request's rate means: nothing (ignore), a part of --capacity (reserve), or also a limit that S2DS holds the session to (enforce)",
    RATE_POLICIES,
    { default: "reserve" },
  ),
  capacity: integer(
    "kilobytes per second that all sessions' rates together may reach; 0 is no bound",
    { value: "KBPS", default: "0", least: 0, most: Number.MAX_SAFE_INTEGER },
  ),
  dockerSocket: text(
    "the Docker Engine: its Unix socket, or tcp://HOST:PORT with the certificates in $DOCKER_CERT_PATH; $DOCKER_HOST if not given, else /var/run/docker.sock",
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
  ...janusFlags,
  stunnelCiphers: choice(
    "default encrypts; null proves the peer and encrypts nothing, as SciStream's Python implementation does",
    ["default", "null"],
    { default: "default" },
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
  reconcileInterval: parsed(
    "how often it looks whether what runs is what should: ends what no session has, and brings back what is missing",
    atLeastASecond,
    { value: "SECONDS", default: "60" },
  ),
  http: parsed(
    "address and port for the dashboard, /metrics, /healthz and /readyz; a loopback address, or with authentication any: then with TLS. Off if not given",
    Endpoint.parse,
    { value: "IP:PORT" },
  ),
  reflection: bool("serve gRPC server reflection, which tells anybody what the calls look like", {
    default: "True",
  }),
  ...limitFlags,
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
  ...logFlags,
  version: bool("print the version and end"),
};

/**
 * That options go together, before anything is read or asked.
 * @throws {UsageError} names them
 */
export function checkTogether(
  options: Omit<Options<typeof s2csFlags>, "version" | "verbose">,
): void {
  if (options.udp && options.wan === "tls") {
    throw new UsageError(
      "--udp forwards datagrams in the clear, and --wan tls is to encrypt all that goes between gateways; add --wan plain, or leave --udp away",
    );
  }
  checkEngine(options);
  limitsOf(options);
  checkAccess(options);
  checkHttp(options);
}

/** @throws {UsageError} names the type */
function checkEngine({ engine, type }: Pick<Options<typeof s2csFlags>, "engine" | "type">): void {
  const isIn = IN_SWARM.some((name) => name.toLowerCase() === type.toLowerCase());
  if (engine === "docker" || isIn) return;
  throw new UsageError(
    `--engine swarm runs containers, and --type ${quote(type)} is none; choose one of ${
      IN_SWARM.join(", ")
    }`,
  );
}

function parseSwarmName(text: string): string {
  // It is a part of names of at most 63 characters.
  if (/^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/.test(text)) return text;
  throw new UsageError(`${quote(text)} is not 1 to 20 characters of a-z, 0-9 and - in between`);
}

/**
 * That whoever reaches the side port is either on this machine, or shows a token under TLS.
 * @throws {UsageError} names the address
 */
function checkHttp(options: Omit<Options<typeof s2csFlags>, "version" | "verbose">): void {
  const { http, ssl } = options;
  if (!http || isLoopback(http.host)) return;
  const name = `--http: ${quote(String(http))} is not a loopback address`;
  if (!ssl) {
    throw new UsageError(
      `${name}, and --ssl=False would send pages and tokens in the clear; use 127.0.0.1:PORT`,
    );
  }
  if (isAuthenticated(options)) return;
  throw new UsageError(
    `${name}: whoever reaches the port reads all that is there; use 127.0.0.1:PORT, or authentication`,
  );
}

function atLeastASecond(text: string): number {
  const seconds = /^[0-9]{1,6}(\.[0-9]{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds >= 1) return seconds * 1000;
  throw new UsageError(`${quote(text)} is not a number of seconds from 1 to 999999`);
}
