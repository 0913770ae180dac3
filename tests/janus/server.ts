/**
 * Janus' controller as its REST is (read in its source, and run without containers), with real
 * containers behind it: on Docker Engines of the tests' own.
 * @module
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { Daemon } from "../engine.ts";
import { Backend, listProfiles, listVolumes, type Profile, type Service } from "./backend.ts";

/** What every path begins with. */
const PREFIX = "/api/janus/controller";

/** A session, as Janus keeps it. */
interface Row {
  id?: number;
  uuid?: string;
  user?: string;
  state?: string;
  services?: Record<string, Service[]>;
  request?: unknown[];
  users?: string[];
  groups?: string[];
}

/** What goes wrong with the next call that is like this. */
export interface Fault {
  /** Found in `METHOD /path`, without the prefix. */
  call: RegExp;
  /** It is never seen, or done and not answered, or answered by something before Janus, or later. */
  how: "cut before" | "cut after" | { status: number; body: string } | { until: Promise<void> };
}

/** What there is, beside the containers. */
export interface JanusSettings {
  /** Engines by the names of nodes. One engine may be several nodes. */
  nodes: Record<string, Daemon>;
  /** Folders by profile: mounted at `target`. */
  profiles: Record<string, Profile>;
  images: string[];
  user: string;
  password: string;
  /** For TLS. */
  tls?: { cert: string; key: string };
  /** Whether it tells of volumes; older ones do not. */
  volumes?: boolean;
}

/** The controller. Disposal leaves its containers to whoever has the engines. */
export class JanusServer implements AsyncDisposable {
  readonly settings: JanusSettings;
  /** `METHOD /path` of all calls so far, without the prefix. */
  readonly calls: string[] = [];
  /** Each is for one call. */
  readonly faults: Fault[] = [];
  rows = new Map<number, Row>();
  #port = 0;
  #server?: http.Server;
  #last = 0;
  readonly #backend: Backend;

  private constructor(settings: JanusSettings) {
    this.settings = settings;
    this.#backend = new Backend(settings.nodes);
  }

  /** Starts one. */
  static async start(settings: JanusSettings): Promise<JanusServer> {
    const server = new JanusServer(settings);
    await server.up();
    return server;
  }

  /** For `--janus-url`. */
  get url(): string {
    return `${this.settings.tls ? "https" : "http"}://127.0.0.1:${this.#port}`;
  }

  /** Listens, where it did before if it did. */
  async up(): Promise<void> {
    const { tls } = this.settings;
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch((error) => {
        // As Flask says it.
        json(response, 500, { message: "Internal Server Error", at: String(error) });
      });
    };
    const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Goes away; its containers go on. */
  async down(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** Comes back with another file of records, which is empty and counts from here. */
  lose(last = 0): void {
    this.rows = new Map();
    this.#last = last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://janus");
    const path = url.pathname.replace(PREFIX, "");
    const call = `${request.method} ${path}`;
    if (!url.pathname.startsWith(`${PREFIX}/`)) {
      return json(response, 404, { message: "Not Found" });
    }
    const body = await text(request);
    this.calls.push(call);
    const at = this.faults.findIndex((fault) => fault.call.test(call));
    const how = at < 0 ? undefined : this.faults.splice(at, 1)[0]?.how;
    if (how === "cut before") return void request.socket.destroy();
    if (typeof how === "object" && "status" in how) {
      response.writeHead(how.status, { "Content-Type": "text/html" }).end(how.body);
      return;
    }
    if (typeof how === "object") await how.until;
    if (!this.#knows(request.headers.authorization)) {
      response.setHeader("WWW-Authenticate", 'Basic realm="Authentication Required"');
      return json(response, 401, { error: "Unauthorized" });
    }
    const [status, answer] = await this.#do(call, url.searchParams, body);
    if (how === "cut after") return void request.socket.destroy();
    json(response, status, answer);
  }

  #knows(authorization = ""): boolean {
    const { user, password } = this.settings;
    return authorization === `Basic ${btoa(`${user}:${password}`)}`;
  }

  async #do(call: string, query: URLSearchParams, body: string): Promise<[number, unknown]> {
    const [, verb, path = "", idText, , node] =
      /^(\S+) \/([a-z]+(?:\/volume)?)(?:\/(\d+))?(\/logs\/(.+))?$/.exec(call) ?? [];
    const id = Number(idText);
    const row = idText === undefined ? undefined : this.rows.get(id);
    switch (`${verb} ${path}`) {
      case "GET active":
        if (idText === undefined) return [200, [...this.rows.values()]];
        if (!row) return [404, { error: "Not found" }];
        return node === undefined ? [200, row] : await this.#log(row, node, query);
      case "POST create":
        return await this.#create(body);
      case "PUT start":
        return row ? await this.#start(row) : [404, { error: "id not found" }];
      case "PUT stop":
        return row ? await this.#stop(row) : [404, { error: "id not found" }];
      case "DELETE active":
        return row
          ? await this.#delete(row, query.get("force") === "true")
          : [404, { error: "Not found", id }];
      case "POST exec":
        return await this.#backend.exec(JSON.parse(body));
      case "GET nodes":
        return [200, await this.#backend.list()];
      case "GET images":
        return [200, this.settings.images.map((name) => ({ name, image: `${name}:latest` }))];
      case "GET profiles":
        return [200, listProfiles(this.settings.profiles)];
      case "GET profiles/volume":
        return this.settings.volumes === false
          ? [404, { error: "Invalid resource path: volume" }]
          : [200, listVolumes(this.settings.profiles)];
    }
    return [404, { message: "Not Found" }];
  }

