/**
 * A simulated Docker Engine that manages a Swarm: the Engine's API on a Unix socket as far as sessions
 * need it, and nothing that runs.
 * @module
 */
import type { ServiceSpec } from "../../lib/docker/swarm.ts";
import type { GatewayNode } from "../../lib/s2ds/data_server.ts";
import { type Event, type File, type Filters, SwarmState } from "./swarm_state.ts";

/** Longest part of a list that is made at a time. */
const PART_BYTES = 64 << 10;
/** One update in so many finds that somebody else's came before. */
const OVERTAKEN = 20;
/** What HAProxy says when it listens. */
const STARTED = "Loading success.\n";
const INFO = {
  Swarm: { NodeID: "manager", LocalNodeState: "active", ControlAvailable: true },
};

/** What is asked, taken apart. */
interface Asked {
  method: string;
  path: string[];
  query: URLSearchParams;
  filters: Filters & { type?: string[] };
  body: () => Promise<unknown>;
}

/** An error as the Engine answers it. */
class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** A manager of a Swarm of simulated nodes. */
export class SwarmEngine implements AsyncDisposable {
  readonly swarm: SwarmState;
  /** Calls so far. */
  callCount = 0;
  /** Lists so far that nobody read to their end. */
  cutCount = 0;
  #updates = 0;
  readonly #server: Deno.HttpServer;
  readonly #over = new AbortController();

  constructor(nodes: readonly GatewayNode[], socket: string) {
    this.swarm = new SwarmState(nodes);
    this.#server = Deno.serve(
      { path: socket, signal: this.#over.signal, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  async [Symbol.asyncDispose]() {
    // Whoever follows events is cut off.
    this.#over.abort();
    await this.#server.finished;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, , ...path] = pathname.split("/").map(decodeURIComponent);
    if (pathname === "/_ping") return new Response("OK", { headers: { "Api-Version": "1.41" } });
    this.callCount++;
    try {
      return await this.#act({
        method: request.method,
        path,
        query: searchParams,
        filters: JSON.parse(searchParams.get("filters") ?? "{}"),
        body: () => request.json(),
      });
    } catch (error) {
      if (error instanceof Refused) return Response.json({ message: error.message }, error);
      return Response.json({ message: String(error) }, { status: 500 });
    }
  }

  #act(asked: Asked): Response | Promise<Response> {
    const { path: [kind = "", id = ""], filters } = asked;
    if (kind === "info") return Response.json(INFO);
    if (kind === "images") return Response.json({ Id: `sha256:${"0".repeat(64)}`, RepoTags: [] });
    if (kind === "events") return this.#follow(asked);
    if (kind === "nodes") return this.#list(this.swarm.nodes);
    if (kind === "services") return this.#onService(asked, id);
    if (kind === "tasks" && id) return new Response(framed(STARTED));
    if (kind === "tasks") return this.#list(this.swarm.tasks(filters));
    if (kind === "configs" || kind === "secrets") return this.#onFile(asked, kind, id);
    throw new Refused(404, "page not found");
  }

  async #onService({ method, path, query, filters, body }: Asked, id: string): Promise<Response> {
    if (id === "") return this.#list(this.swarm.services(filters));
    if (id === "create") {
      const spec = await body() as ServiceSpec;
      if (this.swarm.service(spec.Name)) throw new Refused(409, `name conflicts: ${spec.Name}`);
      return Response.json({ ID: this.swarm.create(spec).ID }, { status: 201 });
    }
    const service = this.swarm.service(id);
    if (!service) throw new Refused(404, `service ${id} not found`);
    if (method === "GET") return Response.json(service);
    if (method === "DELETE") {
      this.swarm.remove(service);
      return new Response();
    }
    if (path[2] !== "update") throw new Refused(404, "page not found");
    const spec = await body() as ServiceSpec;
    if (++this.#updates % OVERTAKEN === 0) this.swarm.touch(service);
    if (Number(query.get("version")) !== service.Version.Index) {
      throw new Refused(500, "rpc error: code = Unknown desc = update out of sequence");
    }
    this.swarm.update(service, spec);
    return Response.json({});
  }

  async #onFile(
    { method, filters, body }: Asked,
    kind: "configs" | "secrets",
    id: string,
  ): Promise<Response> {
    if (id === "") return this.#list(this.swarm.files(kind, filters));
    if (id === "create") {
      const { ID } = this.swarm.createFile(kind, await body() as File["Spec"]);
      return Response.json({ ID }, { status: 201 });
    }
    const removed = method === "DELETE" && this.swarm.removeFile(kind, id);
    if (!removed) throw new Refused(404, `${id} not found`);
    if (removed === true) return new Response(null, { status: 204 });
    throw new Refused(400, `${id} is in use by the following service: ${removed.user}`);
  }

  /** A list, made while it is read. */
  #list(items: Iterable<object>): Response {
    const iterator = Iterator.from(items);
    const encoder = new TextEncoder();
    let text = "[";
    let first = true;
    return new Response(
      new ReadableStream({
        pull(controller) {
          for (
            let item;
            text.length < PART_BYTES && !(item = iterator.next()).done;
            first = false
          ) {
            text += `${first ? "" : ","}${JSON.stringify(item.value)}`;
          }
          const isLast = text.length < PART_BYTES;
          controller.enqueue(encoder.encode(isLast ? `${text}]` : text));
          text = "";
          if (isLast) controller.close();
        },
        cancel: () => void this.cutCount++,
      }),
      { headers: { "Content-Type": "application/json" } },
    );
  }

  #follow({ query, filters: { type: types } }: Asked): Response {
    const sinceMs = Number(query.get("since")) * 1000;
    const encoder = new TextEncoder();
    let leave = () => {};
    return new Response(
      new ReadableStream({
        start: (controller) => {
          leave = this.swarm.follow(sinceMs, ({ type, line }: Event) => {
            if (!types || types.includes(type)) controller.enqueue(encoder.encode(line));
          });
        },
        cancel: () => leave(),
      }),
    );
  }
}

/** What a container wrote to its stderr, as the Engine sends it. */
function framed(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const frame = new Uint8Array(8 + bytes.length);
  frame[0] = 2;
  new DataView(frame.buffer).setUint32(4, bytes.length);
  frame.set(bytes, 8);
  return frame;
}
