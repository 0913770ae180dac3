/**
 * A control server over a real Swarm of three gateways, an application in the LAN, and a consumer in the
 * WAN that talks to it through the sessions.
 * @module
 */
import { assertEquals } from "@std/assert";
import type { SessionStatus } from "../proto/messages.ts";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { VERSION } from "../lib/version.ts";
import { releaseSession, requestSession, sayHello, updateSession } from "../lib/s2uc/requests.ts";
import { assertOk, eventually, Gateway, KEYBOARD, run, type Running } from "./harness.ts";
import { assertWhole, type Outcome, type Steps } from "./flows.ts";
import { type GatewayName, SwarmOfThree } from "./swarm.ts";
import { addressOf } from "./swarm_network.ts";

const IMAGE = new URL("../scripts/image.sh", import.meta.url).pathname;
const FLOWS = new URL("flows.ts", import.meta.url).pathname;
const FLOW = new URL("faults_flow.ts", import.meta.url).pathname;
const APPLICATION = 6001;

/** A session, and where the consumer connects. */
export interface SwarmSession {
  uid: Uid;
  listeners: string[];
}

/** A Swarm whose three nodes are gateways. */
export class SwarmGateways implements AsyncDisposable {
  /** The application's address. */
  readonly application: Endpoint;
  /** Control servers that were started, the last one first. */
  readonly #gateways: Gateway[] = [];
  /** An application that sends back what it gets. */
  echo = "";
  #client?: ControlClient;
  #serving?: Running;

  private constructor(
    readonly swarm: SwarmOfThree,
    /** The host of the applications, and that of whoever connects to them. */
    readonly host: "producer" | "consumer",
    readonly caller: "producer" | "consumer",
  ) {
    const address = addressOf(host, host === "producer" ? "lan" : "wan");
    this.application = new Endpoint(address, APPLICATION);
  }

