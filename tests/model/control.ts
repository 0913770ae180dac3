/**
 * The real control server of a property, its deaths, and its clients.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { ControlClient } from "../../lib/protocol/client.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { eventually, Gateway, portRange } from "../harness.ts";
import type { Limits } from "../model.ts";
import type { App } from "./calls.ts";

const CLIENTS = 3;

/** How to start it, and what is known of it. */
export interface Plan {
  flags: string[];
  limits: Limits;
  apps: App[];
  /** Whether listeners are tried. */
  tcp: boolean;
  tls: boolean;
}

/** A control server with several clients. */
export class Control implements AsyncDisposable {
  readonly #plan: Plan;
  readonly #range: { first: number; text: string };
  #gateway!: Gateway;
  #clients: ControlClient[] = [];

  private constructor(plan: Plan) {
    this.#plan = plan;
    this.#range = portRange(plan.limits.ports);
  }

  static async start(plan: Plan): Promise<Control> {
    const control = new Control(plan);
    control.#gateway = await Gateway.start(...control.#flags);
    await control.#connect();
    return control;
  }

  /** The client that makes the call with this ticket. */
  client(ticket: number): ControlClient {
    return this.#clients[ticket % CLIENTS] as ControlClient;
  }

  /** Its whole port range. */
  get ports(): number[] {
    return Array.from({ length: this.#plan.limits.ports }, (_, i) => this.#range.first + i);
  }

  /** How many sessions are in its file. */
  get stored(): number {
    const { stateDir } = this.#gateway;
    const [folder] = [...Deno.readDirSync(stateDir)].filter(({ isDirectory }) => isDirectory);
    const database = new DatabaseSync(`${stateDir}/${folder?.name}/sessions.db`);
    try {
      const row = database.prepare("SELECT count(*) AS sessions FROM session").get();
      return Number(row?.sessions);
    } finally {
      database.close();
    }
  }

  /** The last lines of its log. */
  get said(): string {
    return this.#gateway.process.err.split("\n").slice(-20).join("\n");
  }

  /** Forgets its log, which is searched from the beginning for each line that is waited for. */
  forget(): void {
    this.#gateway.process.err = "";
  }

  /** Resolves when its log says this. */
  async says(line: RegExp): Promise<void> {
    await this.#gateway.process.line(line, "err");
  }

  /** Ends it and starts another. */
  async restart(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { port } = Endpoint.parse(this.#gateway.address);
    const { code } = await this.#gateway.process.stop(signal);
    if (signal === "SIGTERM" && code !== 0) throw new Error(`exit code ${code}\n${this.said}`);
    await this.#gateway.launch(port, ...this.#flags);
    await this.#connect();
  }

  /** Starts another, with nothing of this one. */
  async anew(): Promise<void> {
    await this.#gateway.process.stop("SIGKILL");
    this.maim();
    await eventually("data servers are gone", () => this.#gateway.dataServers().length === 0);
    Deno.removeSync(this.#gateway.stateDir, { recursive: true });
    await this.#gateway.launch(0, ...this.#flags);
    await this.#connect();
  }

  /** Kills the data servers' processes. */
  maim(): void {
    for (const pid of this.#gateway.dataServers()) Deno.kill(pid, "SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.#gateway[Symbol.asyncDispose]();
  }

  get #flags(): string[] {
    const { flags, tls, limits: { maxConn, maxSessions, capacity, keep } } = this.#plan;
    return [
      ...flags,
      `--port-range=${this.#range.text}`,
      `--max-conn=${maxConn}`,
      `--max-sessions=${maxSessions}`,
      `--max-early-hellos=${maxSessions}`,
      "--call-rate=0",
      `--capacity=${capacity}`,
      `--ssl=${tls ? "True" : "False"}`,
      ...keep ? ["--keep-sessions"] : [],
    ];
  }

  /** Makes the clients and their connections: from then on calls of one client arrive in order. */
  async #connect(): Promise<void> {
    for (const client of this.#clients) client.close();
    const { address, cert } = this.#gateway;
    const roots = this.#plan.tls ? Deno.readFileSync(cert) : undefined;
    this.#clients = Array.from(
      { length: CLIENTS },
      () => new ControlClient({ address: Endpoint.parse(address), roots }),
    );
    await Promise.all(this.#clients.map((client) => client.call("list", {})));
  }
}
