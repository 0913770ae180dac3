/**
 * Streams through a data server type: the control servers that they need, and the sessions on them.
 * @module
 */
import { DockerEngine } from "../../lib/docker/engine.ts";
import { DEFAULT_SOCKET } from "../../lib/docker/socket.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { messageOf } from "../../lib/protocol/errors.ts";
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
import { children, family } from "./process.ts";
import type { Context } from "./result.ts";

/** Types whose proxies run in containers, and of which image. */
const IMAGES: Record<string, string> = {
  Haproxy: "haproxy:latest",
  DockerSock: "haproxy:latest",
  Nginx: "nginx:latest",
  Stunnel: "stunnel:latest",
};
const PORTS = 8;
const HOST = "127.0.0.1";

const engine = new DockerEngine({ socket: DEFAULT_SOCKET });

/** Why a type cannot be measured on this machine, or undefined where it can. */
export async function whyNot(type: string): Promise<string | undefined> {
  const image = IMAGES[type];
  if (!image) return undefined;
  try {
    return await engine.inspectImage(image) ? undefined : `${image} is not on the Docker Engine`;
  } catch (error) {
    return messageOf(error);
  }
}

/** A session that streams. */
export interface Stream {
  uid: Uid;
  /** Where a client connects. */
  port: number;
}

/**
 * Gateways of one type, with as many sessions as are asked for: one gateway, that of the producer;
 * with stunnel, which speaks TLS at one end, also that of the consumer.
 */
export class Streams implements AsyncDisposable {
  readonly #gateways: Gateway[] = [];
  readonly #open = new Set<Uid>();
  readonly #containers: boolean;
  readonly name: string;

  private constructor(type: string, readonly signal: AbortSignal) {
    this.#containers = type in IMAGES;
    this.name = nameOf(type);
  }

  /** Starts the control servers. */
  static async start(type: string, { folder, signal }: Context): Promise<Streams> {
    const streams = new Streams(type, signal);
    const flags = [`--type=${type}`, `--docker-socket=${DEFAULT_SOCKET}`];
    try {
      for (const [i, ports] of freePortRanges(isPair(type) ? 2 : 1, PORTS).entries()) {
        const name = `${type}-${i}`;
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

/** A type as tables name it. */
export function nameOf(type: string): string {
  return isPair(type) ? `${type} pair` : type;
}

function isPair(type: string): boolean {
  return type.startsWith("Stunnel");
}
