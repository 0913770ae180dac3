import net from "node:net";
import type { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf } from "../../protocol/errors.ts";
import type { Role } from "../../protocol/values.ts";
import type { ChannelStatus } from "../data_server.ts";
import { Relay, type Shared } from "./relay.ts";
import { type End, plain, reset, tune } from "./sockets.ts";
import { type GatewayTls, PROTOCOL, Unproven } from "./tls.ts";

/** A target may take this long to accept a connection, all tries together. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Pauses before the second and third try; half of each is random. */
const RETRY_MS = [100, 400];
/** What may be over in a moment. */
const PASSING = new Set(["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"]);

/** What a channel's connections share. */
export interface ConnectionContext extends Shared {
  /** Without a role neither side is the other gateway's. */
  role?: Role;
  /** Encrypts towards the other gateway. */
  tls?: GatewayTls;
  /** The channel's numbers. */
  status: ChannelStatus;
  /** The present target; waits for the first one. */
  target: () => Promise<Endpoint>;
  /** Tells what went wrong. */
  tell: (why: string) => void;
}

/** Why a connection ended before it was relayed. */
class Refused extends Error {
  constructor(why: string, readonly proven: boolean) {
    super(why);
  }
}

/**
 * One accepted connection: its peer is proven, its target connected to and proven, and then both are
 * relayed. Which of the two is the other gateway follows from the session's role: whoever connects
 * to a producer's listener, whom a consumer's connects to.
 */
export class Connection {
  readonly #accepted: net.Socket;
  readonly #context: ConnectionContext;
  /** Rejects when it is cut before it is relayed. */
  readonly #cut = Promise.withResolvers<never>();
  #relay?: Relay;
  #isProven = false;
  #peer?: string;
  /** Settled when both sides are gone. */
  readonly done: Promise<void>;
  /** Settled when its peer need not prove itself any more. */
  readonly proven: Promise<void>;

  constructor(accepted: net.Socket, context: ConnectionContext) {
    this.#accepted = accepted;
    this.#context = context;
    this.#cut.promise.catch(() => {});
    tune(accepted);
    const near = this.#unlessCut(this.#near());
    this.proven = near.then(() => {}, () => {});
    this.done = this.#run(near);
  }

  /** Address of whoever connected; asked for only when somebody wants to know. */
  get peer(): string {
    return this.#peer ??= this.#accepted.remoteAddress ?? "";
  }

  /** Cuts it with an RST. */
  cut(why: string): void {
    this.#relay?.reset();
    this.#cut.reject(new Refused(why, this.#isProven));
  }

  async #run(proven: Promise<End>): Promise<void> {
    const { status, tell, target } = this.#context;
    let near = plain(this.#accepted);
    let far: End | undefined;
    try {
      near = await proven;
      this.#isProven = true;
      const to = await this.#unlessCut(target());
      far = await this.#far(to);
      if (this.#accepted.destroyed) throw new Refused("the client hung up", true);
    } catch (error) {
      reset(near);
      if (far) reset(far);
      if (error instanceof Refused && !error.proven) status.connectionsRefused++;
      else status.connectionsFailed++;
      return tell(messageOf(error));
    }
    this.#relay = this.#join(near, far);
    const why = await this.#relay.done;
    if (why) tell(why);
  }

  /** The side of whoever connected. */
  async #near(): Promise<End> {
    const { tls, role } = this.#context;
    if (!tls || role !== "PROD") return plain(this.#accepted);
    try {
      return await tls.prove(this.#accepted);
    } catch (error) {
      throw new Refused(`${this.peer} ${messageOf(error)}`, false);
    }
  }

  /** The target's side. A name is resolved anew at every try. */
  async #far(to: Endpoint): Promise<End> {
    const { tls, role } = this.#context;
    const deadline = performance.now() + CONNECT_TIMEOUT_MS;
    for (let tries = 1;; tries++) {
      const proves = tls !== undefined && role === "CONS";
      const tcp = new net.Socket({ allowHalfOpen: !proves });
      try {
        await this.#unlessCut(connected(tcp, to, deadline - performance.now()));
        tune(tcp);
        return proves ? await this.#unlessCut(tls.prove(tcp)) : plain(tcp);
      } catch (error) {
        tcp.destroy();
        if (error instanceof Refused) throw error;
        const { code } = error as NodeJS.ErrnoException;
        const pause = RETRY_MS[tries - 1];
        const told = tries === 1 ? "" : ` (${tries} tries)`;
        const why = error instanceof Unproven
          ? `target ${to} ${error.message}`
          : `target ${to}: ${code ?? messageOf(error)}${told}`;
        const passing = error instanceof Unproven ? error.passing : PASSING.has(code ?? "");
        if (pause === undefined || !passing || performance.now() + pause > deadline) {
          throw new Refused(why, true);
        }
        await this.#unlessCut(after(pause * (0.5 + Math.random() / 2)));
        if (this.#accepted.destroyed) throw new Refused("the client hung up", true);
      }
    }
  }

  #join(near: End, far: End): Relay {
    const { status, role, tls } = this.#context;
    return new Relay(near, far, {
      toTarget: (n) => void (status.bytesToTarget += n),
      fromTarget: (n) => void (status.bytesFromTarget += n),
      first: role && !tls ? (from, bytes) => this.#mismatch(from, bytes) : undefined,
    }, this.#context);
  }

  /** Whether these first bytes are those of a gateway that encrypts, where this one does not. */
  #mismatch(from: "client" | "target", bytes: Uint8Array): string | undefined {
    const { role, tell } = this.#context;
    if (role === "PROD" && from === "client" && isClientHello(bytes)) {
      return `${this.peer} speaks TLS: its gateway encrypts (--wan tls), this one does not ` +
        "(--wan plain); set both alike";
    }
    if (role === "CONS" && from === "target" && isAlert(bytes)) {
      // An application that speaks TLS itself may mean it: it is told, and passed on.
      tell(
        "the target answered with a TLS alert: its gateway may encrypt (--wan tls), this one does " +
          "not (--wan plain); set both alike",
      );
    }
  }

  #unlessCut<T>(promise: Promise<T>): Promise<T> {
    // What it answers when it is too late must not be left open, nor be an unhandled rejection.
    promise.catch(() => {});
    return Promise.race([promise, this.#cut.promise]);
  }
}

function connected(socket: net.Socket, to: Endpoint, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`)),
      Math.max(1, timeoutMs),
    );
    // It stays: a socket that fails before a relay has it must not take the process with it.
    socket.on("error", reject);
    socket.once("close", () => {
      clearTimeout(timer);
      reject(new Error("closed"));
    });
    socket.connect({ host: to.host, port: to.port }, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Another gateway's: RFC 8446, sections 4.1.2 and 5.1, with our protocol's name in its ALPN extension. */
function isClientHello(bytes: Uint8Array): boolean {
  if (bytes[0] !== 22 || bytes[1] !== 3 || bytes[5] !== 1) return false;
  return new TextDecoder("latin1").decode(bytes).includes(PROTOCOL);
}

/** Just a fatal alert (RFC 8446, section 6). */
function isAlert(bytes: Uint8Array): boolean {
  return bytes.length === 7 && bytes[0] === 21 && bytes[1] === 3 && bytes[5] === 2;
}
