/**
 * What a gateway holds: counted when it has no sessions, and compared with what it held before it had
 * any.
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import type { Engine } from "../../tests/engine.ts";
import { listeningPorts, processes } from "../../tests/harness.ts";
import { LABELS } from "../../lib/s2ds/proxy/container_spec.ts";
import type { Side } from "./gateways.ts";

const MIB = 1 << 20;
/** Descriptors that the runtime opens when it first needs them, and after a restart in another order. */
const SPARE_DESCRIPTORS = 12;
/** Garbage comes and goes; a leak only comes. */
const SPARE_MEMORY = 100 * MIB;
/** So many rounds, each of which has so much more than the one before, are a leak below that bound too. */
const GROWING_ROUNDS = 5;
const GROWTH = 1.05;

/** Everything that must be as it was, by what kind of thing it is. */
export type Holdings = Record<
  "processes" | "containers" | "ports" | "files" | "sessions",
  readonly string[]
>;

/** What a process of the gateway uses. */
export interface Usage {
  pid: number;
  /** `s2cs` or `s2ds`. */
  kind: string;
  descriptors: number;
  /** Bytes that are resident. */
  memory: number;
}

/** What is there now that was not there before, a sentence each. */
export function leaked(before: Holdings, now: Holdings): string[] {
  return (Object.keys(now) as (keyof Holdings)[]).flatMap((kind) => {
    const known = [...before[kind]];
    return now[kind].filter((each) => {
      const at = known.indexOf(each);
      if (at >= 0) known.splice(at, 1);
      return at < 0;
    }).filter((each, _, all) => {
      // What is in a folder goes with it.
      return kind !== "files" || !all.some((other) => each.startsWith(`${other}/`));
    }).map((each) => `${kind}: ${each}`);
  });
}

/** Takes stock of a gateway. */
export async function stock(side: Side, engine: Engine | undefined): Promise<Holdings> {
  const { gateway, ports } = side;
  const label = `${LABELS.gateway}=${gateway.address}`;
  const files = walk(gateway.stateDir);
  return {
    processes: processesOf(side).map(({ what }) => what),
    containers: await engine?.containers(label) ?? [],
    ports: [...listeningPorts(ports)].map(String),
    files,
    sessions: files.filter((path) => path.endsWith("/sessions.db"))
      .flatMap((path) => rows(`${gateway.stateDir}/${path}`)),
  };
}

/** What the processes of a gateway use. */
export function usage(side: Side): Usage[] {
  return processesOf(side).filter(({ what }) => /^s2[cd]s$/.test(what)).map(({ pid, what }) => ({
    pid,
    kind: what,
    descriptors: descriptors(pid),
    memory: resident(pid),
  }));
}

/** How much a gateway's processes use, from round to round. */
export class Growth {
  readonly #first = new Map<string, Usage>();
  #rounds = new Map<number, Usage[]>();
  #most = new Map<string, number>();

  /** Takes note of a round, and answers what grows without end, a sentence each. */
  note(all: readonly Usage[]): string[] {
    const rounds = new Map(all.map((use) => {
      // Whoever has another id is another process, and starts anew.
      return [use.pid, [...this.#rounds.get(use.pid) ?? [], use].slice(-GROWING_ROUNDS - 1)];
    }));
    this.#rounds = rounds;
    return all.flatMap((use) => {
      const { kind, pid, memory } = use;
      if (!this.#first.has(kind)) this.#first.set(kind, use);
      this.#most.set(kind, Math.max(this.#most.get(kind) ?? 0, memory));
      return this.#judge(use, rounds.get(pid) ?? []);
    });
  }

  /** How much memory was used first and at most, for people. */
  get told(): string {
    return [...this.#first].map(([kind, { memory }]) =>
      `${kind} ${mib(memory)} → ${mib(this.#most.get(kind) ?? 0)} MiB`
    ).join(", ");
  }

  #judge({ kind, pid, descriptors, memory }: Usage, rounds: readonly Usage[]): string[] {
    const first = this.#first.get(kind) as Usage;
    const wrong: string[] = [];
    const who = `${kind}, process ${pid}`;
    if (descriptors > first.descriptors + SPARE_DESCRIPTORS) {
      wrong.push(`descriptors: ${who}: ${first.descriptors} at first, ${descriptors} now`);
    }
    if (memory > first.memory + SPARE_MEMORY) {
      wrong.push(`memory: ${who}: ${mib(first.memory)} MiB at first, ${mib(memory)} now`);
    }
    for (const what of ["descriptors", "memory"] as const) {
      const series = rounds.map((round) => round[what]);
      const grows = series.slice(1).every((value, i) => value > (series[i] as number) * GROWTH);
      if (series.length > GROWING_ROUNDS && grows) {
        wrong.push(`${what}: ${who}: grows round by round: ${series}`);
      }
    }
    return wrong;
  }
}

/**
 * A gateway's processes are those that work in its folder or name it: s2cs, the data servers, and
 * whatever helps them. Those in containers are the engine's to count.
 */
export function processesOf({ gateway }: Side): { pid: number; what: string }[] {
  const { path } = gateway.folder;
  return processes().flatMap(({ pid, args }) => {
    const cwd = workingDirectory(pid);
    if (!args.includes(path) && cwd !== path && !cwd.startsWith(`${path}/`)) return [];
    const word = /cmd\/scistream\.ts (s2[cd]s) /.exec(args)?.[1];
    return [{ pid, what: word ?? `${args.trim() || "a process that has ended"}` }];
  });
}

/** Where a process works; nowhere if it has ended. */
export function workingDirectory(pid: number): string {
  try {
    return Deno.readLinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

function descriptors(pid: number): number {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  } catch {
    return 0;
  }
}

function resident(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** The files and folders in a folder, by their paths from there. */
function walk(folder: string, prefix = ""): string[] {
  const entries = [...Deno.readDirSync(folder)];
  return entries.flatMap(({ name, isDirectory }) => {
    const path = `${prefix}${name}`;
    return isDirectory ? [path, ...walk(`${folder}/${name}`, `${path}/`)] : [path];
  }).sort();
}

function rows(file: string): string[] {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    return database.prepare("SELECT hash FROM session").all()
      .map(({ hash }) => String(hash).slice(0, 8));
  } finally {
    database.close();
  }
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}
