import { command, Exit, type Group, type Io } from "../lib/cli/command.ts";
import { openAccess, warnIfShared, warnOfShownSecret } from "../lib/cli/auth_flags.ts";
import { type Options, UsageError } from "../lib/cli/flags.ts";
import { readJanus } from "../lib/cli/janus_flags.ts";
import { limitsOf } from "../lib/cli/limit_flags.ts";
import { levelsOf, openLog } from "../lib/cli/log_flags.ts";
import { reloader } from "../lib/cli/reloader.ts";
import { checkTogether, s2csFlags } from "../lib/cli/s2cs_flags.ts";
import { watchFiles } from "../lib/cli/watched_files.ts";
import { arm } from "../lib/fault_points.ts";
import { inModule, type Log } from "../lib/log.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import type { ServerTls } from "../lib/protocol/server.ts";
import type { Changeable } from "../lib/s2cs/settings.ts";
import { defaultStateDir } from "../lib/state_dir.ts";
import { survive } from "../lib/survive.ts";
import { runtimeFault, versionLine } from "../lib/version.ts";

const start = command({
  name: "start",
  summary: "Run the control server of a gateway",
  details: `Accepts requests over gRPC, reserves ports and runs the data server that forwards.
The first Ctrl-C or SIGTERM lets established connections finish and releases every
session; a second one does not wait for them. With --keep-sessions streams go on, and
the next s2cs on the same address takes them over. SIGHUP has it read its files again:
certificate, key, secrets and --config; so does a change of them. What cannot change
while it runs is named.`,
  flags: s2csFlags,
  needs: ["net", "read", "write", "env", "run"],
  args: [],
  examples: [
    "scistream cert --ip 192.168.10.11",
    "s2cs --listener-ip 192.168.10.11 --port 5007",
  ],
  async run(line, terminal) {
    const { options } = line;
    if (options.version) {
      terminal.out(`s2cs, version: ${versionLine()}`);
      return Exit.OK;
    }
    const fault = runtimeFault(Deno.version.deno);
    if (fault) throw new UsageError(fault);
    checkTogether(options);
    using logging = openLog(options, terminal.err);
    const { log } = logging;
    // What reads JSON takes nothing else.
    const io = options.logFormat === "text"
      ? terminal
      : { ...terminal, err: (line: string) => log("warn", line) };
    warnOfShownSecret(line, io);
    // From the first moment: the signal's own meaning is the end of the process.
    const started = Promise.withResolvers<void>();
    io.onHangUp(() => {
      logging.reopen();
      started.promise.then(() => reload("SIGHUP"));
    });
    const point = io.env("SCISTREAM_FAULT_POINT");
    if (point !== undefined) arm(point);
    const { isElsewhere, parseType } = await import("../lib/s2ds/types.ts");
    const { dockerHost } = await import("../lib/cli/docker_host.ts");
    const { nameOf } = await import("../lib/docker/host.ts");
    const type = parseType(options.type);
    const engine = await dockerHost(options.dockerSocket, (name) => Deno.env.get(name), io.err);
    if (isElsewhere(type, engine) && options.lanIp === undefined) {
      throw new UsageError(
        `sessions of --type ${type} listen on the host of ${
          nameOf(engine)
        }: name its address for consumers with --lan-ip, and for other gateways with --wan-ip`,
      );
    }
    const janus = type === "Janus" ? await readJanus(options, io.env, io.err) : undefined;
    const changeable = await readChangeable(options, io, log);
    const { startS2cs } = await import("../lib/s2cs/server.ts");
    survive((message) => log("error", message));
    const server = await startS2cs({
      ...options,
      ...changeable,
      allow: changeable.allow,
      dockerHost: engine,
      janus,
      limits: {
        threads: Math.min(navigator.hardwareConcurrency, MOST_THREADS),
        connections: options.proxyConnections,
        memory: options.proxyMemory,
      },
      enforce: options.ratePolicy === "enforce",
      workers: options.workers ?? Math.min(navigator.hardwareConcurrency, MOST_THREADS),
      address: new Endpoint(options.listenerIp, options.port),
      type,
      reconcileMs: options.reconcileInterval,
      stateDir: options.stateDir ?? defaultStateDir((name) => Deno.env.get(name)),
      log,
    });
    if (options.ssl) {
      io.out(`Secure gRPC Server started on ${server.address}`);
    } else {
      io.out(`WARNING: INSECURE gRPC Server started on ${server.address}`);
      io.err(
        "WARNING: --ssl=False: everything is sent in the clear, uids and tokens included, and",
      );
      io.err("WARNING: clients cannot know whom they talk to. Never use this across a network.");
    }
    if (!changeable.auth) {
      log("warn", "callers are not authenticated: whoever reaches this port can make sessions");
    }
    const reload = reloader(line, {
      log,
      hasAuth: changeable.auth !== undefined,
      read: async (next) => ({
        ...await readChangeable(next, io, log),
        levels: levelsOf(next),
      }),
      apply: (changed) => {
        logging.configure(changed.levels);
        server.reload(changed);
      },
    });
    started.resolve();
    const { ssl, serverCrt, serverKey, clientSecretFile, issuerCa } = options;
    const files = [ssl && serverCrt, ssl && serverKey, clientSecretFile, issuerCa, line.file]
      .filter((path) => typeof path === "string");
    watchFiles(files, () => reload("a file has changed"), io.interrupted).catch((error) =>
      log("warn", `files are not watched, SIGHUP is needed after a change: ${messageOf(error)}`)
    );
    await aborted(io.interrupted);
    log(
      "info",
      options.keepSessions
        ? "stopping; sessions go on"
        : "stopping; established connections may finish, interrupt again to cut them",
    );
    const stopped = server.stop();
    io.forced.addEventListener("abort", () => server.stop(true));
    await stopped;
    log("info", "stopped");
    return Exit.OK;
  },
});

