import { command, Exit, type Group, type Io } from "../lib/cli/command.ts";
import { integer, text, UsageError } from "../lib/cli/flags.ts";
import { keepOnly } from "../lib/cli/powers.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { survive } from "../lib/survive.ts";

const run = command({
  name: "run",
  summary: "Run the built-in data server",
  details: `Without options it speaks the original agent's protocol: it prints the port that it
listens on, reads a target HOST:PORT from standard input, forwards both ways, and ends
when standard input does. s2cs runs it with --control-socket for all its sessions. With
--session it serves the one session of a file, as the program of a container.`,
  flags: {
    controlSocket: text("Unix socket to be driven over; its folder must be this user's alone", {
      value: "PATH",
    }),
    session: text("JSON file with the one session that it serves, without a control server", {
      value: "FILE",
      // SCISTREAM_SESSION is s2uc's.
      env: "SCISTREAM_SESSION_FILE",
    }),
    secretFile: text("file with that session's secret in hex; without it nothing is encrypted", {
      value: "FILE",
    }),
    maxMemory: integer("megabytes that buffers of that session's connections may take", {
      default: "512",
      least: 1,
      most: 1 << 20,
    }),
    maxFiles: integer("file descriptors that it may have", { least: 1, most: 1 << 30 }),
    logFile: text("append diagnostics to this file and not to stderr", { value: "FILE" }),
    config: text("TOML file with any of these options as keys", { value: "FILE" }),
  },
  needs: ["net", "read", "write", "run"],
  args: [],
  examples: ["echo 192.168.10.10:5001 | scistream s2ds"],
  async run({ options }, io) {
    const { controlSocket: socket, logFile, session, secretFile, maxMemory } = options;
    if (session !== undefined) {
      if (socket !== undefined) {
        throw new UsageError(
          "both --session and --control-socket are given; leave one of them away",
        );
      }
      return await serveSession({ ...options, session, maxMemory }, io);
    }
    if (secretFile !== undefined) throw new UsageError("--secret-file is for --session FILE");
    // Who drives it says how many; without one it has to ask, which starts a program.
    const maxFiles = options.maxFiles ?? (socket === undefined ? await askLimit() : undefined);
    keepOnly(["net", "read", "write"]);
    if (socket === undefined) {
      const { serveStdio } = await import("../lib/s2ds/forwarder/stdio.ts");
      await serveStdio({
        stdin: Deno.stdin.readable,
        maxFiles,
        write,
        signal: io.interrupted,
      });
      return Exit.OK;
    }
    const line = (message: string) => `${new Date().toISOString()} s2ds ${Deno.pid}: ${message}\n`;
    const log = logFile
      // A new process starts a new log, so the file stays small; it is its owner's to read.
      ? (Deno.writeTextFileSync(logFile, "", { mode: 0o600 }),
        (message: string) => append(logFile, line(message)))
      : (message: string) => io.err(line(message).trimEnd());
    survive(log);
    try {
      const { serveEngine } = await import("../lib/s2ds/forwarder/control.ts");
      await serveEngine({
        socket,
        maxFiles,
        log,
        signal: io.interrupted,
        onReady: () => write("ready\n"),
      });
      log("ended");
    } catch (error) {
      log(`failed: ${messageOf(error)}`);
      await write(`${messageOf(error)}\n`);
      return Exit.FAILED;
    }
    return Exit.OK;
  },
});

/** Serves the session of a file. */
async function serveSession(
  options: { session: string; secretFile?: string; maxMemory: number; maxFiles?: number },
  io: Io,
): Promise<number> {
  const files = await import("../lib/s2ds/forwarder/session_file.ts");
  const { LONGEST_SESSION, LONGEST_SECRET, parseSessionFile, parseSecretFile } = files;
  const read = async <T>(what: string, path: string, most: number, parse: (text: string) => T) => {
    try {
      return parse(await files.readBounded(path, most));
    } catch (error) {
      throw new UsageError(`cannot take the ${what} ${path}: ${messageOf(error)}`);
    }
  };
  const session = await read("session", options.session, LONGEST_SESSION, parseSessionFile);
  const secret = options.secretFile === undefined
    ? undefined
    : await read("secret", options.secretFile, LONGEST_SECRET, parseSecretFile);
  if (secret && session.udp) {
    throw new UsageError("udp is true, and UDP is not encrypted: leave --secret-file away");
  }
  const maxFiles = options.maxFiles ?? await askLimit();
  const { CannotListen } = await import("../lib/s2ds/forwarder/cannot_listen.ts");
  const { serveAlone } = await import("../lib/s2ds/forwarder/alone.ts");
  keepOnly(["net"]);
  survive((message) => io.err(message));
  try {
    await serveAlone({
      ...{ session, secret, maxFiles, memory: options.maxMemory * 2 ** 20, write },
      signal: io.interrupted,
      forced: io.forced,
    });
    return Exit.OK;
  } catch (error) {
    if (!(error instanceof CannotListen)) throw error;
    io.err(error.message);
    return Exit.FAILED;
  }
}

async function write(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

async function askLimit(): Promise<number | undefined> {
  const { descriptorLimit } = await import("../lib/s2ds/forwarder/descriptors.ts");
  return await descriptorLimit();
}

/** A disk that is full or read-only must not end the streams that a log only tells of. */
function append(file: string, text: string): void {
  try {
    Deno.writeTextFileSync(file, text, { append: true });
  } catch {
    // There is nobody to tell.
  }
}

const group: Group = {
  name: "s2ds",
  summary: "Data server: listens on the gateway and forwards",
  program: true,
  commands: [run],
  standard: "run",
};
export default group;
