/**
 * What a session's container is made of, and what it may not do.
 * @module
 */
import type { ContainerSpec } from "../../docker/engine.ts";
import type { Job } from "./proxy.ts";

/** Labels of our containers. The session's is the uid's hash: the uid is a secret. */
export const LABELS = {
  gateway: "org.scistream.gateway",
  session: "org.scistream.session",
  type: "org.scistream.type",
} as const;

/** Where a container finds the folder that it writes to. */
export const RUN = "/run/scistream";

/** Of `nobody`, for a control server that is root: a container never needs to be. */
const NOBODY = 65534;

/** What a container is made of beside its session. */
export interface ContainerMake {
  command: string[];
  /** The data server type. */
  type: string;
  image: string;
  /** `ip:port` of the control server. */
  gateway: string;
  /** Whether the engine is rootless: it maps root to whoever runs it. */
  rootless: boolean;
}

/** `scistream-haproxy-1a2b3c4d`. */
export function containerName(type: string, { id }: Job): string {
  return `scistream-${type.toLowerCase()}-${id}`;
}

/** The container of a session; its files change hands where their owner is root. */
export function containerSpec(job: Job, make: ContainerMake): ContainerSpec {
  const { proxy, limits, folder } = job;
  const memory = limits.memory * (1 << 20);
  return {
    Image: make.image,
    Cmd: make.command,
    User: userOf(folder, make.rootless),
    Labels: {
      [LABELS.gateway]: make.gateway,
      [LABELS.session]: job.session,
      [LABELS.type]: make.type,
    },
    // What drains it also tells the engine not to restart it when it ends.
    StopSignal: proxy.stopSignal,
    Tty: false,
    HostConfig: {
      NetworkMode: "host",
      ReadonlyRootfs: true,
      Mounts: [
        { Type: "bind", Source: folder, Target: proxy.configFolder, ReadOnly: true },
        { Type: "bind", Source: `${folder}/run`, Target: RUN, ReadOnly: false },
      ],
      Tmpfs: { "/tmp": "rw,noexec,nosuid,nodev,size=1m" },
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Memory: memory,
      MemorySwap: memory,
      PidsLimit: proxy.mostTasks,
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "2" } },
      RestartPolicy: { Name: "always" },
    },
  };
}

/** Whoever owns the session's files; they are given to nobody where that would be root. */
function userOf(folder: string, rootless: boolean): string {
  const { uid, gid } = Deno.statSync(folder);
  if (rootless) return "0:0";
  if (uid !== 0) return `${uid}:${gid}`;
  for (const path of [folder, `${folder}/run`, `${folder}/next`]) {
    Deno.chownSync(path, NOBODY, NOBODY);
    for (const { name, isFile } of Deno.readDirSync(path)) {
      if (isFile) Deno.chownSync(`${path}/${name}`, NOBODY, NOBODY);
    }
  }
  return `${NOBODY}:${NOBODY}`;
}
