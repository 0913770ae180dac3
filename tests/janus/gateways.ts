/**
 * Gateways of type Janus: a controller, the engines of its nodes and the folder that they share.
 * @module
 */
import { Engine } from "../engine.ts";
import { eventually, Gateway, portRange, tempFolder } from "../harness.ts";
import { Pair } from "../pair.ts";
import { JanusServer, type JanusSettings } from "./server.ts";

/** What Janus takes. */
export const PASSWORD = "correct horse battery";

/** One controller with nodes dtn1 and dtn2, each an engine of its own. */
export class Janus implements AsyncDisposable {
  readonly folder = tempFolder();
  /** What the containers see as /configs. */
  readonly configs = `${this.folder.path}/configs`;
  readonly #flags = new Map<Gateway, string[]>();
  readonly password = `${this.folder.path}/password`;

  private constructor(readonly engines: readonly Engine[], readonly server: JanusServer) {}

  /** Starts a controller; the engines stay whoever's they are. */
  static async start(
    engines: readonly [Engine, Engine],
    more: Partial<JanusSettings> = {},
  ): Promise<Janus> {
    const [dtn1, dtn2] = engines;
    const server = await JanusServer.start({
      nodes: { dtn1, dtn2 },
      profiles: {},
      images: ["haproxy", "not-there"],
      user: "scistream",
      password: PASSWORD,
      ...more,
    });
    const janus = new Janus(engines, server);
    Deno.mkdirSync(janus.configs);
    // In its containers root is the only user.
    Deno.chmodSync(janus.configs, 0o755);
    const volumes = [{ source: janus.configs, target: "/configs" }];
    const { profiles } = server.settings;
    profiles.scistream ??= { network: "host", volumes };
    profiles.bridged ??= { network: "bridge", volumes };
    profiles.bare ??= { network: "host", volumes: [] };
    Deno.writeTextFileSync(janus.password, `${PASSWORD}\n`, { mode: 0o600 });
    return janus;
  }

  /** For s2cs; `more` comes last, and wins. */
  flags(more: Record<string, string> = {}): string[] {
    const flags = {
      "janus-url": this.server.url,
      "janus-user": "scistream",
      "janus-password-file": this.password,
      "janus-node": "dtn1=127.0.0.2/127.0.0.3,dtn2=127.0.0.4/127.0.0.5",
      "janus-profile": "scistream",
      "janus-config-dir": this.configs,
      "reconcile-interval": "3600",
      ...more,
    };
    return ["--type=Janus", ...Object.entries(flags).map(([key, value]) => `--${key}=${value}`)];
  }

  /** A gateway. */
  async gateway(more: Record<string, string> = {}): Promise<Gateway> {
    const flags = this.flags({ "port-range": portRange(20).text, ...more });
    const gateway = await Gateway.start(...flags);
    this.#flags.set(gateway, flags);
    return gateway;
  }

  /** With which a gateway was started, to start it again. */
  flagsOf(gateway: Gateway): string[] {
    return this.#flags.get(gateway) ?? [];
  }

  /** Two gateways; their ports are not the same, for they have the same nodes. */
  async pair(more: Record<string, string> = {}): Promise<Pair> {
    const [prod, cons] = await Promise.all([this.gateway(more), this.gateway(more)]);
    return Pair.of(prod, cons);
  }

  /** What Janus, its engines and the folder have. */
  async left(): Promise<string[]> {
    const containers = await Promise.all(this.engines.map((engine) => engine.containers()));
    const files = [...Deno.readDirSync(this.configs)].map(({ name }) => name);
    return [...this.server.rows.keys()].map((id) => `session ${id}`)
      .concat(containers.flat(), files);
  }

  /** Waits until nothing is left. */
  async gone(): Promise<void> {
    await eventually("nothing is left", async () => (await this.left()).length === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    // What a test that failed has left would be in the way of the next.
    for (const engine of this.engines) {
      for (const name of await engine.containers().catch(() => [])) {
        await engine.docker("rm", "--force", name);
      }
    }
    this.folder[Symbol.dispose]();
  }
}
