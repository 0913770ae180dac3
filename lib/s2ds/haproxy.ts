/**
 * HAProxy, for types Haproxy, DockerSock and HaproxySubprocess. Made for 2.6 and newer.
 * @module
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import template from "../../templates/haproxy.eta" with { type: "text" };
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { type ChannelStatus, idleChannel } from "./data_server.ts";
import { NO_TARGET_YET, type Plan, type Proxy, type RunningProxy } from "./proxy/proxy.ts";
import { render } from "./proxy/render.ts";
import { NoAnswer } from "./wait.ts";

/** Of the socket in the run folder. Short: HAProxy adds to it while it binds, and sockaddr_un is short. */
const SOCKET = "api";
/** An answer takes less than a millisecond; one that does not come must not hold a call. */
const PATIENCE_MS = 5_000;
/** A signal that comes while it starts, with the pid file written already, is not seen. */
const AGAIN_MS = 250;
/** What it says of its listeners when it winds up. */
const STOPPED = /Proxy ch\d+ stopped/;
/** Bytes; 1,000 channels' numbers are 400 kB. */
const LONGEST_ANSWER = 4 << 20;

/** What its master says once the workers run that took over the listeners. */
const LOADED = "Loading success.";

/**
 * HAProxy: TCP; targets change over its runtime API, so no connection and no number is lost. Where its
 * socket cannot be reached it gets new workers, and the old ones keep their connections.
 */
export const haproxy: Proxy = {
  name: "haproxy",
  package: "haproxy",
  image: "haproxy:latest",
  configFolder: "/usr/local/etc/haproxy",
  udp: false,
  sharesPorts: true,
  mostTasks: 128,
  stopSignal: "SIGUSR1",

  config: (plan) => ({ name: "haproxy.cfg", text: render(template, data(plan)) }),
  command: (file) => ["haproxy", "-W", "-db", "-f", file],
  check: (file) => ["haproxy", "-c", "-f", file],

  async reload(running, plan) {
    const { run } = running;
    if (run === undefined) return await renewWorkers(running, plan);
    const commands = await Promise.all(plan.channels.map(async ({ target }, i) => {
      const server = `ch${i}/target`;
      if (!target) return `set server ${server} state maint`;
      const { port } = target;
      return `set server ${server} addr ${await address(
        target,
      )} port ${port};set server ${server} state ready`;
    }));
    const answer = await ask(run, commands.join(";"));
    // It answers with a sentence for what it changed, and with another for what it refused.
    const refused = answer.split("\n").find((line) =>
      line && !/^(IP|no need|port) .*chang/i.test(line)
    );
    if (refused) {
      throw new ScistreamError("CONN_ERROR", `haproxy did not take the new targets: ${refused}`);
    }
  },

  async drain(running) {
    await running.signalUntil(
      "SIGUSR1",
      (lines) => lines.some(this.leaves) ? "done" : "wait",
      AGAIN_MS,
    );
  },

  listens: (line) => line.includes(LOADED),
  leaves: (line) => STOPPED.test(line),

  async count(run, channels) {
    const rows = (await ask(run, "show stat")).split("\n");
    const names = (rows.shift() ?? "").replace(/^# /, "").split(",");
    const table = new Map(rows.map((row) => {
      const cells = row.split(",");
      const number = (name: string) => {
        const value = Number(cells[names.indexOf(name)]);
        return Number.isSafeInteger(value) && value >= 0 ? value : 0;
      };
      return [`${cells[0]}/${cells[1]}`, number];
    }));
    return Array.from({ length: channels }, (_, i): ChannelStatus => {
      const front = table.get(`ch${i}/FRONTEND`);
      const back = table.get(`ch${i}/BACKEND`);
      if (!front || !back) return idleChannel();
      return {
        ...idleChannel(),
        connectionsOpen: front("scur"),
        connectionsTotal: front("stot"),
        connectionsFailed: back("econ"),
        bytesToTarget: front("bin"),
        bytesFromTarget: front("bout"),
      };
    });
  },

  // The log format of the template: channel, how it ended, target. SC and sC: the target did not
  // take the connection; without a target there is no server at all.
  complaint(log, { target }, index) {
    const line = log.findLast((each) => each.includes(` ch${index} `)) ?? "";
    const ended = / ended=([A-Z-]{2})/i.exec(line)?.[1] ?? "";
    if (!/C$/.test(ended)) return "";
    if (!target || line.includes("<NOSRV>")) return NO_TARGET_YET;
    return ended.startsWith("s")
      ? `target ${target}: no answer`
      : `target ${target}: the connection was refused or failed`;
  },
};

/** Done when the old workers have let go of all listeners: until then some would go to old targets. */
async function renewWorkers(running: RunningProxy, { channels }: Plan): Promise<void> {
  await running.signalUntil("SIGUSR2", (lines) => {
    if (lines.some((line) => line.includes("Loading failure!"))) {
      const why = lines.findLast((line) => line.includes("[ALERT]")) ?? "";
      throw new ScistreamError("CONN_ERROR", `haproxy did not reload: ${why}`);
    }
    const stopped = new Set(lines.map((line) => /Proxy (ch\d+) stopped/.exec(line)?.[1]));
    stopped.delete(undefined);
    const loaded = lines.some((line) => line.includes(LOADED));
    return loaded && stopped.size >= channels.length ? "done" : "wait";
  });
}

function data({ channels, paths, limits, sharesPorts = false }: Plan): object {
  return {
    channels,
    alone: !sharesPorts,
    ...limits,
    pid: `${paths.run}/pid`,
    api: `${paths.run}/${SOCKET}`,
    // A buffer is a megabyte; the rest is for HAProxy itself.
    buffers: Math.floor(limits.memory * 0.75),
  };
}

/** The runtime API takes addresses alone. */
async function address(target: Endpoint): Promise<string> {
  if (isIP(target.host)) return target.host;
  try {
    return (await lookup(target.host)).address;
  } catch (error) {
    throw new ScistreamError(
      "CONN_ERROR",
      `target ${target}: its name cannot be resolved: ${messageOf(error)}`,
    );
  }
}

/** One question on the runtime API (HAProxy management guide, section 9.3). */
async function ask(run: string, commands: string): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let late = false;
  try {
    using conn = await Deno.connect({ transport: "unix", path: `${run}/${SOCKET}` });
    timer = setTimeout(() => {
      late = true;
      conn.close();
    }, PATIENCE_MS);
    const bytes = new TextEncoder().encode(`${commands}\n`);
    for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(64 << 10);
    let answer = "";
    for (let n; (n = await conn.read(chunk)) !== null;) {
      answer += decoder.decode(chunk.subarray(0, n), { stream: true });
      if (answer.length > LONGEST_ANSWER) throw new Error("its answer has no end");
    }
    return answer;
  } catch (error) {
    if (late) throw new NoAnswer(`haproxy does not answer within ${PATIENCE_MS / 1000} s`);
    throw new ScistreamError("CONN_ERROR", `haproxy does not answer: ${messageOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
}
