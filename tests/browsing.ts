/**
 * A gateway with a dashboard, streams of iperf3 through it, and a browser that looks on.
 * @module
 */
import { type Browser, chromium } from "playwright-core";
import { Uid } from "../lib/protocol/uid.ts";
import { freePort, Gateway, portRange, Running } from "./harness.ts";
import { BROWSER_FLAGS } from "./oauth/browser.ts";
import { session } from "./oauth/gateway.ts";

/** A real Chromium with a fresh profile. */
export async function browse(): Promise<Browser & AsyncDisposable> {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: BROWSER_FLAGS,
  });
  return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
}

/** A gateway with a dashboard on loopback. */
export async function watched(
  flags: string[],
  ports = 40,
): Promise<{ gateway: Gateway; http: string; url: string } & AsyncDisposable> {
  const http = `127.0.0.1:${freePort()}`;
  const range = `--port-range=${portRange(ports).text}`;
  const gateway = await Gateway.start(`--http=${http}`, range, ...flags);
  return {
    gateway,
    http,
    url: `http://${http}`,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

/** A session with an iperf3 server behind it, and what sends through it. */
export class IperfStream implements AsyncDisposable {
  readonly uid = Uid.random();
  #server!: Running;
  #listener = "";
  readonly #clients: Running[] = [];

  /** @param at address of the server, some 127.x.x.x */
  static async start(gateway: Gateway, at: string, channels = 1): Promise<IperfStream> {
    const stream = new IperfStream();
    const port = freePort();
    stream.#server = new Running(["iperf3", "-s", "-B", at, "-p", String(port), "--forceflush"]);
    await stream.#server.line(/Server listening/);
    const more = { num_conn: channels, app: `${at}:${port}` };
    stream.#listener = await session(gateway, undefined, stream.uid.reveal(), more);
    return stream;
  }

  /**
   * Runs an iperf3 client through it.
   * @param from its own address; @param flags such as `-t 10`, `-b 200M`, `-R`
   */
  send(from: string, ...flags: string[]): Running {
    const [host = "", port = ""] = this.#listener.split(":");
    const client = new Running(["iperf3", "-c", host, "-p", port, "-B", from, ...flags]);
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of [...this.#clients, this.#server]) await process.stop();
  }
}
