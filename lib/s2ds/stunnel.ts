/**
 * stunnel, for types Stunnel and StunnelSubprocess: TLS between the gateways, both proven by a key
 * made of the uid (contract section 5). Made for 5.56 and newer.
 * @module
 */
import template from "../../templates/stunnel.eta" with { type: "text" };
import { makeCertificate } from "../certificate.ts";
import { ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import { NO_TARGET_YET, type Plan, type Proxy } from "./proxy/proxy.ts";
import { render } from "./proxy/render.ts";

/** `default` encrypts; `null` proves who is there and encrypts nothing, as the reference does. */
export type StunnelCiphers = "default" | "null";

const KEY_FILE = "stunnel.key";
/**
 * The only certificate that a client takes; its key was thrown away. In TLS 1.3 a server may pass by
 * the pre-shared key and show a certificate instead, and stunnel would take any.
 */
const NOBODY_FILE = "nobody.pem";
/** It writes its pid file, by which it is known to listen, before it can be signalled. */
const AGAIN_MS = 250;
/** How it answers SIGHUP. */
const CONFIGURED = /Configuration successful/;
/** How it answers SIGUSR2. */
const LISTED = /Listed (\d+) active connection/;
/** stunnel(8), PSKsecrets: at least 16 bytes. */
const SHORTEST_KEY = 16;

/** stunnel: TCP between gateways inside TLS; the consumer's side is the client. */
export function stunnel(ciphers: StunnelCiphers): Proxy {
  const data = ({ role, channels, paths }: Plan) => ({
    client: role === "CONS" ? "yes" : "no",
    encrypted: ciphers === "default",
    pid: `${paths.run}/pid`,
    key: `${paths.config}/${KEY_FILE}`,
    nobody: `${paths.config}/${NOBODY_FILE}`,
    // Connecting there fails: whoever comes before the targets are known is turned away.
    nowhere: `${paths.run}/no-target`,
    channels: channels.map(({ listener, target }) => ({
      accept: plain(listener),
      connect: target && plain(target),
    })),
  });
  const config = (given: object) => ({ name: "stunnel.conf", text: render(template, given) });
  return {
    name: "stunnel",
    package: "stunnel4",
    image: "stunnel:latest",
    configFolder: "/etc/stunnel",
    udp: false,
    protects: true,
    sharesPorts: false,
    // A thread for each connection.
    mostTasks: 4_096,
    stopSignal: "SIGTERM",

    config: (plan) => config(data(plan)),
    async files({ role }, uid) {
      const key = { name: KEY_FILE, text: `client1:${pskOf(uid)}\n` };
      if (role === "PROD" || ciphers === "null") return [key];
      const { cert } = await makeCertificate({ ips: [], names: ["nobody"], days: 1 });
      return [key, { name: NOBODY_FILE, text: cert }];
    },
    command: (file) => ["stunnel", file],

    async reload(running) {
      await running.signalUntil("SIGHUP", (lines) => {
        const refused = lines.find((line) => /LOG[0-3]\[ui\].*fail/i.test(line));
        if (refused) throw new ScistreamError("CONN_ERROR", `stunnel did not reload: ${refused}`);
        return lines.some((line) => CONFIGURED.test(line)) ? "done" : "wait";
      }, AGAIN_MS);
      // It says so before it closes its listeners and opens them again; signals wait for their turn.
      await running.signalUntil(
        "SIGUSR2",
        (lines) => lines.some((line) => LISTED.test(line)) ? "done" : "wait",
        AGAIN_MS,
      );
    },

    // stunnel has no way to wind up: it is given a configuration that listens on none of the
    // session's ports, and asked for its connections (SIGUSR2) until there are none.
    async drain(running, plan) {
      const accept = `${plan.paths.run}/drained`;
      await running.replace(config({ ...data(plan), channels: [{ accept }] }));
      await this.reload(running, plan);
      await running.signalUntil("SIGUSR2", (lines) => {
        const last = lines.findLast((line) =>
          LISTED.test(line) || /Connection (closed|reset)/.test(line)
        );
        if (!last) return "wait";
        const active = LISTED.exec(last)?.[1];
        return active === "0" ? "done" : active ? "wait" : "again";
      });
      await running.signal("SIGTERM");
    },

    // Written with the time only once its ports are bound; before that it keeps what it has to say.
    listens: (line) => /LOG\d\[ui\]: Configuration successful/.test(line),

    leaves: (line) => /LOG\d\[ui\]: Terminated/.test(line),

    complaint(log, { target }, index) {
      // A connection's lines bear its number; the first of them names the channel.
      let ours = false;
      const numbers = new Map<string, boolean>();
      let last = "";
      for (const line of log) {
        const [, level, number = "", text = ""] = /LOG(\d)\[(\d+)\]: (.*)/.exec(line) ?? [];
        const service = /^Service \[(ch\d+)\] accepted/.exec(text)?.[1];
        if (service) numbers.set(number, service === `ch${index}`);
        ours = numbers.get(number) ?? false;
        if (ours && level === "3") last = text;
      }
      if (last.includes("no-target")) return NO_TARGET_YET;
      if (last.startsWith("SSL_") && !last.includes("reset by peer")) {
        return `the peer did not prove that it has this session's uid, or has other ciphers: ${last}`;
      }
      const refused = / connect \S+: (.*)/.exec(last)?.[1];
      return refused ? `target ${target}: ${refused}` : last;
    },
  };
}

/** stunnel writes IPv6 addresses without brackets. */
function plain({ host, port }: { host: string; port: number }): string {
  return `${host}:${port}`;
}

/**
 * The uid without dashes; hexadecimal ones are bytes written in hex to stunnel.
 * @throws {ScistreamError} BAD_FORMAT when stunnel would refuse it
 */
function pskOf(uid: Uid): string {
  const key = uid.reveal().replaceAll("-", "");
  const bytes = /^([0-9a-f]{2})+$/i.test(key) ? key.length / 2 : key.length;
  if (bytes >= SHORTEST_KEY) return key;
  throw new ScistreamError(
    "BAD_FORMAT",
    `stunnel's key is made of the uid, and this one makes ${bytes} bytes of the ${SHORTEST_KEY} that it needs; ask without a uid of your own, or for one of 32 hex digits`,
  );
}
