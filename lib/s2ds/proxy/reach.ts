/**
 * How a session's files reach its container: by the folder itself, or sent to where the engine is.
 * @module
 */
import type { DockerEngine, HostConfig } from "../../docker/engine.ts";
import { tar, type TarFile } from "../../docker/tar.ts";
import { written } from "./files.ts";
import type { Job } from "./proxy.ts";

/** Where a container finds the session's folder that it writes to. */
const RUN = "/run/scistream";
/**
 * Of the container alone, and gone with its end. Not a tmpfs of ours: runc gives that the mode of the
 * folder beneath when a container starts again, which is root's, and podman takes no owner for it.
 */
const SHARED_MEMORY = "/dev/shm";

/** Of `nobody`, for a control server that is root: a container never needs to be. */
const NOBODY = 65534;

/** What of a container concerns its files. */
export interface Access {
  /** As whom it runs. */
  user: string;
  mounts: HostConfig["Mounts"];
}

/** Files on their way to a container. */
export interface Reach {
  /** Whether a container's files and sockets are in its session's folder here. */
  readonly isHere: boolean;
  /** Where a container finds the folder that it writes to. */
  readonly run: string;
  /**
   * @param rootless of an engine that maps root to whoever runs it
   * @param labels of what the engine keeps beside the container
   */
  access(job: Job, rootless: boolean, labels: Record<string, string>): Access;
  /** Before a proxy is started: forgets that an earlier one listened. */
  forget(job: Job): Promise<void>;
  /** Has the container see the session's files as they are now. */
  deliver(id: string, job: Job, rootless: boolean): Promise<void>;
  /** Waits until the proxy of a container that was started for the first time listens. */
  listening(id: string, job: Job, signal: AbortSignal): Promise<void>;
  /** Removes files with these labels that are left over: whoever removes a container by hand leaves its. */
  tidy(labels: Record<string, string>): Promise<void>;
}

/** An engine on this host: containers see the session's folder. */
export class SharedFolder implements Reach {
  readonly isHere = true;
  readonly run = RUN;

  /** The files change hands where their owner is root. */
  access({ folder, proxy }: Job, rootless: boolean): Access {
    return {
      user: userOf(folder, rootless),
      mounts: [
        { Type: "bind", Source: folder, Target: proxy.configFolder, ReadOnly: true },
        { Type: "bind", Source: `${folder}/run`, Target: RUN, ReadOnly: false },
      ],
    };
  }

  async forget({ folder }: Job): Promise<void> {
    await Deno.remove(`${folder}/run/pid`).catch(() => {});
  }

  deliver(): Promise<void> {
    return Promise.resolve();
  }

  listening(_id: string, { folder }: Job, signal: AbortSignal): Promise<void> {
    return written(`${folder}/run`, "pid", signal);
  }

  tidy(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * An engine elsewhere: files are put into a volume that goes with the container. Its folder is root's,
 * so that the proxy can read what is there and add nothing.
 */
export class SentFiles implements Reach {
  readonly isHere = false;
  readonly run = SHARED_MEMORY;
  readonly #engine: DockerEngine;

  constructor(engine: DockerEngine) {
    this.#engine = engine;
  }

  access({ proxy }: Job, rootless: boolean, labels: Record<string, string>): Access {
    const id = rootless ? 0 : NOBODY;
    return {
      user: `${id}:${id}`,
      mounts: [{
        Type: "volume",
        Target: proxy.configFolder,
        ReadOnly: false,
        // Not what the image has there.
        VolumeOptions: { NoCopy: true, Labels: labels },
      }],
    };
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  async deliver(id: string, { folder, proxy }: Job, rootless: boolean): Promise<void> {
    const owner = rootless ? 0 : NOBODY;
    const files = [...filesIn(folder, "", owner), ...filesIn(`${folder}/next`, "next/", owner)];
    await this.#engine.putArchive(id, proxy.configFolder, tar(files));
  }

  async listening(id: string, { proxy }: Job, signal: AbortSignal): Promise<void> {
    const heard = Promise.withResolvers<void>();
    const stop = new AbortController();
    const onAbort = () => heard.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const onLine = ({ text }: { text: string }) => proxy.listens(text) && heard.resolve();
      await this.#engine.followLogs(id, onLine, stop.signal, "start");
      await heard.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      stop.abort();
    }
  }

  async tidy(labels: Record<string, string>): Promise<void> {
    await this.#engine.pruneVolumes(labels);
  }
}

/** Readable for the proxy alone. */
function filesIn(folder: string, prefix: string, owner: number): TarFile[] {
  const time = Math.floor(Date.now() / 1000);
  return [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile).map(({ name }) => ({
    ...{ name: `${prefix}${name}`, mode: 0o400, owner, time },
    bytes: Deno.readFileSync(`${folder}/${name}`),
  }));
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
