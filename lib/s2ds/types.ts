/**
 * The data server types that `s2cs --type` knows: adding a type is adding a file, a name and a row.
 * @module
 */
import type { DockerHost } from "../docker/host.ts";
import { inModule } from "../log.ts";
import { quote, ScistreamError } from "../protocol/errors.ts";
import type { DataServer, DataServerEvents } from "./data_server.ts";
import { haproxy } from "./haproxy.ts";
import { Mock } from "./mock.ts";
import { JanusNodes } from "./placed/janus/janus.ts";
import { janusProgram } from "./placed/janus/program.ts";
import type { JanusSettings } from "./placed/janus/settings.ts";
import type { OrchestratorEvents } from "./placed/orchestrator.ts";
import { nginx } from "./nginx.ts";
import { PlacedSessions, type PlacedSettings } from "./placed/placed.ts";
import type { Program } from "./placed/program.ts";
import { proxyProgram } from "./placed/proxy_program.ts";
import { s2dsProgram } from "./placed/s2ds_program.ts";
import { SwarmOrchestrator } from "./placed/swarm/swarm.ts";
import { Containers } from "./proxy/containers.ts";
import { Processes } from "./proxy/processes.ts";
import { Proxied, type ProxySettings } from "./proxy/proxied.ts";
import type { Proxy } from "./proxy/proxy.ts";
import { S2ds, type S2dsSettings } from "./s2ds.ts";
import { stunnel, type StunnelCiphers } from "./stunnel.ts";
import { type EngineName, TYPE_NAMES, type TypeName } from "./type_names.ts";

export { TYPE_NAMES };

/** Settings of all types; each takes what concerns it. */
export interface DataServerSettings extends ProxySettings, S2dsSettings, PlacedSettings {
  /** What runs containers: the Docker Engine on its own machine, or a Swarm on its nodes. */
  engine: EngineName;
  /** Whichever control server has this name has a Swarm's sessions. */
  swarmName: string;
  /** Where the Docker Engine is. */
  dockerHost: DockerHost;
  /** Container image; the type's own if not given. */
  image?: string;
  /** For type Janus. */
  janus?: JanusSettings;
  /** What stunnel encrypts with. */
  stunnelCiphers: StunnelCiphers;
}

/** What a type runs, and as what. */
export interface Requirement {
  as: "container" | "process";
  /** As it is with the settings' defaults. */
  proxy: Proxy;
}

interface Make {
  (type: string, settings: DataServerSettings, events: DataServerEvents): DataServer;
  requirement?: () => Requirement;
}
type Choose = (settings: Pick<DataServerSettings, "stunnelCiphers">) => Proxy;

const TYPES: Record<string, Make> = {
  S2DS: (type, settings, events) =>
    settings.engine === "swarm"
      ? swarmed(type, s2dsProgram(settings), settings, events)
      : new S2ds(settings, events),
  Haproxy: container(() => haproxy),
  Nginx: container(() => nginx),
  Stunnel: container(({ stunnelCiphers }) => stunnel(stunnelCiphers)),
  DockerSock: container(() => haproxy),
  HaproxySubprocess: process(() => haproxy),
  NginxSubprocess: process(() => nginx),
  StunnelSubprocess: process(({ stunnelCiphers }) => stunnel(stunnelCiphers)),
  Janus: janus,
  Mock: () => new Mock(),
} satisfies Record<TypeName, Make>;

function container(choose: Choose): Make {
  const make: Make = (type, settings, events) => {
    if (settings.engine === "swarm") {
      return swarmed(type, proxyProgram(choose(settings)), settings, events);
    }
    const { dockerHost: host, image } = settings;
    const runner = (told: ConstructorParameters<typeof Containers>[1]) =>
      new Containers({ type, host, image }, { ...told, onLog: inModule(told.onLog, "docker") });
    return new Proxied(type, choose(settings), runner, settings, events);
  };
  return Object.assign(make, { requirement: requires("container", choose) });
}

/** A program as services of a Swarm. */
function swarmed(
  type: string,
  program: Program,
  settings: DataServerSettings,
  events: DataServerEvents,
): DataServer {
  const { dockerHost: host, swarmName: name, image } = settings;
  const orchestrator = (told: ConstructorParameters<typeof SwarmOrchestrator>[1]) =>
    new SwarmOrchestrator({ host, name, image }, {
      ...told,
      onLog: inModule(told.onLog, "docker"),
    });
  return new PlacedSessions(type, program, orchestrator, settings, events);
}

function process(choose: Choose): Make {
  const make: Make = (type, settings, events) =>
    new Proxied(type, choose(settings), (told) => new Processes(told), settings, events);
  return Object.assign(make, { requirement: requires("process", choose) });
}

function janus(type: string, settings: DataServerSettings, events: DataServerEvents): DataServer {
  const where = settings.janus;
  if (!where) {
    // It was this gateway's type before, and is not any more.
    throw new ScistreamError(
      "CONN_ERROR",
      "what type Janus left on its nodes is not ended, because its flags are missing; start and stop s2cs with --type Janus and its flags to end it",
    );
  }
  const nodes = (told: OrchestratorEvents) => new JanusNodes(where, told);
  return new PlacedSessions(type, janusProgram, nodes, settings, events);
}

function requires(as: Requirement["as"], choose: Choose): () => Requirement {
  return () => ({ as, proxy: choose({ stunnelCiphers: "default" }) });
}

/** What a type that {@linkcode parseType} answered takes of its machine; undefined for nothing. */
export function requirement(type: string): Requirement | undefined {
  return TYPES[type]?.requirement?.();
}

/** Whether what a type that {@linkcode parseType} answered listens on is another host's. */
export function isElsewhere(type: string, dockerHost: DockerHost): boolean {
  return requirement(type)?.as === "container" && dockerHost.kind === "tcp";
}

/**
 * The type that this name means, without regard to case.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parseType(text: string): string {
  const same = (name: string) => name.toLowerCase() === text.toLowerCase();
  const type = TYPE_NAMES.find(same);
  if (type) return type;
  const choice = `choose one of ${TYPE_NAMES.join(", ")}`;
  throw new ScistreamError("BAD_FORMAT", `data server type ${quote(text)} is unknown; ${choice}`);
}

/** Makes a data server of a type that {@linkcode parseType} answered. */
export function createDataServer(
  type: string,
  settings: DataServerSettings,
  events: DataServerEvents,
): DataServer {
  const make = TYPES[type];
  if (!make) throw new TypeError(`no data server type ${type}`);
  return make(type, settings, events);
}
