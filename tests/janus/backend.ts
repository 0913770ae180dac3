/**
 * What is behind Janus' controller: the Docker Engines of its nodes.
 * @module
 */
import type { Daemon } from "../engine.ts";
import { type Ended, run } from "../harness.ts";

/** A container of a session's, as Janus keeps it; without `container_id` where it could not be made. */
export interface Service {
  sname: string;
  node_id: number;
  image: string;
  profile: string;
  errors: { reason: string; response: unknown }[];
  container_id?: string | null;
  container_name?: string;
}

/** What containers are made with. */
export interface Profile {
  network: string;
  volumes: { source: string; target: string }[];
}

/** What `GET /profiles` answers. */
export function listProfiles(profiles: Record<string, Profile>): unknown[] {
  return Object.entries(profiles).map(([name, { network, volumes }]) => ({
    name,
    settings: {
      privileged: false,
      mgmt_net: network,
      data_net: null,
      volumes: volumes.map((_, i) => `${name}-${i}`),
      arguments: null,
      features: [],
    },
  }));
}

/** What `GET /profiles/volume` answers. */
export function listVolumes(profiles: Record<string, Profile>): unknown[] {
  return Object.entries(profiles).flatMap(([name, { volumes }]) =>
    volumes.map((volume, i) => ({
      name: `${name}-${i}`,
      settings: { type: "bind", driver: null, ...volume },
    }))
  );
}

/** Engines by the names of nodes. */
export class Backend {
  constructor(readonly nodes: Record<string, Daemon>) {}

  /** What `GET /nodes` answers. */
  list(): Promise<unknown[]> {
    return Promise.all(
      Object.keys(this.nodes).map(async (name, i) => ({
        name,
        id: i + 1,
        endpoint_status: (await this.docker(name, "version")).code === 0 ? 1 : 2,
        endpoint_type: 1,
        public_url: "127.0.0.1",
        networks: { host: { id: "host", driver: "host", subnet: null } },
      })),
    );
  }

  /** Makes a service's container, or tells in it what went wrong. */
  async make(
    node: string,
    service: Service,
    profile: Profile | undefined,
    command: string,
  ): Promise<void> {
    const mounts = (profile?.volumes ?? []).map(({ source, target }) =>
      `--mount=type=bind,source=${source},target=${target}`
    );
    const made = await this.docker(
      node,
      "create",
      "--tty",
      `--network=${profile?.network}`,
      "--stop-signal=SIGTERM",
      `--name=${service.sname}`,
      ...mounts,
      service.image,
      ...words(command),
    );
    if (made.code !== 0) {
      service.errors.push({ reason: "Not Found", response: { message: made.err.trim() } });
      return;
    }
    service.container_id = made.out.trim();
    service.container_name = service.sname;
  }

  /** As far as Docker's answer when the command is made; none is started. */
  async exec({ node, container }: Record<string, string>): Promise<[number, unknown]> {
    if (!this.nodes[node ?? ""]) return [200, { error: `Node not found: ${node}` }];
    const look = ["container", "inspect", "--format={{.State.Running}}", container ?? ""];
    const { code, out } = await this.docker(node ?? "", ...look);
    if (code !== 0) return [503, { error: "Not Found" }];
    return out.trim() === "true" ? [200, { Id: "0123" }] : [503, { error: "Conflict" }];
  }

  /** Runs `docker` for a node. */
  docker(node: string, ...args: string[]): Promise<Ended> {
    return run(["docker", "-H", this.nodes[node]?.host ?? "", ...args]);
  }
}

/** The words of a shell's line, as shlex has them. */
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}
