/**
 * What a session's container is made of, and what it may not do.
 * @module
 */
import type { ContainerSpec } from "../../docker/engine.ts";
import type { Job } from "./proxy.ts";
import type { Access } from "./reach.ts";

/** Labels of our containers. The session's is the uid's hash: the uid is a secret. */
export const LABELS = {
  gateway: "org.scistream.gateway",
  session: "org.scistream.session",
  type: "org.scistream.type",
} as const;

/** What a container is made of beside its session. */
export interface ContainerMake {
  command: string[];
  /** The data server type. */
  type: string;
  image: string;
  /** `ip:port` of the control server. */
  gateway: string;
  access: Access;
}

/** `scistream-haproxy-1a2b3c4d`. */
export function containerName(type: string, { id }: Job): string {
  return `scistream-${type.toLowerCase()}-${id}`;
}

/** The container of a session. */
export function containerSpec(job: Job, make: ContainerMake): ContainerSpec {
  const { proxy, limits } = job;
  const { user, mounts } = make.access;
  const memory = limits.memory * (1 << 20);
  return {
    Image: make.image,
    Cmd: make.command,
    User: user,
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
      Mounts: mounts,
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
