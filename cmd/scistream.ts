/**
 * The executable: finds the command, runs it, and is the one place that exits.
 * @module
 */
import type { Config } from "../lib/cli/config.ts";
import { type Command, Exit, type Group, type Io } from "../lib/cli/command.ts";
import { distance, parseCommandLine, splitCommandLine, UsageError } from "../lib/cli/flags.ts";
import { keepOnly } from "../lib/cli/powers.ts";
import { readLine } from "../lib/cli/stdin.ts";
import { failureOf, tell } from "../lib/cli/failure.ts";
import { jsonLine } from "../lib/cli/json.ts";
import { printable } from "../lib/cli/printable.ts";
import { messageOf, quote } from "../lib/protocol/errors.ts";
import { configFile } from "../lib/state_dir.ts";
import { isTraced, startTracing, traced } from "../lib/trace.ts";
import { VERSION, versionLine, versionParts } from "../lib/version.ts";

/** The first word of a command line, and what it leads to. */
const GROUPS: readonly {
  name: string;
  summary: string;
  load: () => Promise<{ default: Group }>;
}[] = [
  {
    name: "s2cs",
    summary: "Control server: owns a gateway's sessions, ports and data servers",
    load: () => import("./s2cs.ts"),
  },
  {
    name: "s2uc",
    summary: "User client: ask for sessions, watch and release them",
    load: () => import("./s2uc/group.ts"),
  },
  {
    name: "appctrl",
    summary: "Application controller: say hello for an application, and run it",
    load: () => import("./appctrl/group.ts"),
  },
  {
    name: "s2ds",
    summary: "Data server: listens on the gateway and forwards",
    load: () => import("./s2ds.ts"),
  },
  {
    name: "cert",
    summary: "Make a certificate and key for a control server",
    load: () => import("./cert.ts"),
  },
  {
    name: "init",
    summary: "Write a configuration and a certificate for a gateway",
    load: () => import("./init.ts"),
  },
  {
    name: "doctor",
    summary: "Check this machine for being a gateway, or a gateway elsewhere",
    load: () => import("./doctor.ts"),
  },
  {
    name: "completions",
    summary: "Print a script that completes command lines in a shell",
    load: async () => ({ default: (await import("./completions.ts")).default(everyGroup) }),
  },
  {
    name: "man",
    summary: "Print a manual page, or write all of them",
    load: async () => ({ default: (await import("./man.ts")).default(everyGroup, DETAILS) }),
  },
];

/** Every group of commands. */
export async function everyGroup(): Promise<Group[]> {
  const modules = await Promise.all(GROUPS.map((each) => each.load()));
  return modules.map((each) => each.default);
}

const DETAILS =
  `SciStream streams data memory to memory between institutions. A control server (s2cs) on
each facility's gateway reserves ports and runs data servers (s2ds); the user client
(s2uc) asks both sides for a session; the application controller (appctrl) tells where
the application listens.`;

/** First words of commands that serve. */
const SERVERS = ["s2cs", "s2ds"];

/**
 * Runs a command line; answers the exit code.
 * @param how whether errors are told as JSON, once that is known
 */
async function main(argv: readonly string[], io: Io, how: { json: boolean }): Promise<number> {
  const [word, ...rest] = argv;
  const showVersion = (text: string) => {
    io.out(how.json ? jsonLine("version", versionParts()) : text);
    return Exit.OK;
  };
  if (word === "--version" || word === "version") return showVersion(`scistream ${versionLine()}`);
  if (word === undefined || word === "--help" || word === "-h" || word === "help") {
    await help(rest, io);
    return word === undefined ? Exit.USAGE : Exit.OK;
  }
  const group = await loadGroup(word);
  if (rest[0] === "--version" && group.standard === undefined) {
    return showVersion(`${word}, version: ${versionLine()}`);
  }
  const { found, argv: flags } = findCommand(group, rest);
  if (wantsHelp(rest)) {
    await help([word, ...found && found.name !== group.standard ? [found.name] : []], io);
    return Exit.OK;
  }
  if (!found) {
    const [name] = rest;
    const names = group.commands.map((each) => each.name);
    const choice = `choose one of ${names.join(", ")}; \`scistream help ${word}\` explains them`;
    throw new UsageError(
      name === undefined
        ? `missing command: ${choice}`
        : `unknown command ${quote(name)}: ${choice}`,
    );
  }
  const read = async () => {
    const { path, ...config } = await readFile(group, found, flags, io);
    const line = parseCommandLine(flags, found.flags, found.args, { env: io.env, ...config });
    return { ...line, file: path, reread: read };
  };
  const line = await read();
  if ("json" in line.options) how.json = line.options.json === true;
  if (line.rest.length > 0 && !found.rest) throw new UsageError(`unexpected argument "--"`);
  const parent = io.env("TRACEPARENT");
  if (isTraced(io.env)) await startTracing();
  keepOnly(found.needs);
  // What a server does is traced by its calls.
  if (SERVERS.includes(word)) return await found.run(line, io);
  return await traced(`${word} ${found.name}`, { parent }, () => found.run(line, io));
}

