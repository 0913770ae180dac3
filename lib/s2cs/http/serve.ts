/**
 * The side port of a control server: whether it lives and is ready, its metrics, and the dashboard.
 * @module
 */
import { isLoopback } from "../../protocol/address.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import type { ServerTls } from "../../protocol/server.ts";
import type { Front } from "../front.ts";
import type { Gateway } from "../gateway.ts";
import { type Measured, registryOf } from "../metrics.ts";
import type { Observer } from "../observer.ts";
import { Feed } from "./feed.ts";
import { History } from "./history.ts";
import { listen } from "./listen.ts";
import { Logins } from "./logins.ts";
import { Names } from "./names.ts";
import { OperatorToken } from "./operator.ts";
import { Routes } from "./routes.ts";
import { View } from "./view.ts";
import { Visitors } from "./visitors.ts";

/** A listening side port. */
export interface Http extends AsyncDisposable {
  address: Endpoint;
  /** From now on, connections are met with this certificate, where they are met with one. */
  renew(tls: ServerTls): void;
}

/** What is served. */
export interface HttpOptions {
  /** Where it listens. */
  address: Endpoint;
  /** Connections at once. A browser has six. */
  sockets: number;
  /** The control server's; on a loopback address the port is plain all the same. */
  tls?: ServerTls;
  /** The gateway's folder, which only this user can enter. */
  folder: string;
  /** Where the control server listens. */
  control: Endpoint;
  /** The data server type. */
  type: string;
  measured: Measured;
  gateway: Gateway;
  observer: Observer;
  front: Front;
  /** Why the control server takes no calls now, a few words; undefined when it does. */
  notReady: () => string | undefined;
}

/**
 * Serves until it is disposed of.
 * @throws {ScistreamError} CONN_ERROR when the address cannot be listened on
 */
export async function serveHttp(options: HttpOptions): Promise<Http> {
  // What does not leave this machine is seen by nobody on its way, and a browser takes it for safe.
  const tls = isLoopback(options.address.host) ? undefined : options.tls;
  const { address, sockets, folder, measured, gateway, observer, front } = options;
  const history = new History();
  const over = new AbortController();
  const names = new Names(address.host, tls?.cert);
  const operator = new OperatorToken(folder);
  try {
    const routes = new Routes({
      ...options,
      tls,
      names,
      registry: registryOf(measured),
      feed: new Feed(observer),
      view: new View(history, options.type, () => gateway.enforcesRates),
      visitors: new Visitors(front, operator, new Logins(address.port, tls !== undefined)),
    });
    const listening = await listen({ address, sockets, tls }, (asked) => routes.answer(asked));
    // As long as the port is there, for whoever opens a page sees the minutes before.
    const remembering = (async () => {
      for await (const snapshot of observer.watch(over.signal)) {
        history.add(snapshot);
      }
    })();
    return {
      address: listening.address,
      renew(next) {
        if (!tls) return;
        names.renew(next.cert);
        listening.renew(next);
      },
      async [Symbol.asyncDispose]() {
        over.abort();
        await listening[Symbol.asyncDispose]();
        await remembering;
        operator[Symbol.dispose]();
      },
    };
  } catch (error) {
    operator[Symbol.dispose]();
    throw error;
  }
}
