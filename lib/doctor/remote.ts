/**
 * Checks of a control server elsewhere, from where its clients are.
 * @module
 */
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import tls from "node:tls";
import { ControlClient } from "../protocol/client.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError, Status } from "../protocol/errors.ts";
import { covers } from "./certificate.ts";
import { type Check, fail, failed, type Finding, ok, skip, warn } from "./check.ts";

/** How a control server is reached. */
export interface RemoteSettings {
  address: Endpoint;
  ssl: boolean;
  /** Path of its certificate. */
  serverCert: string;
}

/** Of each connection. */
const PATIENCE_MS = 5_000;
/** Calls whose quickest is told. */
const CALLS = 5;
/** Deno refuses an IP address as TLS server name; the certificate is looked at here instead. */
const STAND_IN_NAME = "scistream.invalid";
const SOON_MS = 30 * 86_400_000;

/** `name`, `connection`, `tls`, `protocol`, `authentication`, `round-trip`: each needs those before it. */
export function remoteChecks(settings: RemoteSettings): Check[] {
  const { address, ssl } = settings;
  const name = once(() => resolve(address.host));
  const connection = once((signal) => after(name, signal, () => connect(address, signal)));
  const handshake = once((signal) =>
    after(
      connection,
      signal,
      async () =>
        ssl
          ? await shakeHands(settings, signal)
          : skip("--ssl=False: everything goes in the clear"),
    )
  );
  const said = new Answers(settings);
  const protocol = once((signal) => after(handshake, signal, () => said.protocol(signal)));
  return [
    { name: "name", look: name },
    { name: "connection", look: connection },
    { name: "tls", look: handshake },
    { name: "protocol", look: protocol },
    { name: "authentication", look: (s) => after(protocol, s, () => said.authentication()) },
    { name: "round-trip", look: (s) => after(protocol, s, () => said.roundTrip()) },
  ];
}

type Look = Check["look"];

/** The same finding for everybody who asks. */
function once(look: Look): Look {
  let finding: Promise<Finding> | undefined;
  return (signal) => finding ??= look(signal);
}

/** Where what comes before has failed, nothing can be said. */
const BLOCKED = skip("what comes before it has to work first");

async function after(earlier: Look, signal: AbortSignal, look: () => Promise<Finding> | Finding) {
  const before = await earlier(signal);
  return before.status === "fail" || before === BLOCKED ? BLOCKED : await look();
}

async function resolve(host: string): Promise<Finding> {
  if (isIP(host)) return ok(`${host} is an address`);
  try {
    const found = await lookup(host, { all: true });
    return ok(`${host} is ${found.map(({ address }) => address).join(", ")}`);
  } catch (error) {
    return fail(
      `${host} has no address: ${messageOf(error)}`,
      `look for a typing error; getent hosts ${host} asks the same; or name its IP address`,
    );
  }
}

async function connect({ host, port }: Endpoint, signal: AbortSignal): Promise<Finding> {
  const at = `${host} port ${port}`;
  const given = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
  const start = performance.now();
  try {
    const conn = await Deno.connect({ hostname: host, port, signal: given });
    conn.close();
    return ok(`${at} answers after ${ms(performance.now() - start)}`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Deno.errors.ConnectionRefused) {
      return fail(
        `${at} refuses connections`,
        "see that s2cs runs there, on that address and port: `scistream doctor` on the gateway tells",
      );
    }
    const why = given.aborted ? `no answer within ${PATIENCE_MS / 1000} s` : messageOf(error);
    return fail(
      `${at}: ${why}`,
      `see that the machine is up, and that firewalls on the way let in TCP ${port}`,
    );
  }
}