async function loadGroup(word: string): Promise<Group> {
  const entry = GROUPS.find((each) => each.name === word);
  if (entry) return (await entry.load()).default;
  const names = GROUPS.map((each) => each.name);
  const close = names.find((name) => distance(name, word) <= 2);
  throw new UsageError(
    `unknown command ${quote(word)}${close ? `; did you mean ${close}?` : ""}; there are ${
      names.join(", ")
    }`,
  );
}

/** The command that the words name: `inbound_request` is `inbound-request`, nothing is the standard one. */
function findCommand(
  group: Group,
  argv: readonly string[],
): { found?: Command; argv: readonly string[] } {
  const name = argv[0]?.replaceAll("_", "-");
  const named = group.commands.find((each) => each.name === name);
  if (named) return { found: named, argv: argv.slice(1) };
  return { found: group.commands.find((each) => each.name === group.standard), argv };
}

function wantsHelp(argv: readonly string[]): boolean {
  return own(argv).some((word) => word === "--help" || word === "-h");
}

/** The words that are ours: those after `--` are somebody else's. */
function own(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? undefined : end);
}

/**
 * What the file of `--config` or SCISTREAM_CONFIG says, or without one the user's own file for this
 * group of commands, if there is one.
 */
async function readFile(
  group: Group,
  found: Command,
  argv: readonly string[],
  io: Io,
): Promise<Partial<Config> & { path?: string }> {
  if (!("config" in found.flags)) return {};
  const named = splitCommandLine(argv, found.flags).flags.config ?? io.env("SCISTREAM_CONFIG");
  const owner = group.configOf === undefined ? group : await loadGroup(group.configOf);
  const path = named ?? configFile(owner.name, io.env);
  if (path === undefined) return {};
  let source: string;
  try {
    source = await Deno.readTextFile(path);
  } catch (error) {
    // A data server may read its own folder only.
    const absent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable;
    if (named === undefined && absent) return {};
    throw new UsageError(`cannot read the configuration file ${path}: ${messageOf(error)}`);
  }
  const { readConfig } = await import("../lib/cli/config.ts");
  const shape = Object.fromEntries(owner.commands.map((each) => [each.name, each.flags]));
  const reader = owner === group ? found.name : owner.standard ?? owner.name;
  return { ...readConfig(path, source, shape, reader), path };
}

async function help(words: readonly string[], io: Io): Promise<void> {
  const { renderHelp } = await import("../lib/cli/help.ts");
  const show = (topic: Parameters<typeof renderHelp>[0]) => io.out(renderHelp(topic).trimEnd());
  const [word, name] = words;
  if (word === undefined) {
    return show({ path: "", summary: `SciStream ${VERSION}`, details: DETAILS, commands: GROUPS });
  }
  const group = await loadGroup(word);
  const { found } = findCommand(group, name === undefined ? [] : [name]);
  if (found) {
    const path = found.name === group.standard ? group.name : `${group.name} ${found.name}`;
    return show({ ...found, path });
  }
  if (name !== undefined) throw new UsageError(`no help on ${quote(`${word} ${name}`)}`);
  show({ path: group.name, summary: group.summary, commands: group.commands });
}

/** Writes a line past the console. As there, nobody is told when nobody reads it. */
function write(stream: { writeSync(bytes: Uint8Array): number }, line: string): void {
  const bytes = new TextEncoder().encode(`${printable(line)}\n`);
  try {
    for (let written = 0; written < bytes.length;) {
      written += stream.writeSync(bytes.subarray(written));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

/** The process's own streams and signals. */
function processIo(): Io {
  const interrupted = new AbortController();
  const forced = new AbortController();
  const onSignal = () => {
    if (forced.signal.aborted) Deno.exit(Exit.INTERRUPTED);
    else if (interrupted.signal.aborted) forced.abort(new Error("forced"));
    else interrupted.abort(new Error("interrupted"));
  };
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  const encoder = new TextEncoder();
  const draw = (text: string) => void Deno.stderr.writeSync(encoder.encode(text));
  // Only a server's log is for others: results have uids and tokens in them.
  const exportsOut = !isTraced((name) => Deno.env.get(name));
  const exportsErr = exportsOut || SERVERS.includes(Deno.args[0] ?? "");
  return {
    out: (line) => exportsOut ? console.log(printable(line)) : write(Deno.stdout, line),
    err: (line) => exportsErr ? console.error(printable(line)) : write(Deno.stderr, line),
    env: (name) => Deno.env.get(name),
    readLine: () => readLine(interrupted.signal),
    readHidden: (prompt) => readLine(interrupted.signal, () => draw(prompt)),
    get interactive() {
      return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
    },
    draw,
    paint(text) {
      for (let bytes = encoder.encode(text); bytes.length > 0;) {
        bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
      }
    },
    terminal: () => Deno.stdout.isTerminal() ? Deno.consoleSize() : undefined,
    get watched() {
      return Deno.stderr.isTerminal();
    },
    onHangUp: (act) => Deno.addSignalListener("SIGHUP", act),
    interrupted: interrupted.signal,
    forced: forced.signal,
    release() {
      for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
      interrupted.signal.throwIfAborted();
    },
  };
}

if (import.meta.main) {
  const io = processIo();
  // Until the command line has been read, which may fail.
  const how = { json: own(Deno.args).includes("--json") };
  const code = await main(Deno.args, io, how).catch((error) => {
    const failure = failureOf(error, io);
    tell(failure, how.json, io);
    return failure.exit;
  });
  Deno.exit(code);
}
