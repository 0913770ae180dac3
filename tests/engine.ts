/**
 * Container engines of the tests' own: a Docker Engine (dockerd with its containerd) and Podman's
 * Docker-compatible service, each with its data in a temporary folder. The machine's own engines
 * are not touched, and disposal leaves nothing.
 * @module
 */
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Authority, writeCertificates } from "./authority.ts";
import {
  type Ended,
  eventually,
  freePort,
  processes,
  run,
  Running,
  type RunOptions,
} from "./harness.ts";
import { PREFIX } from "./topology.ts";

const IMAGES = new URL("../scripts/images.sh", import.meta.url).pathname;

/** What every engine here needs, beside its own programs: also what scripts/images.sh packs. */
const TOOLS = ["docker", "runc", "nsenter", "mount", "ldd", "haproxy", "nginx", "stunnel4"];

/** The longest that a daemon gets to end well before it is killed. */
const PATIENCE_S = 20;

/** Sockets are made deep beneath it, and a socket's path has at most 107 bytes. */
const TEMP = /^\/\S{1,29}$/.exec(Deno.env.get("TMPDIR") ?? "")?.[0] ?? "/tmp";

/**
 * Why no Docker Engine can be started on this machine, or undefined where one can.
 * @throws {Error} the same reason, where CI=true: there it is a failure
 */
export function whyNoEngine(): string | undefined {
  return unless(whyNot("dockerd", "containerd", "containerd-shim-runc-v2"));
}

/**
 * Why no Podman can be started on this machine, or undefined where one can.
 * @throws {Error} the same reason, where CI=true: there it is a failure
 */
export function whyNoPodman(): string | undefined {
  return unless(whyNot("podman", "conmon"));
}

function unless(reason: string | undefined): string | undefined {
  if (reason && Deno.env.get("CI") === "true") {
    throw new Error(`the tests with containers must run in CI: ${reason}`);
  }
  return reason;
}

function whyNot(...programs: string[]): string | undefined {
  if (Deno.build.os !== "linux") return "container engines are of Linux alone";
  if (Deno.uid() !== 0) return "only root starts a container engine";
  const text = new TextDecoder();
  const look = 'for name; do command -v "$name" > /dev/null || echo "$name"; done';
  const missing = new Deno.Command("sh", { args: ["-c", look, "sh", ...programs, ...TOOLS] })
    .outputSync();
  const names = text.decode(missing.stdout).split("\n").filter(Boolean);
  if (names.length > 0) return `not installed: ${names.join(", ")}`;
  // Root in a container may not be allowed to; in a mount namespace of its own it leaves nothing.
  const args = ["--mount", "mount", "-t", "tmpfs", "none", TEMP];
  const mounted = new Deno.Command("unshare", { args }).outputSync();
  return mounted.success ? undefined : `mount: ${text.decode(mounted.stderr).trim()}`;
}

/** How to start an engine. */
export interface DaemonOptions {
  /** A network namespace of `ip netns`: there the engine runs, and its containers' host network is that. */
  namespace?: string;
  /** An address there at which a Docker Engine also listens over TCP, under TLS, to whoever it knows. */
  tcp?: string;
  /** What its host is called; the machine's own name if not given. */
  hostname?: string;
}

/** What the two engines have in common. Disposal ends everything that runs in them and deletes it. */
export abstract class Daemon implements AsyncDisposable {
  /** Everything that it keeps is here. */
  readonly folder: string = Deno.makeTempDirSync({ dir: TEMP, prefix: `${PREFIX}-engine-` });
  /** The path of its API's Unix socket. */
  readonly socket = `${this.folder}/docker.sock`;
  /** The socket as DOCKER_HOST. */
  readonly host = `unix://${this.socket}`;
  /** The one that serves the API; a new one after every restart. */
  process!: Running;
  readonly #inside: string[];
  readonly #started: Running[] = [];

