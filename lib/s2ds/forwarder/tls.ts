/**
 * TLS 1.3 between the gateways of a session, each proven to the other by the session's secret alone.
 * docs/data-channel.md has the design.
 * @module
 */
import type net from "node:net";
import tls from "node:tls";
import { type Credentials, LEAF_MS, SERVER_NAME, type Side } from "./secret.ts";
import type { End } from "./sockets.ts";

/** Told in the handshake (ALPN, RFC 7301): whoever offers another is refused. */
export const PROTOCOL = "scistream/1";
/** A handshake may take so long. */
const HANDSHAKE_MS = 10_000;

const OPTIONS = {
  minVersion: "TLSv1.3" as const,
  ALPNProtocols: [PROTOCOL],
};

/** What the other gateway did wrong; the message follows its address and reads on from "it". */
export class Unproven extends Error {
  override readonly name = "Unproven";
  /** @param passing whether it may go well the next time */
  constructor(message: string, readonly passing = false) {
    super(message);
  }
}

/** Proves this gateway to the other one of a session, and the other way round. */
export class GatewayTls {
  readonly #side: Side;
  readonly #issue: () => Promise<Credentials>;
  #credentials?: { value: Promise<Credentials>; from: number; until: number };
  #server?: { of: Credentials; emitter: tls.Server };
  #context?: { of: Credentials; value: tls.SecureContext };
  readonly #proving = new Map<net.Socket, PromiseWithResolvers<tls.TLSSocket>>();

  /** @param issue makes credentials, anew before they end */
  constructor(side: Side, issue: () => Promise<Credentials>) {
    this.#side = side;
    this.#issue = issue;
  }

  /** Makes ready, so that the first connection does not wait for it. */
  prepare(): Promise<unknown> {
    return this.#current();
  }

  /**
   * The encrypted end of this TCP connection once its peer is proven.
   * @throws {Unproven}
   */
  async prove(tcp: net.Socket, timeoutMs = HANDSHAKE_MS): Promise<End> {
    const credentials = await this.#current();
    const proving = Promise.withResolvers<tls.TLSSocket>();
    const timer = setTimeout(
      () => proving.reject(new Unproven(silence(this.#side, timeoutMs))),
      timeoutMs,
    );
    const closed = () => proving.reject(new Error("closed"));
    tcp.on("close", closed);
    this.#proving.set(tcp, proving);
    try {
      if (tcp.destroyed) closed();
      else if (this.#side === "server") this.#serverFor(credentials).emit("connection", tcp);
      else this.#connect(tcp, credentials, proving);
      const socket = await proving.promise;
      // Never the option alone: there were runtimes that let clients without a certificate in.
      if (socket.authorized !== true) throw new Unproven("is not proven by this session's uid");
      if (socket.alpnProtocol !== PROTOCOL) throw new Unproven("is no SciStream gateway");
      return { socket, tcp, framed: true };
    } catch (error) {
      throw error instanceof Unproven ? error : explain(error, this.#side);
    } finally {
      clearTimeout(timer);
      tcp.off("close", closed);
      this.#proving.delete(tcp);
    }
  }

  #current(): Promise<Credentials> {
    const now = Date.now();
    const { from = Infinity, until = 0 } = this.#credentials ?? {};
    // A clock that is set back makes them valid only later.
    if (!this.#credentials || now < from || now > until) {
      const value = this.#issue();
      this.#credentials = { value, from: now, until: now + LEAF_MS / 2 };
      value.catch(() => this.#credentials = undefined);
    }
    return this.#credentials.value;
  }

  #connect(
    socket: net.Socket,
    credentials: Credentials,
    proving: PromiseWithResolvers<tls.TLSSocket>,
  ): void {
    if (this.#context?.of !== credentials) {
      const value = tls.createSecureContext({ ...credentials, minVersion: "TLSv1.3" });
      this.#context = { of: credentials, value };
    }
    const secureContext = this.#context.value;
    const secure = tls.connect({ ...OPTIONS, socket, servername: SERVER_NAME, secureContext });
    secure.once("secureConnect", () => proving.resolve(secure));
    secure.on("error", (error) => proving.reject(error));
    secure.once("close", () => proving.reject(new Error("closed")));
  }

  /** Not listening itself: it takes connections that are handed to it. */
  #serverFor(credentials: Credentials): tls.Server {
    if (this.#server?.of === credentials) return this.#server.emitter;
    const emitter = tls.createServer({
      ...OPTIONS,
      ...credentials,
      requestCert: true,
      rejectUnauthorized: true,
      // Ours ends it.
      handshakeTimeout: 0x7fffffff,
    });
    // The socket that a TLS socket was made of.
    const of = (socket: tls.TLSSocket) => (socket as unknown as { _parent: net.Socket })._parent;
    emitter.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      this.#proving.get(of(socket))?.resolve(socket);
    });
    emitter.on("tlsClientError", (error, socket) => this.#proving.get(of(socket))?.reject(error));
    this.#server = { of: credentials, emitter };
    return emitter;
  }
}

function silence(side: Side, ms: number): string {
  const peer = side === "server"
    ? "its gateway may forward in the clear (--wan plain, or a plain proxy)"
    : "that gateway may forward in the clear (--wan plain, or a plain proxy)";
  return `did not finish the TLS handshake within ${ms / 1000} s; ${peer}`;
}

function explain(error: unknown, side: Side): Unproven {
  const { code = "", message = String(error) } = error as NodeJS.ErrnoException;
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER") {
    return new Unproven(
      "does not speak TLS: that gateway forwards in the clear (--wan plain, or a plain proxy), " +
        "this one encrypts (--wan tls); set both alike",
    );
  }
  if (/NO_APPLICATION_PROTOCOL/i.test(code + message)) {
    return new Unproven("is no SciStream gateway");
  }
  if (/ALERT_UNKNOWN_CA|ALERT_DECRYPT_ERROR|ALERT_BAD_CERTIFICATE/.test(code)) {
    return new Unproven(
      "takes this gateway for another session's: the uids differ, or a clock is off",
    );
  }
  if (/RETURN_A_CERTIFICATE/.test(code)) return new Unproven("showed no certificate");
  if (code === "ECONNRESET" || code === "EPIPE" || message === "closed") {
    return new Unproven(
      side === "server"
        ? "hung up, or showed a certificate that is not this session's"
        : "hung up in the TLS handshake: it forwards in the clear (--wan plain), or takes this " +
          "gateway for another session's",
      true,
    );
  }
  if (/VERIFY|CERT|ISSUER|SELF_SIGNED|ALTNAME/.test(code)) {
    return new Unproven(
      "is not proven by this session's uid: the uids differ, or a clock is off",
    );
  }
  return new Unproven(`failed in the TLS handshake: ${code || message}`);
}
