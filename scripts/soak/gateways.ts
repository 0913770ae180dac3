/**
 * The gateways of a soak: control servers that die and come again, each with its clients and logs.
 * @module
 */
import { ControlClient } from "../../lib/protocol/client.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { eventually, Gateway, listeningPorts, run, type Running } from "../../tests/harness.ts";
import { processesOf } from "./ledger.ts";
import type { Where } from "./plan.ts";

/** Ports of a gateway's data listeners: what its sessions take at most, and some. */
const PORTS = 28;
/** Longer than any step of a set-up takes on a busy machine. */
const HELLO_TIMEOUT_S = 15;
/** What only this finds is found too late: looks at what is left are less patient. */
const RECONCILE_S = 30;
/** Whoever drains is asked to end before. */
const DRAIN_TIMEOUT_S = 30;
/** Tests take their ports below this, and the system above 32767: nobody is in between but other soaks. */
const FIRST_PORT = 28_000;
const LAST_PORT = 32_700;
let nextPort = FIRST_PORT + (Deno.pid % 8) * 580; // another soak, that starts now, has others

/** A gateway's place among the ports. */
interface Ports {
  control: number;
  data: { first: number; text: string };
}

/** Ports that nobody listens on and no other gateway of this soak was given. */
function takePorts(): Ports {
  const size = PORTS + 1;
  for (;;) {
    if (nextPort + size > LAST_PORT) nextPort = FIRST_PORT;
    const control = nextPort;
    nextPort += size;
    const data = { first: control + 1, text: `${control + 1}-${control + PORTS}` };
    const all = { first: control, text: data.text };
    if (listeningPorts(all).size === 0) return { control, data };
  }
}

/** One gateway of a pair. */
export class Side implements AsyncDisposable {
  client!: ControlClient;
  /** What s2cs and its predecessors have logged, for a failure. */
  #log = "";
  /** The processes whose end is the soak's doing. */
  readonly #ended = new WeakSet<Running>();
  /** How s2cs ended by itself; empty if it has not. */
  death = "";

  private constructor(
    readonly where: Where,
    readonly gateway: Gateway,
    readonly ports: Ports["data"],
    readonly flags: readonly string[],
  ) {
    this.reconnect();
    this.#watch();
  }

  static async start(type: string, where: Where, more: readonly string[]): Promise<Side> {
    const { control, data } = takePorts();
    const flags = [
      `--type=${type}`,
      `--port=${control}`,
      `--wan-ip=127.0.0.1`,
      `--port-range=${data.text}`,
      "--workers=2",
      "--keep-sessions",
      `--hello-timeout=${HELLO_TIMEOUT_S}`,
      `--drain-timeout=${DRAIN_TIMEOUT_S}`,
      `--reconcile-interval=${RECONCILE_S}`,
      ...more,
    ];
    const gateway = new Gateway();
    // Helpers of s2cs, as tail, have no other sign of whose they are.
    gateway.cwd = gateway.folder.path;
    try {
      await gateway.certify();
      await gateway.launch(control, ...flags);
    } catch (error) {
      await gateway[Symbol.asyncDispose]();
      throw error;
    }
    return new Side(where, gateway, data, flags);
  }

  get pid(): number {
    return this.gateway.process.child.pid;
  }

  /** Ends s2cs with a signal, and with KILL nothing else. */
  async end(signal: Deno.Signal): Promise<void> {
    this.#ended.add(this.gateway.process);
    const { err, out } = await this.gateway.process.stop(signal);
    this.#log += `${out}${err}--- ${signal}\n`;
  }

  /** Starts s2cs again, on the same address. */
  async relaunch(): Promise<void> {
    await this.gateway.launch(Endpoint.parse(this.gateway.address).port, ...this.flags);
    this.reconnect();
    this.#watch();
  }

  /** What nobody asked for is told as what it is, and not as calls that fail. */
  #watch(): void {
    const { process } = this.gateway;
    process.ended.then(({ code, err }) => {
      if (this.#ended.has(process)) return;
      const last = err.trimEnd().split("\n").at(-1);
      this.death = `s2cs at ${this.where} ended by itself, exit code ${code}: ${last}`;
    });
  }

  /** A new client: one whose server was away waits before it tries again, and may trust an old certificate. */
  reconnect(): void {
    const address = Endpoint.parse(this.gateway.address);
    this.client?.close();
    this.client = new ControlClient({ address, roots: Deno.readFileSync(this.gateway.cert) });
  }

  /** Does what s2cs logs a line for, and waits until there is one more of those. */
  async logs(line: RegExp, act: () => unknown): Promise<void> {
    const { process } = this.gateway;
    const count = () => process.err.match(new RegExp(line, "g"))?.length ?? 0;
    const before = count();
    await act();
    await eventually(`s2cs logs ${line}`, () => count() > before);
  }

  /** Copies what could tell why into a folder. */
  async keepEvidence(folder: string): Promise<void> {
    const { process, folder: { path } } = this.gateway;
    const log = `${this.#log}${process.out}${process.err}`;
    Deno.writeTextFileSync(`${folder}/${this.where}.log`, log);
    // Sockets cannot be copied, and are not missed.
    await run(["cp", "-r", path, `${folder}/${this.where}`]);
  }

  /** After a failure there may be sessions, which would go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.gateway.process.stop();
    for (const { pid } of processesOf(this)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    await this.gateway[Symbol.asyncDispose]();
  }
}

/** A producer's and a consumer's gateway of one type. */
export class Gateways implements AsyncDisposable {
  private constructor(readonly prod: Side, readonly cons: Side) {}

  static async start(type: string, flags: readonly string[]): Promise<Gateways> {
    const started = await Promise.allSettled([
      Side.start(type, "prod", flags),
      Side.start(type, "cons", flags),
    ]);
    const [prod, cons] = started.map((each) =>
      each.status === "fulfilled" ? each.value : undefined
    );
    if (prod && cons) return new Gateways(prod, cons);
    await Promise.all([prod, cons].map((side) => side?.[Symbol.asyncDispose]()));
    throw started.find((each) => each.status === "rejected")?.reason;
  }

  get both(): [Side, Side] {
    return [this.prod, this.cons];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.both.map((side) => side[Symbol.asyncDispose]()));
  }
}