  async #create(body: string): Promise<[number, unknown]> {
    const request = JSON.parse(body);
    const { instances, profile, image, remove_container } = request;
    // pydantic's errors do not come through.
    const bad = !Array.isArray(instances) || typeof profile !== "string" ||
      typeof image !== "string" || ![undefined, null, true, false].includes(remove_container);
    if (bad) return [400, { errors: {}, message: "" }];
    const { nodes, profiles, images } = this.settings;
    if (!profiles[profile]) return [404, { error: `Profile ${profile} not found` }];
    if (!images.some((name) => name === image.split(":")[0])) {
      return [404, { error: `Image ${image} not found` }];
    }
    for (const node of instances) {
      if (!nodes[node]) return [404, { error: `Node ${node} not found` }];
    }
    const id = ++this.#last;
    // Seen by others while it is being made.
    this.rows.set(id, {});
    const services: Row["services"] = {};
    for (const [i, node] of instances.entries()) {
      const service: Service = {
        sname: `janus-${profile}-${id}-${i + 1}`,
        node_id: Object.keys(nodes).indexOf(node) + 1,
        image,
        profile,
        errors: [],
      };
      services[node] = [service];
      await this.#backend.make(node, service, profiles[profile], request.arguments ?? "");
    }
    this.rows.set(id, {
      uuid: crypto.randomUUID(),
      user: this.settings.user,
      state: "INITIALIZED",
      id,
      services,
      request: [request],
      users: [],
      groups: [],
    });
    return [200, { [id]: { id } }];
  }

  async #start(row: Row): Promise<[number, unknown]> {
    if (row.state === "STARTED") return [200, row];
    let errors = false;
    for (const [node, service] of all(row)) {
      // A KeyError there.
      if (!("container_id" in service)) throw new Error("container_id");
      const { code, err } = await this.#backend.docker(node, "start", String(service.container_id));
      if (code === 0) service.errors = [];
      else {
        service.errors.push({ reason: "Internal Server Error", response: { message: err.trim() } });
        errors = true;
      }
    }
    row.state = errors ? "MIXED" : "STARTED";
    return [200, { [row.id as number]: row }];
  }

  async #stop(row: Row): Promise<[number, unknown]> {
    if (row.state === "STOPPED" || row.state === "INITIALIZED") return [200, row];
    let errors = false;
    for (const [node, service] of all(row)) {
      if (!("container_id" in service)) throw new Error("container_id");
      const { code, err } = await this.#backend.docker(node, "stop", String(service.container_id));
      if (code === 0) continue;
      service.errors.push({ reason: "Not Found", response: { message: err.trim() } });
      errors = true;
    }
    row.state = errors ? "MIXED" : "STOPPED";
    if (errors) throw new Error("errors");
    return [200, { [row.id as number]: row }];
  }

  async #delete(row: Row, force: boolean): Promise<[number, unknown]> {
    for (const [node, { container_id }] of all(row)) {
      if (!container_id) continue;
      await this.#backend.docker(node, "stop", container_id);
      const { code, err } = await this.#backend.docker(node, "rm", container_id);
      if (code === 0 || /No such container/.test(err) || force) continue;
      return [503, { error: err.trim() }];
    }
    this.rows.delete(row.id as number);
    return [204, undefined];
  }

  async #log(row: Row, node: string, query: URLSearchParams): Promise<[number, unknown]> {
    const id = row.services?.[node]?.[0]?.container_id;
    const tail = query.get("tail") ?? "100";
    const flags = [`--tail=${tail}`, ...query.get("timestamps") === "1" ? ["--timestamps"] : []];
    const { code, out, err } = await this.#backend.docker(node, "logs", ...flags, String(id));
    if (code === 0) return [200, { response: out + err }];
    return [500, { error: `Could not retrieve container logs: ${err.trim()}` }];
  }
}

function all({ services = {} }: Row): [string, Service][] {
  return Object.entries(services).flatMap(([node, list]) =>
    list.map((each): [string, Service] => [node, each])
  );
}

async function text(request: IncomingMessage): Promise<string> {
  let all = "";
  for await (const piece of request) all += piece;
  return all;
}

function json(response: ServerResponse, status: number, value: unknown): void {
  if (status === 204) response.writeHead(204).end();
  else {response.writeHead(status, { "Content-Type": "application/json" }).end(
      JSON.stringify(value),
    );}
}
