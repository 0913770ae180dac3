/**
 * A producer's and a consumer's gateway on this machine, sessions over both, and what is left of
 * them.
 * @module
 */
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import type { SessionStatus } from "../proto/messages.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { connect } from "../lib/s2uc/connect.ts";
import { releaseSession, updateSession } from "../lib/s2uc/requests.ts";
import { assertOk, Gateway, run } from "./harness.ts";

/** One end of a pair: a control server and a client of it. */
export interface Side {
  gateway: Gateway;
  client: ControlClient;
}

/** A session at both gateways. */
export interface Stream {
  uid: Uid;
  /** Where the producer's gateway listens. */
  prod: string[];
  /** Where the consumer's application connects. */
  cons: string[];
}

function sideOf(gateway: Gateway): Side {
  const roots = Deno.readFileSync(gateway.cert);
  const address = Endpoint.parse(gateway.address);
  return { gateway, client: new ControlClient({ address, roots }) };
}

/** Two gateways. */
export class Pair implements AsyncDisposable {
  private constructor(readonly prod: Side, readonly cons: Side) {}

  /** Starts both; `flags` are for both, of which the producer's type may be another. */
  static async start(types: string | [prod: string, cons: string], ...flags: string[]) {
    const [prod, cons] = typeof types === "string" ? [types, types] : types;
    const gateways = await Promise.all(
      [prod, cons].map((type) => Gateway.start(`--type=${type}`, ...flags)),
    );
    return Pair.of(gateways[0] as Gateway, gateways[1] as Gateway);
  }

  /** Two gateways that run already. */
  static of(prod: Gateway, cons: Gateway): Pair {
    return new Pair(sideOf(prod), sideOf(cons));
  }

  /** A session to the application at `receiver`. */
  async connect(receiver: Endpoint, numConn = 1, uid = Uid.random()): Promise<Stream> {
    const { prodListeners, consListeners } = await connect({
      prod: this.prod.client,
      cons: this.cons.client,
      uid,
      numConn,
      rate: 0,
      receivers: [receiver],
    });
    return { uid, prod: prodListeners.map(String), cons: consListeners.map(String) };
  }

  /** Gives a session's producer's side another application. */
  async update({ uid }: Stream, receiver: Endpoint): Promise<void> {
    await updateSession(this.prod.client, uid, "PROD", [String(receiver)]);
  }

  async release({ uid }: Stream): Promise<void> {
    await Promise.all([this.prod, this.cons].map(({ client }) => releaseSession(client, uid)));
  }

  async status({ uid }: Stream): Promise<SessionStatus[]> {
    return await Promise.all(
      [this.prod, this.cons].map(({ client }) => client.call("status", { uid: uid.reveal() })),
    );
  }

  /** Files of sessions, and processes that run in their folders. */
  async left(): Promise<string[]> {
    const found = await Promise.all([this.prod, this.cons].map(async ({ gateway }) => {
      const files = assertOk(await run(["find", gateway.stateDir, "-path", "*/sessions/*"])).out;
      const pids = await pidsBelow(gateway.stateDir);
      return [...files.split("\n"), ...pids.map((pid) => `process ${pid}`)];
    }));
    return found.flat().filter(Boolean);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.prod, this.cons].map(async ({ gateway, client }) => {
      client.close();
      await gateway[Symbol.asyncDispose]();
    }));
  }
}

/** Ids of the processes whose working directory is in this folder: proxies, and their workers. */
export async function pidsBelow(folder: string): Promise<number[]> {
  const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter(Boolean);
  const found = await Promise.all(pids.map(async (pid) => {
    // One that has ended has none.
    const where = await Deno.readLink(`/proc/${pid}/cwd`).catch(() => "");
    return where.startsWith(`${folder}/`) ? [pid] : [];
  }));
  return found.flat().sort((a, b) => a - b);
}
