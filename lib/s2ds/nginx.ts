/**
 * nginx with its stream module, for types Nginx and NginxSubprocess. Made for 1.22 and newer.
 * @module
 */
import template from "../../templates/nginx.eta" with { type: "text" };
import { ScistreamError } from "../protocol/errors.ts";
import { NO_TARGET_YET, type Proxy } from "./proxy/proxy.ts";
import { render } from "./proxy/render.ts";

/** A signal that comes while its master starts, with the pid file written already, may go unseen. */
const AGAIN_MS = 500;

/** What its master says of a worker that was killed or crashed. */
const LOST_WORKER = /worker process \d+ exited on signal (\d+)/;

/** nginx: TCP and UDP on each port. */
export const nginx: Proxy = {
  name: "nginx",
  package: "libnginx-mod-stream",
  image: "nginx:latest",
  configFolder: "/etc/nginx",
  udp: true,
  sharesPorts: true,
  mostTasks: 128,
  stopSignal: "SIGQUIT",

  config({ channels, paths, limits, sharesPorts = false }) {
    const path = channels.find(({ target }) => target?.host.toLowerCase() === "unix");
    if (path) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `nginx takes target ${path.target} for the path of a socket; name the host in full, or by its address`,
      );
    }
    const text = render(template, {
      channels,
      sharesPorts,
      threads: limits.threads,
      // A connection has two buffers of a megabyte; the rest is for nginx itself.
      connections: Math.min(limits.connections, Math.floor(limits.memory * 0.375)),
      pid: `${paths.run}/pid`,
    });
    return { name: "nginx.conf", text };
  },
  command: (file) => ["nginx", "-e", "stderr", "-c", file],
  // It creates the pid file too, but leaves it empty.
  check: (file) => ["nginx", "-e", "stderr", "-t", "-q", "-c", file],

  // Done when the last of the old workers takes no more connections: until then some would still
  // go to the old targets.
  async reload(running, { limits }) {
    await running.signalUntil("SIGHUP", (lines) => {
      const refused = lines.find((line) => /\[(emerg|alert)\]/.test(line));
      if (refused) throw new ScistreamError("CONN_ERROR", `nginx did not reload: ${refused}`);
      const leaving = lines.filter((line) => line.includes("gracefully shutting down"));
      return leaving.length >= limits.threads ? "done" : "wait";
    }, AGAIN_MS);
  },

  async drain(running) {
    await running.signal("SIGQUIT");
  },

  listens: (line) => line.includes("start worker processes"),
  leaves: (line) => line.includes("gracefully shutting down"),

  complaint(log, { listener, target }) {
    const here = `server: ${listener}`;
    const line = log.findLast((each) =>
      each.includes(`${here},`) || each.endsWith(here) || each.includes(`${here} `) ||
      LOST_WORKER.test(each)
    );
    if (!line) return "";
    // Its master starts another by itself, so that nobody else tells why connections were cut.
    const [, signal] = LOST_WORKER.exec(line) ?? [];
    if (signal) return `a worker of nginx was ended by signal ${signal}, with its connections`;
    if (line.includes("access forbidden by rule")) return NO_TARGET_YET;
    const why = /: \*\d+ (.*?) while /.exec(line)?.[1] ?? "";
    return why && `target ${target}: ${why}`;
  },
};
