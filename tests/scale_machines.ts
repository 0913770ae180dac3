/**
 * The machines of docs/scale.md, each with a Docker Engine of its own, and what the page has them run.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { wasPrinted } from "./docs/page.ts";
import { Engine } from "./engine.ts";
import { Running, SCISTREAM } from "./harness.ts";
import { type GatewayName, SwarmNetwork } from "./swarm_network.ts";
import { Host } from "./topology.ts";

/** The page. */
export const SCALE = Deno.readTextFileSync(new URL("../docs/scale.md", import.meta.url));
const SERVED = /^Secure gRPC Server started on \S+:5007$/m;

/** The page's blocks in order: on whose machine, or what the one before has printed. */
export const BLOCKS = [...SCALE.matchAll(/^```(?:sh )?(\w+)\n([\s\S]*?)^```$/gm)].map((
  [, on, text],
) => ({
  on: on as string,
  text: text as string,
}));

/** The machines of the page. */
export class Machines implements AsyncDisposable {
  readonly hosts = new Map<string, Host>();
  readonly engines = new Map<string, Engine>();
  readonly #disposal = new AsyncDisposableStack();
  readonly #blocks;
  /** What stands on the page for something that only a run knows. */
  readonly known = new Map<string, string>();
  #printed = "";

  private constructor(readonly network: SwarmNetwork, part: (on: string) => boolean) {
    this.#disposal.use(network);
    this.#blocks = BLOCKS.filter(({ on }) => part(on));
  }

  /** Machines with an engine each, and the blocks that are to be run there. */
  static async start(names: readonly GatewayName[], part: (on: string) => boolean) {
    const machines = new Machines(await SwarmNetwork.create(), part);
    try {
      for (const name of names) await machines.#engine(name);
      return machines;
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #engine(name: GatewayName): Promise<void> {
    const host = this.network.host(name);
    const engine = await Engine.start({ namespace: host.namespace, hostname: name });
    this.#disposal.use(engine);
    this.engines.set(name, engine);
    this.hosts.set(name, host);
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    assert(host, name);
    return host;
  }

  /** Another user on a machine, with a folder of their own. */
  add(name: string, on: string): Host {
    const { namespace, folder } = this.network.host(on);
    const host = new Host(name, namespace, `${folder}/${name}`);
    Deno.mkdirSync(host.folder);
    this.hosts.set(name, host);
    return host;
  }

  /** Takes a program along when everything ends. */
  use(program: Running): Running {
    this.#disposal.defer(async () => void await program.stop());
    return program;
  }

  /** Runs a script as somebody would type it there. */
  type(on: string, script: string, env: Record<string, string> = {}): Running {
    const host = this.host(on);
    const bin = `${host.folder}/bin`;
    Deno.mkdirSync(bin, { recursive: true });
    const words = SCISTREAM.map((word) => `'${word}'`).join(" ");
    for (const name of ["scistream", "s2cs", "s2uc"]) {
      const sub = name === "scistream" ? "" : name;
      Deno.writeTextFileSync(`${bin}/${name}`, `#!/bin/sh\nexec ${words} ${sub} "$@"\n`, {
        mode: 0o755,
      });
    }
    const deno = Deno.execPath().replace(/\/[^/]+$/, "");
    const engine = this.engines.get(on)?.host;
    return host.start(["bash", "-e", "-o", "pipefail", "-c", `exec 2>&1\n${script}`], {
      env: {
        PATH: `${bin}:${deno}:${Deno.env.get("PATH")}`,
        ...engine && { DOCKER_HOST: engine },
        ...env,
      },
    });
  }

  #next(on: string): string {
    const block = this.#blocks.shift();
    assertEquals(block?.on, on, "the page goes on otherwise");
    return block?.text ?? "";
  }

  /** The page's next block, with what is known by now. */
  #script(on: string): string {
    const known = [...this.known];
    return known.reduce((text, [from, to]) => text.replaceAll(from, to), this.#next(on));
  }

  /** Runs the page's next block, which must be for this machine; answers what it printed. */
  async run(on: string): Promise<string> {
    const text = this.#script(on);
    const { code, out } = await this.type(on, text).ended;
    assertEquals(code, 0, `${on}$ ${text}\n${out}`);
    return this.#printed = out;
  }

  /** Runs the page's next block, whose last command is a control server that goes on. */
  async serve(on: string): Promise<Running> {
    const lines = this.#script(on).trim().split("\n");
    const server = lines.pop() ?? "";
    assertMatch(server, /^s2cs /);
    if (lines.length > 0) {
      const { code, out } = await this.type(on, lines.join("\n")).ended;
      assertEquals(code, 0, out);
      this.#printed = out;
    }
    const running = this.use(this.type(on, `exec ${server}`));
    await running.line(SERVED);
    return running;
  }

  /** The page's next block is what the last commands printed. */
  expect(): void {
    const text = this.#next("text");
    assert(wasPrinted(text, this.#printed), `the page says:\n${text}\nprinted:\n${this.#printed}`);
  }

  get printed(): string {
    return this.#printed;
  }

  /** Nothing of the page is left to be run. */
  assertDone(): void {
    assertEquals(this.#blocks, []);
  }

  copy(file: string, from: string, ...to: string[]): void {
    for (const each of to) this.host(each).copy(this.host(from), file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disposal.disposeAsync();
  }
}