async function shakeHands(settings: RemoteSettings, signal: AbortSignal): Promise<Finding> {
  const { address: { host, port }, serverCert } = settings;
  const copy = `copy server.crt from that gateway again, and name it with --server-cert`;
  let ca: Buffer;
  try {
    ca = Buffer.from(await Deno.readFile(serverCert));
    new X509Certificate(ca);
  } catch (error) {
    return fail(`the certificate ${serverCert} cannot be read: ${messageOf(error)}`, copy);
  }
  let shown: { certificate: X509Certificate; authorized: boolean; why: string };
  try {
    shown = await peerOf({ host, port, ca }, signal);
  } catch (error) {
    signal.throwIfAborted();
    return fail(
      `there is no TLS: ${messageOf(error)}`,
      "see whether its s2cs runs with --ssl=False, or is another program",
    );
  }
  const { certificate, authorized, why } = shown;
  const remake = `on that gateway: scistream cert ${
    isIP(host) ? `--ip ${host}` : `--dns ${host}`
  } --force; then copy its server.crt here`;
  const until = Date.parse(certificate.validTo);
  if (until < Date.now()) {
    return fail(`its certificate expired on ${certificate.validTo}`, remake);
  }
  if (Date.parse(certificate.validFrom) > Date.now()) {
    return fail(
      `its certificate is valid only from ${certificate.validFrom}`,
      "set the clock, here or there",
    );
  }
  if (!authorized) {
    return fail(`its certificate is unknown, and not the one in ${serverCert} (${why})`, copy);
  }
  const names = (certificate.subjectAltName ?? "nobody").replaceAll(/IP Address:|DNS:/g, "");
  if (!covers(certificate, host)) {
    return fail(`its certificate is for ${names}, and not for ${host}`, remake);
  }
  if (until < Date.now() + SOON_MS) {
    return warn(`its certificate expires on ${certificate.validTo}`, remake);
  }
  return ok(`its certificate is the one in ${serverCert}, for ${names}`);
}

/** What the other end shows, and whether it ends at the given certificate; its name is not looked at. */
function peerOf(
  options: { host: string; port: number; ca: Buffer },
  signal: AbortSignal,
): Promise<{ certificate: X509Certificate; authorized: boolean; why: string }> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      ...options,
      servername: STAND_IN_NAME,
      ALPNProtocols: ["h2"],
      // It is looked at, and nothing is sent.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      timeout: PATIENCE_MS,
    }, () => {
      const { raw } = socket.getPeerCertificate();
      resolve({
        certificate: new X509Certificate(raw),
        authorized: socket.authorized,
        why: String(socket.authorizationError),
      });
      socket.destroy();
    });
    const end = () => socket.destroy(new Error("interrupted"));
    signal.addEventListener("abort", end, { once: true });
    socket.on("timeout", () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("close", () => {
      signal.removeEventListener("abort", end);
      reject(new Error("it hung up"));
    });
  });
}

/** What a control server answers to `whoami`, which changes nothing. */
class Answers {
  readonly #settings: RemoteSettings;
  #said: "open" | "wants a token" | "reference" = "open";
  #quickestMs = Infinity;

  constructor(settings: RemoteSettings) {
    this.#settings = settings;
  }

  async protocol(signal: AbortSignal): Promise<Finding> {
    const { address, ssl, serverCert } = this.#settings;
    const roots = ssl ? await Deno.readFile(serverCert) : undefined;
    const client = new ControlClient({ address, roots });
    try {
      // The first one connects.
      for (let i = 0; i <= CALLS; i++) {
        const start = performance.now();
        await this.#call(client, signal);
        if (i > 0) this.#quickestMs = Math.min(this.#quickestMs, performance.now() - start);
      }
    } catch (error) {
      signal.throwIfAborted();
      const late = error instanceof ScistreamError && error.code === "TIMEOUT";
      const found = late ? `no answer within ${PATIENCE_MS / 1000} s` : failed(error).found;
      return fail(found, "see that it is an s2cs, and that --ssl is the same at both ends");
    } finally {
      client.close();
    }
    if (this.#said !== "reference") return ok("an s2cs of this implementation");
    return ok("SciStream's Python implementation: no check-status, list, or limits of its own");
  }

  async #call(client: ControlClient, signal: AbortSignal): Promise<void> {
    try {
      const { authenticated } = await client.call("whoami", {}, {
        signal,
        deadlineMs: PATIENCE_MS,
      });
      this.#said = authenticated ? "wants a token" : "open";
    } catch (error) {
      if (!(error instanceof ScistreamError)) throw error;
      if (error.code === "NOT_IMPLEMENTED") this.#said = "reference";
      else if (error.code === "AUTH_ERROR" && error.status === Status.UNAUTHENTICATED) {
        this.#said = "wants a token";
      } else throw error;
    }
  }

  authentication(): Finding {
    if (this.#said === "reference") return skip("it does not tell before a request is made");
    if (this.#said === "wants a token") return ok("it wants a token: s2uc login");
    return warn(
      "none: whoever reaches the port can make sessions",
      "docs/authentication.md sets it up, on the gateway",
    );
  }

  roundTrip(): Finding {
    return ok(`${ms(this.#quickestMs)} for a call, the quickest of ${CALLS}`);
  }
}

function ms(time: number): string {
  return `${time.toFixed(1)} ms`;
}