  protected constructor({ namespace, hostname }: DaemonOptions) {
    const named = 'hostname "$0" && exec "$@"';
    this.#inside = [
      // Not `ip netns exec`: that hides the mounts of the cgroups.
      ...namespace ? ["nsenter", `--net=/var/run/netns/${namespace}`] : [],
      ...hostname ? ["unshare", "--uts", "sh", "-c", named, hostname] : [],
    ];
  }

  /** Starts a program in the engine's network, and in its folder: some leave files where they work. */
  protected start(command: readonly string[], options?: RunOptions): Running {
    const program = new Running([...this.#inside, ...command], { cwd: this.folder, ...options });
    this.#started.push(program);
    return program;
  }

  /** Starts it for the first time. One that does not start leaves nothing. */
  protected async begin(): Promise<this> {
    try {
      await (clearing ??= removeAbandoned().finally(() => clearing = undefined));
      await this.prepare(await storesOverlays(this.folder));
      this.process = await this.launch();
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes what it needs, and starts what outlives restarts. */
  protected abstract prepare(overlays: boolean): Promise<void>;
  /** Starts it and waits until it answers. */
  protected abstract launch(): Promise<Running>;

  /** Puts haproxy:latest, nginx:latest and stunnel:latest into it. */
  async images(env: Record<string, string> = { DOCKER_HOST: this.host }): Promise<void> {
    await must([IMAGES], env);
  }

  /** Runs the `docker` command against it, and throws what that said if it fails. */
  docker(...args: string[]): Promise<Ended> {
    return must(["docker", "-H", this.host, ...args]);
  }

  /** Names of its containers, also of those that do not run; with a label (`KEY` or `KEY=VALUE`) only those. */
  async containers(label?: string): Promise<string[]> {
    const filter = label === undefined ? [] : ["--filter", `label=${label}`];
    const { out } = await this.docker("ps", "--all", "--format", "{{.Names}}", ...filter);
    return out.split("\n").filter(Boolean).sort();
  }

  /**
   * Ends it and keeps its data. A Docker Engine takes its containers down with it, unless it is
   * killed (SIGKILL); Podman's go on.
   */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    await this.process.stop(signal);
  }

  /** Starts it again with the same data, and stops it first where it runs. Resolves when it answers. */
  async restart(): Promise<void> {
    await this.stop();
    this.process = await this.launch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Asked first, because the engine itself leaves the least. One that is dead or hangs is not waited for.
    if (this.process) await this.#end();
    await sweep(this.folder);
    await Promise.all(this.#started.map(({ ended }) => ended));
  }

  async #end(): Promise<void> {
    try {
      // A test may have made it hang.
      this.process.child.kill("SIGCONT");
    } catch {
      // It has ended.
    }
    const docker = `timeout ${PATIENCE_S} docker -H ${this.host}`;
    await run(["sh", "-c", `${docker} ps --all --quiet | xargs -r ${docker} rm --force --volumes`]);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_S * 1000);
    });
    await Promise.race([this.process.stop(), patience]);
    clearTimeout(timer);
  }
}

/** A Docker Engine without bridges and iptables: containers are on the host network or on none. */
export class Engine extends Daemon {
  #flags: string[] = [];
  #tcp?: string;
  readonly #authority = Authority.create("engine");
  /** As a client of it needs to reach it over TCP. */
  env: Record<string, string> = {};
  #containerd?: Running;

  protected constructor(options: DaemonOptions) {
    super(options);
    this.#tcp = options.tcp;
  }

  /** Starts one. */
  static start(options: DaemonOptions = {}): Promise<Engine> {
    return new Engine(options).begin();
  }

  /** A folder for DOCKER_CERT_PATH, of a client that it knows. */
  async client(name: string, until?: number): Promise<string> {
    const authority = await this.#authority;
    const identity = await authority.issue({ use: "client", until });
    return writeCertificates(`${this.folder}/${name}`, authority.cert, identity);
  }

  /** Gives it a certificate for other addresses or another time, from its next start on. */
  async certify(ips: string[], until?: number): Promise<void> {
    const authority = await this.#authority;
    const { cert, key } = await authority.issue({ use: "server", ips, until });
    writeCertificates(`${this.folder}/tls`, authority.cert, { cert, key });
  }

