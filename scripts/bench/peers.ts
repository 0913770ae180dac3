/**
 * The proxies as they are without us: with their default buffers, and stunnel also as SciStream's
 * Python implementation sets it up.
 * @module
 */
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

/** By name; each forwards to a port of this machine until the stack is disposed of. */
export const PEERS: Record<string, Start> = {
  "haproxy default": haproxy,
  "nginx default": nginx,
  "stunnel pair, default": (...args) => stunnelPair("stunnel-default", [], ...args),
  "stunnel pair, reference": (...args) =>
    stunnelPair(
      "stunnel-reference",
      ["sslVersion = TLSv1.2", "ciphers = eNULL", "securityLevel = 0"],
      ...args,
    ),
};

async function haproxy(
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Peer> {
  const port = freePort();
  const config = `${folder}/haproxy.cfg`;
  await Deno.writeTextFile(
    config,
    `defaults
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
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Peer> {
  const port = freePort();
  const config = `${folder}/nginx.conf`;
  await Deno.writeTextFile(
    config,
    `load_module modules/ngx_stream_module.so;
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
events {}
stream {
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${target};
  }
}
`,
  );
  return await start(stack, ["nginx", "-c", config, "-e", `${folder}/nginx.log`], port, signal);
}

/** The consumer's side encrypts what the producer's side decrypts. */
async function stunnelPair(
  name: string,
  settings: string[],
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Peer> {
  const key = `${folder}/${name}.key`;
  await Deno.writeTextFile(key, `client1:${crypto.randomUUID().replaceAll("-", "")}\n`, {
    mode: 0o600,
  });
  const side = async (client: "yes" | "no", connect: number) => {
    const port = freePort();
    const config = `${folder}/${name}-${client}.conf`;
    const lines = [
      "foreground = yes",
      "syslog = no",
      "pid =",
      "[bench]",
      `client = ${client}`,
      `accept = 127.0.0.1:${port}`,
      `connect = 127.0.0.1:${connect}`,
      `PSKsecrets = ${key}`,
      ...client === "yes" ? ["PSKidentity = client1"] : [],
      ...settings,
    ];
    await Deno.writeTextFile(config, lines.join("\n") + "\n");
    return await start(stack, ["stunnel", config], port, signal);
  };
  const prod = await side("no", target);
  const cons = await side("yes", prod.port);
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
