/**
 * Checks of what the data server type needs: a container engine with its image, or a proxy program.
 * @module
 */
import { DockerEngine, DockerError } from "../docker/engine.ts";
import { noImage } from "../docker/errors.ts";
import { type DockerHost, nameOf } from "../docker/host.ts";
import { ask } from "../machine.ts";
import { OWN_IMAGE } from "../s2ds/placed/s2ds_program.ts";
import { requirement } from "../s2ds/types.ts";
import { type Check, fail, failed, type Finding, ok, skip, warn } from "./check.ts";
import { swarmChecks } from "./swarm.ts";

/** What forwards here. */
export interface DataServerSettings {
  type: string;
  /** Where the Docker Engine is. */
  dockerHost: DockerHost;
  image?: string;
  /** What runs containers. */
  engine: "docker" | "swarm";
}

/** An engine that is well answers within milliseconds. */
const ENGINE_MS = 5_000;

/** How each proxy program is asked for its version, and the oldest that its configuration is made for. */
const PROGRAMS = [
  { name: "haproxy", package: "haproxy", args: ["-v"], oldest: [2, 6] },
  { name: "nginx", package: "libnginx-mod-stream", args: ["-V"], oldest: [1, 22] },
  { name: "stunnel", package: "stunnel4", args: ["-version"], oldest: [5, 56] },
] as const;

/** `docker`, `image`, `haproxy`, `nginx`, `stunnel`; in a Swarm `swarm` and `gateways` too. */
export function dataServerChecks(settings: DataServerSettings): Check[] {
  const needed = requirement(settings.type);
  const contained = needed?.as === "container" || settings.engine === "swarm";
  return [
    { name: "docker", look: () => docker(settings, contained) },
    {
      name: "image",
      look: () =>
        image(settings, contained ? settings.image ?? needed?.proxy.image ?? OWN_IMAGE : undefined),
    },
    ...settings.engine === "swarm" && contained ? swarmChecks(settings.dockerHost) : [],
    ...PROGRAMS.map((program) => ({
      name: program.name,
      look: (signal: AbortSignal) =>
        proxy(program, needed?.as === "process" && needed.proxy.name === program.name, signal),
    })),
  ];
}

async function docker({ type, dockerHost }: DataServerSettings, needed: boolean) {
  const engine = new DockerEngine({ host: dockerHost, patienceMs: ENGINE_MS });
  try {
    const api = await engine.version();
    const { ServerVersion, MemoryLimit } = await engine.info();
    const told = `version ${ServerVersion}, API ${api}, at ${nameOf(dockerHost)}`;
    if (!needed) return ok(`not needed by ${type}; ${told}`);
    if (!MemoryLimit) {
      return warn(
        `${told}; this host does not enforce limits of memory, so a proxy may take all`,
        "boot the kernel with cgroup_enable=memory",
      );
    }
    return ok(told);
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    if (needed) return failed(error);
    return skip(`not needed by ${type}; ${failed(error).found}`);
  }
}

async function image(
  { type, dockerHost, engine: runs }: DataServerSettings,
  name?: string,
): Promise<Finding> {
  if (name === undefined) return skip(`not needed by ${type}`);
  const engine = new DockerEngine({ host: dockerHost, patienceMs: ENGINE_MS });
  try {
    const found = await engine.inspectImage(name);
    if (found) {
      const elsewhere = runs === "swarm" ? ", here; every other node needs the same" : "";
      return ok(`${name} (${found.Id.slice(0, 19)})${elsewhere}`);
    }
    if (runs === "docker") return failed(noImage(name, 404));
    return warn(
      `${name} is not on this manager, so each node asks its registry at every start`,
      `put it on every node: docker pull ${name}, or docker save here and docker load there`,
    );
  } catch (error) {
    if (!(error instanceof DockerError)) throw error;
    return skip("no engine answers, so its images are not known");
  }
}

async function proxy(
  program: typeof PROGRAMS[number],
  needed: boolean,
  signal: AbortSignal,
): Promise<Finding> {
  const { name, args, oldest } = program;
  const install = `sudo apt-get install ${program.package}`;
  const said = await ask(name, args, signal);
  if (said === undefined) {
    return needed ? fail(`${name} is not installed`, install) : skip("not needed, not installed");
  }
  const text = said.out + said.err;
  const version = /\b(\d+)\.(\d+)(\.\d+)?/.exec(text);
  const told = `${needed ? "" : "not needed; "}version ${version?.[0] ?? "unknown"}`;
  if (!needed) return ok(told);
  if (!version) return warn(`${name} does not tell its version`, install);
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    return warn(`${told}: made for ${oldest.join(".")} and newer`, install);
  }
  if (name === "nginx" && !await hasStream(text)) {
    return fail(`${told}, without its stream module`, install);
  }
  return ok(told);
}

/** Whether what `nginx -V` says has the stream module in it, or as a file that is there. */
async function hasStream(text: string): Promise<boolean> {
  if (/--with-stream(\s|$)/.test(text)) return true;
  const folder = /--modules-path=(\S+)/.exec(text)?.[1];
  if (!/--with-stream=dynamic/.test(text) || folder === undefined) return false;
  try {
    return (await Deno.stat(`${folder}/ngx_stream_module.so`)).isFile;
  } catch {
    return false;
  }
}
