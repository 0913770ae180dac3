/**
 * Streams through a data server type: the control servers that they need, and the sessions on them.
 * @module
 */
import { DockerEngine } from "../../lib/docker/engine.ts";
import { DEFAULT_SOCKET } from "../../lib/cli/docker_host.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import { LABELS } from "../../lib/s2ds/proxy/container_spec.ts";
import { connect } from "../../lib/s2uc/connect.ts";
import {
  releaseSession,
  requestSession,
  sayHello,
  UNDO_MS,
  updateSession,
} from "../../lib/s2uc/requests.ts";
import { freePortRanges, Gateway } from "../demo/gateways.ts";
import { KINDS } from "./kinds.ts";
import { children, family } from "./process.ts";
import type { Context } from "./result.ts";

const PORTS = 8;
const HOST = "127.0.0.1";

const engine = new DockerEngine({ socket: DEFAULT_SOCKET });

/** A session that streams. */
export interface Stream {
  uid: Uid;
  /** Where a client connects. */
  port: number;
}

/**
 * Gateways of one kind, with as many sessions as are asked for: one gateway, that of the producer;
 * where what travels is encrypted, also that of the consumer.
 */
export class Streams implements AsyncDisposable {
  readonly #gateways: Gateway[] = [];
  readonly #open = new Set<Uid>();
  readonly #containers: boolean;

  private constructor(containers: boolean, readonly signal: AbortSignal) {
    this.#containers = containers;
  }

  /** Starts the control servers. */
  static async start(kindName: string, { folder, signal }: Context): Promise<Streams> {
    const kind = KINDS[kindName];
    if (!kind) throw new TypeError(`no kind ${kindName}`);
    const streams = new Streams(kind.image !== undefined, signal);
    const flags = [
      `--type=${kind.type}`,
      `--docker-socket=${DEFAULT_SOCKET}`,
      ...await kind.flags?.(signal) ?? [],
    ];
    try {
      for (const [i, ports] of freePortRanges(kind.pair ? 2 : 1, PORTS).entries()) {
        const name = `${kindName.replaceAll(/\W/g, "")}-${i}`;
        streams.#gateways.push(
          await Gateway.start({ name, folder, ports, flags, signal, onDeath: () => {} }),
        );
      }
      return streams;
    } catch (error) {
      await streams[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Sets a stream to this port of this machine up. */
  async open(target: number): Promise<Stream> {
    const uid = Uid.random();
    this.#open.add(uid);
    const { signal } = this;
    const [prod, cons] = this.#gateways.map(({ client }) => client);
    const receivers = [new Endpoint(HOST, target)];
    if (!prod) throw new TypeError("no gateway");
    if (cons) {
      const told = await connect({ prod, cons, uid, numConn: 1, rate: 0, receivers, signal });
      return { uid, port: told.consListeners[0]?.port ?? 0 };
    }
    const [{ listeners }] = await Promise.all([
      requestSession(prod, { uid, role: "PROD", numConn: 1, rate: 0 }, signal),
      sayHello(prod, uid, "PROD", receivers, { signal }),
    ]);
    await updateSession(prod, uid, "PROD", receivers.map(String), signal);
    return { uid, port: Endpoint.parse(listeners[0] ?? "").port };
  }

  /** Ends a stream without waiting for its connections. */
  async release(uid: Uid): Promise<void> {
    const options = { force: true, deadlineMs: UNDO_MS };
    await Promise.all(this.#gateways.map(({ client }) => releaseSession(client, uid, options)));
    this.#open.delete(uid);
  }

  /** Everything that forwards: data servers or proxies with their workers, of both sides of a pair. */
  async pids(): Promise<number[]> {
    const first = this.#containers
      ? (await this.#left()).map((id) => engine.inspect(id).then((each) => [each?.State.Pid ?? 0]))
      : this.#gateways.map(({ pid }) => children(pid, this.signal));
    const pids = (await Promise.all(first)).flat().filter(Boolean);
    return (await Promise.all(pids.map((pid) => family(pid, this.signal)))).flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // First the sessions: a control server that had to be killed would leave its proxies.
    await Promise.allSettled([...this.#open].map((uid) => this.release(uid)));
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
    for (const id of await this.#left()) await engine.remove(id, { force: true });
  }

  /** Ids of these gateways' containers. */
  async #left(): Promise<string[]> {
    if (!this.#containers) return [];
    const found = await Promise.all(
      this.#gateways.map(({ client }) => String(client.address)).map((address) =>
        engine.list({ labels: { [LABELS.gateway]: address }, all: true })
      ),
    );
    return found.flat().map(({ Id }) => Id);
  }
}