/** What may change while it runs, from the flags and the files that they name. */
async function readChangeable(
  options: Options<typeof s2csFlags>,
  io: Io,
  log: Log,
): Promise<Changeable> {
  const { ssl, serverCrt, serverKey } = options;
  const callerLimits = limitsOf(options);
  const access = await openAccess(options, inModule(log, "auth"));
  let tls: ServerTls | undefined;
  try {
    if (ssl) tls = await readTls(serverCrt, serverKey, io.err);
  } catch (error) {
    access.auth?.[Symbol.dispose]();
    throw error;
  }
  const { capacity, keepSessions, maxSessions, maxConn } = options;
  return {
    ...access,
    tls,
    callerLimits,
    helloTimeoutMs: options.helloTimeout,
    drainTimeoutMs: options.drainTimeout,
    ...{ capacity, keepSessions, maxSessions, maxConn },
  };
}

/** More do not make one session faster. */
const MOST_THREADS = 16;

async function readTls(crt: string, key: string, warn: (sentence: string) => void) {
  const { checkCertificate, checkKey } = await import("../lib/protocol/pem.ts");
  const advice = "make one with `scistream cert --ip ADDRESS`";
  const read = async (path: string, what: string) => {
    try {
      return await Deno.readFile(path);
    } catch (error) {
      throw new UsageError(`cannot read the ${what} ${path}: ${messageOf(error)}; ${advice}`);
    }
  };
  const tls = { cert: await read(crt, "certificate"), key: await read(key, "private key") };
  const doubt = checkCertificate(tls.cert, crt);
  if (doubt) warn(`${doubt}: clients will refuse it; ${advice}`);
  checkKey({ pem: tls.cert, name: crt }, { pem: tls.key, name: key });
  await warnIfShared(key, (sentence) => warn(`WARNING: the private key ${sentence}`));
  return tls;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

const group: Group = {
  name: "s2cs",
  summary: "Control server: owns a gateway's sessions, ports and data servers",
  program: true,
  files: [
    {
      name: "sessions.db",
      help: "the sessions, which the next s2cs takes up; sockets and logs are beside it",
    },
    { name: "audit-IP-PORT.jsonl", help: "who asked for what, and what became of it" },
  ],
  commands: [start],
  standard: "start",
};
export default group;
