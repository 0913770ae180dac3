/**
 * What the Docker Engine takes and answers, in its own names (Engine API 1.41): only the fields that
 * are used here. Answers have been checked before they come out of {@linkcode DockerEngine}.
 * @module
 */

/** A folder or file of the host inside the container (API: `Mount`). */
export interface BindMount {
  Type: "bind";
  /** Absolute path on the engine's host; must exist. */
  Source: string;
  /** Absolute path in the container. */
  Target: string;
  ReadOnly: boolean;
}

/** A volume of the engine's, inside the container (API: `Mount`). */
export interface VolumeMount {
  Type: "volume";
  /** The volume's name; without one it is made anew, and goes with the container. */
  Source?: string;
  /** Absolute path in the container. */
  Target: string;
  ReadOnly: boolean;
  VolumeOptions: {
    /** Whether the volume begins empty, instead of with what the image has there. */
    NoCopy: boolean;
    Labels: Record<string, string>;
  };
}

/** What the container may use of the host (API: `HostConfig`). */
export interface HostConfig {
  /** `host`, `none`, `bridge` or a network's name. */
  NetworkMode: string;
  ReadonlyRootfs: boolean;
  Mounts: (BindMount | VolumeMount)[];
  /** Path in the container → mount options, such as `size=1m,mode=1777`. */
  Tmpfs?: Record<string, string>;
  /** Capabilities without their `CAP_`, or `ALL`. */
  CapDrop: string[];
  /** Given back after `CapDrop`. */
  CapAdd?: string[];
  /** Such as `no-new-privileges`. */
  SecurityOpt: string[];
  /** Bytes; 0 is no limit. */
  Memory: number;
  /** Bytes of memory and swap together; as much as `Memory` is no swap. */
  MemorySwap: number;
  /** Processes and threads. */
  PidsLimit: number;
  Ulimits?: { Name: string; Soft: number; Hard: number }[];
  LogConfig: { Type: string; Config: Record<string, string> };
  RestartPolicy: {
    Name: "no" | "always" | "unless-stopped" | "on-failure";
    /** With `on-failure` only. */
    MaximumRetryCount?: number;
  };
}

/** The body of `POST /containers/create`. */
export interface ContainerSpec {
  /** Name with tag or digest, or an id. */
  Image: string;
  Cmd: string[];
  Entrypoint?: string[];
  /** `NAME=value` each. */
  Env?: string[];
  /** `uid[:gid]` or names that the image knows. */
  User?: string;
  WorkingDir?: string;
  Labels: Record<string, string>;
  /** The signal that asks it to stop, such as `SIGUSR1`. */
  StopSignal?: string;
  /** Seconds between that signal and SIGKILL. */
  StopTimeout?: number;
  /** Never true: with a terminal, logs come without the frames that tell the streams apart. */
  Tty: false;
  HostConfig: HostConfig;
}

/** Of `GET /info`. */
export interface EngineInfo {
  /** The engine's own version, such as `20.10.24`; not the API's. */
  ServerVersion: string;
  /** Such as `name=seccomp,profile=default`, `name=rootless`. */
  SecurityOptions: string[];
  /** The host's name. */
  Name: string;
  OperatingSystem: string;
  /** "1" or "2"; empty if the engine does not say. */
  CgroupVersion: string;
  /** Whether `Memory` is enforced on this host. */
  MemoryLimit: boolean;
  /** Whether `MemorySwap` is enforced on this host. */
  SwapLimit: boolean;
  /** Whether `PidsLimit` is enforced on this host. */
  PidsLimit: boolean;
}

/** Of `GET /containers/{id}/json`. */
export interface Container {
  Id: string;
  /** Without the slash that the engine puts before it. */
  Name: string;
  /** The image's id. */
  Image: string;
  RestartCount: number;
  State: {
    /** `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`; podman has others. */
    Status: string;
    Running: boolean;
    /** 0 while it runs; 128 + n after signal n. */
    ExitCode: number;
    /** Why it could not be started; empty if it could. */
    Error: string;
    OOMKilled: boolean;
    /** RFC 3339; year 1 if never. */
    StartedAt: string;
    /** On the host; 0 if it does not run. */
    Pid: number;
  };
  Config: { Labels: Record<string, string> };
  /** As the engine keeps it, unchecked. */
  HostConfig?: Readonly<Record<string, unknown>>;
}

/** One of `GET /containers/json`. */
export interface ContainerSummary {
  Id: string;
  /** Without the slash that the engine puts before each. */
  Names: string[];
  /** The image's name as it was asked for. */
  Image: string;
  Labels: Record<string, string>;
  /** As `State.Status` of {@linkcode Container}. */
  State: string;
}

/** One line of `GET /events`. */
export interface EngineEvent {
  /** `container`, `image`, `network`, … */
  Type: string;
  /** In Docker's words on podman too: `create`, `start`, `die`, `oom`, `kill`, `stop`, `destroy`, … */
  Action: string;
  Actor: {
    ID: string;
    /** The container's labels, `name`, `image`; with `die` also `exitCode`. */
    Attributes: Record<string, string>;
  };
  /** Unix time in milliseconds, by the engine's clock. */
  timeMs: number;
}

/** A line that a container wrote. */
export interface LogLine {
  stream: "stdout" | "stderr";
  /** Without its line end. May hold control characters: it is what a program wrote. */
  text: string;
}

/** Of `GET /images/{name}/json`. */
export interface EngineImage {
  /** `sha256:` and 64 hex digits. */
  Id: string;
  /** Names with tags; empty if it has none. */
  RepoTags: string[];
  /** Names with the digests that registries have it under; empty where it came from none. */
  RepoDigests: string[];
}