  /** `way` is where the application is: a producer's in the LAN, or one in the WAN. */
  static async start(way: "lan" | "wan" = "lan"): Promise<SwarmGateways> {
    const [host, caller] = way === "lan"
      ? ["producer", "consumer"] as const
      : ["consumer", "producer"] as const;
    const made = new SwarmGateways(await SwarmOfThree.start(), host, caller);
    try {
      for (const { name, lan, wan } of made.swarm.nodes) {
        await made.swarm.label(name, { "org.scistream.lan": lan, "org.scistream.wan": wan });
      }
      made.#serving = made.#program(FLOWS, host, "serve", String(made.application));
      const echo = made.#program(FLOW, host, "echo", made.application.host);
      await made.#serving.line(/serving/);
      made.echo = (await echo.line(/echo at (\S+)/))[1] as string;
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Puts the project's own image on these nodes, the same one on each. */
  async ownImage(...[first, ...others]: [GatewayName, ...GatewayName[]]): Promise<void> {
    const { engine, host } = this.swarm.node(first);
    assertOk(await run([IMAGE], { env: { DOCKER_HOST: engine.host } }));
    const tar = `${host.folder}/scistream.tar`;
    await engine.docker("save", "--output", tar, `scistream:${VERSION}`);
    const load = (name: GatewayName) => this.swarm.node(name).engine.docker("load", "--input", tar);
    await Promise.all(others.map(load));
    Deno.removeSync(tar);
  }

  /**
   * Starts a control server at a node's engine; calls go to it from now on. The flag `fault:POINT` has it
   * die there.
   */
  async control(node: GatewayName, type: string, ...words: string[]): Promise<Gateway> {
    const { socket } = this.swarm.node(node).engine;
    const gateway = await Gateway.prepare();
    this.#gateways.unshift(gateway);
    const flags = words.filter((word) => !word.startsWith("fault:"));
    const [point] = words.filter((word) => word.startsWith("fault:"));
    if (point) gateway.env = { SCISTREAM_FAULT_POINT: point.slice("fault:".length) };
    await gateway.launch(
      0,
      `--type=${type}`,
      "--engine=swarm",
      `--docker-socket=${socket}`,
      ...flags.some((flag) => flag.startsWith("--port-range")) ? [] : ["--port-range=5100-5199"],
      ...flags,
    );
    this.#client?.close();
    const roots = Deno.readFileSync(gateway.cert);
    this.#client = new ControlClient({ address: Endpoint.parse(gateway.address), roots });
    return gateway;
  }

  get client(): ControlClient {
    if (!this.#client) throw new Error("no control server yet");
    return this.#client;
  }

  /** A producer's session, up to its targets. */
  async open(
    numConn = 1,
    target = String(this.application),
    uid = Uid.random(),
  ): Promise<SwarmSession> {
    const { client, application } = this;
    const [{ listeners }] = await Promise.all([
      requestSession(client, { uid, role: "PROD", numConn, rate: 0 }),
      sayHello(client, uid, "PROD", [application]),
    ]);
    await updateSession(client, uid, "PROD", [target]);
    return { uid, listeners: listeners.map(String) };
  }

  async status({ uid }: SwarmSession): Promise<SessionStatus> {
    return await this.client.call("status", { uid: uid.reveal() });
  }

  async release(sessions: readonly SwarmSession[]): Promise<void> {
    await Promise.all(sessions.map(({ uid }) => releaseSession(this.client, uid)));
  }

  /**
   * Steps at the consumer and at the application, over a connection to each of these addresses; each end
   * must get what the other sent.
   */
  async assertWhole(addresses: readonly string[], mine: Steps, theirs: Steps): Promise<void> {
    const serving = this.#serving as Running;
    const before = serving.out.length;
    const calling = this.#program(FLOWS, this.caller, "call", addresses.join(), mine, theirs);
    const clients = read(assertOk(await calling.ended).out);
    const servers = () => read(serving.out.slice(before));
    await eventually(
      "the application has seen them end",
      () => servers().length === addresses.length,
    );
    assertWhole(clients, servers());
  }

  /** The same, of which nothing is expected: what the caller has seen. */
  async talk(addresses: readonly string[], mine: Steps, theirs: Steps): Promise<Outcome[]> {
    const calling = this.#program(FLOWS, this.caller, "call", addresses.join(), mine, theirs);
    return read(assertOk(await calling.ended).out);
  }

  /** A flow from the consumer to the echo, which goes on until it is finished. */
  async flow(address: string): Promise<SteadyFlow> {
    const running = this.#program(FLOW, this.caller, "flow", address);
    await running.line(/^open$/m);
    let asked = 0;
    const ask = async (word: string) => {
      await running.type(word);
      await running.line(new RegExp(`^open\\n(.*done\\n){${++asked}}`));
    };
    return {
      moves: () => ask("moves"),
      finish: async () => {
        await ask("finish");
        assertOk(await running.ended);
      },
    };
  }

  #program(file: string, host: string, ...words: string[]): Running {
    const at = this.swarm.network.host(host);
    const may = ["--allow-net", "--allow-read", "--allow-env"];
    const command = [Deno.execPath(), "run", "--quiet", "--no-prompt", ...may, file, ...words];
    return at.start(command, { stdin: words[0] === "flow" ? KEYBOARD : undefined });
  }

  /** Nothing of ours is in the Swarm any more, and on none of the nodes that live. */
  async assertEmpty(...nodes: GatewayName[]): Promise<void> {
    const { engine } = this.swarm.node(nodes[0] as GatewayName);
    const list = async (what: string) =>
      (await engine.docker(what, "ls", "--format", "{{.Name}}")).out.trim();
    await eventually(
      "the Swarm is empty",
      async () => (await Promise.all(["service", "config", "secret"].map(list))).join("") === "",
    );
    for (const node of nodes) {
      const { engine, host } = this.swarm.node(node);
      await eventually(
        `no container is left on ${node}`,
        async () => (await engine.containers()).length === 0,
      );
      const { out } = assertOk(
        await host.run(["ss", "-Hltn", "sport >= :5100 and sport <= :5199"]),
      );
      assertEquals(out, "", `ports are listened on at ${node}`);
    }
  }

  /** Ends all control servers: they have released their sessions, or there is nobody to ask any more. */
  async stop(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    for (const gateway of this.#gateways.splice(0)) {
      await gateway.process?.stop("SIGKILL");
      await gateway[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#serving?.stop();
    await this.swarm[Symbol.asyncDispose]();
  }
}

/** A flow that goes on. */
export interface SteadyFlow {
  /** Resolves when more has gone through both ways. */
  moves: () => Promise<void>;
  /** Ends it, whole: every byte has come back. */
  finish: () => Promise<void>;
}

function read(lines: string): Outcome[] {
  return lines.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Outcome);
}