  /** The flags for TCP. */
  async #listen(address: string): Promise<string[]> {
    await this.certify([address]);
    const host = `tcp://${new Endpoint(address, freePort())}`;
    this.env = {
      DOCKER_HOST: host,
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: await this.client("client"),
    };
    const tls = `${this.folder}/tls`;
    const files = [`--tlscacert=${tls}/ca.pem`, `--tlscert=${tls}/cert.pem`];
    return [`--host=${host}`, "--tlsverify", ...files, `--tlskey=${tls}/key.pem`];
  }

  /**
   * Ends it as a machine that loses its power does, its containers too. Its data stays, and
   * {@linkcode restart} starts it again.
   */
  async crash(): Promise<void> {
    await endAll(this.folder);
    await Promise.all([this.process, this.#containerd].map((process) => process?.ended));
    // What a machine keeps in memory.
    for (const folder of ["exec", "containerd/state"]) {
      await must(["rm", "-rf", `${this.folder}/${folder}`]);
    }
    await must(["rm", "-f", `${this.folder}/docker.pid`]);
    this.#containerd = undefined;
  }

  protected override async prepare(overlays: boolean): Promise<void> {
    const { folder } = this;
    // Given so that the machine's own /etc/docker/daemon.json is not read.
    Deno.writeTextFileSync(`${folder}/daemon.json`, "{}");
    // A containerd of its own: dockerd would use the machine's where there is one, whose containers
    // are in the machine's network and outlive a killed test. Of its plugins, cri listens on a TCP
    // port, and opt makes /opt/containerd.
    const config = `version = 2
root = "${folder}/containerd/root"
state = "${folder}/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "${folder}/containerd.sock"
`;
    Deno.writeTextFileSync(`${folder}/containerd.toml`, config);
    this.#flags = [
      `--config-file=${folder}/daemon.json`,
      `--data-root=${folder}/data`,
      `--exec-root=${folder}/exec`,
      `--pidfile=${folder}/docker.pid`,
      `--containerd=${folder}/containerd.sock`,
      `--host=${this.host}`,
      `--storage-driver=${overlays ? "overlay2" : "vfs"}`,
      "--bridge=none",
      "--iptables=false",
      "--ip-forward=false",
      "--ip-masq=false",
      ...this.#tcp === undefined ? [] : await this.#listen(this.#tcp),
    ];
  }

  protected override async launch(): Promise<Running> {
    if (!this.#containerd) {
      const command = ["containerd", "--config", `${this.folder}/containerd.toml`];
      this.#containerd = this.start(command);
      await this.#containerd.line(/successfully booted/, "err");
    }
    const dockerd = this.start(["dockerd", ...this.#flags]);
    await dockerd.line(/API listen on \S*docker\.sock/, "err");
    if (this.#tcp !== undefined) await dockerd.line(/API listen on \S*:\d+/, "err");
    return dockerd;
  }
}

/** Podman's Docker-compatible service. Its restart policies are its containers' own: they need no service. */
export class Podman extends Daemon {
  readonly #env = {
    CONTAINERS_CONF: `${this.folder}/containers.conf`,
    CONTAINERS_STORAGE_CONF: `${this.folder}/storage.conf`,
  };

  /** Starts one. */
  static start(options: DaemonOptions = {}): Promise<Podman> {
    return new Podman(options).begin();
  }

  protected override prepare(overlays: boolean): Promise<void> {
    const { folder } = this;
    // Locks would be in memory that every Podman of the machine shares. Podman's usual limit of
    // open files is refused where the machine's is lower.
    const engine = `[containers]
default_ulimits = []
[engine]
tmp_dir = "${folder}/tmp"
lock_type = "file"
events_logger = "file"
cgroup_manager = "cgroupfs"
`;
    const storage = `[storage]
driver = "${overlays ? "overlay" : "vfs"}"
graphroot = "${folder}/root"
runroot = "${folder}/run"
`;
    Deno.writeTextFileSync(this.#env.CONTAINERS_CONF, engine);
    Deno.writeTextFileSync(this.#env.CONTAINERS_STORAGE_CONF, storage);
    return Promise.resolve();
  }

  protected override async launch(): Promise<Running> {
    const service = ["podman", "--log-level=info", "system", "service", "--time=0", this.host];
    const podman = this.start(service, { env: this.#env });
    await podman.line(/API service listening on/, "err");
    return podman;
  }

  override images(): Promise<void> {
    return super.images({ ...this.#env, DOCKER: "podman" });
  }
}

/** Whether the folder's filesystem can hold the layers of an overlay mount. */
async function storesOverlays(folder: string): Promise<boolean> {
  const probe = `${folder}/probe`;
  for (const name of ["lower", "upper", "work", "merged"]) {
    Deno.mkdirSync(`${probe}/${name}`, { recursive: true });
  }
  const layers = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`;
  const { code } = await run(["mount", "-t", "overlay", "-o", layers, "none", `${probe}/merged`]);
  if (code === 0) await must(["umount", `${probe}/merged`]);
  Deno.removeSync(probe, { recursive: true });
  return code === 0;
}

/** Set while it is done, for engines that start side by side. */
let clearing: Promise<void> | undefined;

/** Removes what a test process that was killed has left: its engines, and what runs in them. */
async function removeAbandoned(): Promise<void> {
  const alive = new Set(processes().map(({ pid }) => String(pid)));
  for (const { name } of Deno.readDirSync(TEMP)) {
    const owner = /^scistream-([0-9]+)-engine-/.exec(name)?.[1];
    if (owner !== undefined && !alive.has(owner)) await sweep(`${TEMP}/${name}`);
  }
}

/** Ends everything that belongs to an engine's folder, by force, and removes what it has on the machine. */
async function sweep(folder: string): Promise<void> {
  await endAll(folder);
  await must(["rm", "-rf", folder]);
}

/** Ends everything that belongs to an engine's folder, by force, and keeps the folder. */
async function endAll(folder: string): Promise<void> {
  const ids = containerIds(folder);
  thaw(ids);
  await eventually(`nothing runs in ${folder}`, () => {
    const pids = belonging(folder);
    for (const pid of pids) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has just ended.
      }
    }
    return pids.length === 0;
  });
  // A shim's socket is outside; one that was killed has not removed it.
  for (const socket of shimSockets(folder)) await must(["rm", "-f", socket]);
  // Deepest first. A mount is busy until the last of its processes is really gone.
  await eventually(`${folder} is free of mounts`, async () => {
    const mounts = mountsBeneath(folder);
    for (const mount of mounts.reverse()) await run(["umount", mount]);
    return mounts.length === 0;
  });
  for (const group of cgroups(ids).reverse()) await run(["rmdir", group]);
}

/** Ids of the containers that an engine has kept in its folder. */
function containerIds(folder: string): Set<string> {
  const ids = ["data/containers", "root/overlay-containers", "root/vfs-containers"]
    .flatMap((part) => entries(`${folder}/${part}`))
    .filter((name) => /^[0-9a-f]{64}$/.test(name));
  return new Set(ids);
}

/** Processes of the engine itself, and those of its containers: their root is a folder of the engine's. */
function belonging(folder: string): number[] {
  const name = folder.split("/").at(-1) as string;
  const engines = /^(\S*\/)?(dockerd|containerd|containerd-shim\S*|runc|podman|conmon) /;
  return processes()
    .filter(({ pid, args }) =>
      engines.test(args) && args.includes(`${folder}/`) || rootOf(pid).includes(name)
    )
    .map(({ pid }) => pid);
}

/** What is mounted as a process's root. */
function rootOf(pid: number): string {
  const lines = read(`/proc/${pid}/mountinfo`).split("\n");
  return lines.findLast((line) => line.split(" ")[4] === "/") ?? "";
}

function mountsBeneath(folder: string): string[] {
  return read("/proc/self/mounts").split("\n").map((line) => line.split(" ")[1] ?? "")
    .filter((mount) => mount.startsWith(`${folder}/`));
}

function shimSockets(folder: string): string[] {
  const tasks = `${folder}/containerd/state/io.containerd.runtime.v2.task`;
  return entries(tasks).flatMap((namespace) =>
    entries(`${tasks}/${namespace}`).map((id) => read(`${tasks}/${namespace}/${id}/address`))
  ).filter((address) => address.startsWith("unix:///")).map((address) => address.slice(7).trim());
}

/** Lets paused containers go on: until then they cannot be killed. */
function thaw(ids: Set<string>): void {
  for (const group of cgroups(ids)) {
    for (const [file, word] of [["freezer.state", "THAWED"], ["cgroup.freeze", "0"]] as const) {
      try {
        Deno.writeTextFileSync(`${group}/${file}`, word, { create: false });
      } catch {
        // Not a control group of this kind.
      }
    }
  }
}

/** Control groups of containers, and those within; outer ones first. */
function cgroups(ids: Set<string>, at = "/sys/fs/cgroup", within = false): string[] {
  if (ids.size === 0) return [];
  return entries(at, true).flatMap((name) => {
    const path = `${at}/${name}`;
    const found = within || [...ids].some((id) => name.includes(id));
    return [...found ? [path] : [], ...cgroups(ids, path, found)];
  });
}

/** Names of what is in a folder, or only of the folders there; none where there is no folder. */
function entries(folder: string, folders = false): string[] {
  try {
    const all = [...Deno.readDirSync(folder)];
    return all.filter(({ isDirectory }) => isDirectory || !folders).map(({ name }) => name);
  } catch {
    return [];
  }
}

/** The text of a file, or none where it cannot be read: processes come and go. */
function read(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return "";
  }
}

async function must(command: readonly string[], env?: Record<string, string>): Promise<Ended> {
  const ended = await run(command, { env });
  if (ended.code === 0) return ended;
  throw new Error(`${command.join(" ")}: exit ${ended.code}: ${ended.out}${ended.err}`.trim());
}
