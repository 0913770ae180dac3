/**
 * The proxies as they are without us: with their default buffers and with 1 MiB, and stunnel also
 * with certificates and as SciStream's Python implementation sets it up.
 * @module
 */
import { makeCertificate } from "../../lib/certificate.ts";
import { family, freePort, listening, Process } from "./process.ts";
import type { Context } from "./result.ts";

/** A proxy that runs. */
export interface Peer {
  /** Where a client connects. */
  port: number;
  /** All its processes. */
  pids: () => Promise<number[]>;
}

type Start = (stack: AsyncDisposableStack, target: number, context: Context) => Promise<Peer>;

const MIB = 1 << 20;
/** More connections than any benchmark opens at once. */
const CONNECTIONS = 4096;

/** By name; each forwards to a port of this machine until the stack is disposed of. */
export const PEERS: Record<string, Start> = {
  "haproxy default": (...args) => haproxy("haproxy-default", "", ...args),
  "haproxy 1 MiB": (...args) => haproxy("haproxy-large", `tune.bufsize ${MIB}`, ...args),
  "nginx default": (...args) => nginx("nginx-default", "", ...args),
  "nginx 1 MiB": (...args) => nginx("nginx-large", "proxy_buffer_size 1m;", ...args),
  "socat default": (...args) => socat([], ...args),
  "socat 1 MiB": (...args) => socat(["-b", `${MIB}`], ...args),
  "stunnel pair, default": (...args) => stunnelPair("stunnel-default", withKey([]), ...args),
  "stunnel pair, certificate": (...args) =>
    stunnelPair("stunnel-certificate", withCertificate, ...args),
  "stunnel pair, reference": (...args) =>
    stunnelPair(
      "stunnel-reference",
      withKey(["sslVersion = TLSv1.2", "ciphers = eNULL", "securityLevel = 0"]),
      ...args,
    ),
};

async function haproxy(
  name: string,
  setting: string,
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Peer> {
  const port = freePort();
  const config = `${folder}/${name}.cfg`;
  await Deno.writeTextFile(
    config,
    `global
  ${setting}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen bench
  bind 127.0.0.1:${port}
  server target 127.0.0.1:${target}
`,
  );
  return await start(stack, ["haproxy", "-q", "-db", "-f", config], port, signal);
}

async function nginx(
  name: string,
  setting: string,
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Peer> {
  const port = freePort();
  const path = `${folder}/${name}`;
  await Deno.writeTextFile(
    `${path}.conf`,
    `load_module modules/ngx_stream_module.so;
daemon off;
worker_processes auto;
pid ${path}.pid;
events {
  worker_connections ${CONNECTIONS};
}
stream {
  ${setting}
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${target};
  }
}
`,
  );
  return await start(stack, ["nginx", "-c", `${path}.conf`, "-e", `${path}.log`], port, signal);
}

async function socat(
  flags: string[],
  stack: AsyncDisposableStack,
  target: number,
  { signal }: Context,
): Promise<Peer> {
  const port = freePort();
  const listen = `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,backlog=${CONNECTIONS}`;
  const command = ["socat", ...flags, listen, `TCP:127.0.0.1:${target}`];
  return await start(stack, command, port, signal);
}

/** Lines of stunnel's configuration, for the side that is the client and the other. */
type Settings = (path: string, client: boolean) => Promise<string[]>;

/** A key that both sides share. */
function withKey(settings: string[]): Settings {
  const secret = crypto.randomUUID().replaceAll("-", "");
  return async (path, client) => {
    await Deno.writeTextFile(`${path}.psk`, `client1:${secret}\n`, { mode: 0o600 });
    return [`PSKsecrets = ${path}.psk`, ...client ? ["PSKidentity = client1"] : [], ...settings];
  };
}

/** The server's certificate, which the client checks. */
async function withCertificate(path: string, client: boolean): Promise<string[]> {
  if (client) return [`CAfile = ${path}.crt`, "verifyPeer = yes"];
  const { cert, key } = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  await Deno.writeTextFile(`${path}.crt`, cert);
  await Deno.writeTextFile(`${path}.key`, key, { mode: 0o600 });
  return [`cert = ${path}.crt`, `key = ${path}.key`];
}

/** The consumer's side encrypts what the producer's side decrypts. */
async function stunnelPair(
  name: string,
  settings: Settings,
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Peer> {
  const side = async (client: boolean, connect: number) => {
    const port = freePort();
    const config = `${folder}/${name}-${client ? "client" : "server"}.conf`;
    const lines = [
      "foreground = yes",
      "syslog = no",
      "pid =",
      "[bench]",
      `client = ${client ? "yes" : "no"}`,
      `accept = 127.0.0.1:${port}`,
      `connect = 127.0.0.1:${connect}`,
      ...await settings(`${folder}/${name}`, client),
    ];
    await Deno.writeTextFile(config, lines.join("\n") + "\n");
    return await start(stack, ["stunnel", config], port, signal);
  };
  const prod = await side(false, target);
  const cons = await side(true, prod.port);
  return {
    port: cons.port,
    pids: async () => [...await prod.pids(), ...await cons.pids()],
  };
}

async function start(
  stack: AsyncDisposableStack,
  command: string[],
  port: number,
  signal: AbortSignal,
): Promise<Peer> {
  const process = stack.use(new Process(command, signal));
  await listening(port, process);
  return { port, pids: () => family(process.pid, signal) };
}
