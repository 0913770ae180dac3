import { command, Exit, type Group } from "../lib/cli/command.ts";
import { integer, text } from "../lib/cli/flags.ts";
import { keepOnly } from "../lib/cli/powers.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { survive } from "../lib/survive.ts";

const run = command({
  name: "run",
  summary: "Run the built-in data server",
  details: `Without options it speaks the original agent's protocol: it prints the port that it
listens on, reads a target HOST:PORT from standard input, forwards both ways, and ends
when standard input does. s2cs runs it with --control-socket for all its sessions.`,
  flags: {
    controlSocket: text("Unix socket to be driven over; its folder must be this user's alone", {
      value: "PATH",
    }),
    maxFiles: integer("file descriptors that it may have", { least: 1, most: 1 << 30 }),
    logFile: text("append diagnostics to this file and not to stderr", { value: "FILE" }),
    config: text("TOML file with any of these options as keys", { value: "FILE" }),
  },
  needs: ["net", "read", "write", "run"],
  args: [],
  examples: ["echo 192.168.10.10:5001 | scistream s2ds"],
  async run({ options }, io) {
    const { controlSocket: socket, logFile } = options;
    // Who drives it says how many; without one it has to ask, which starts a program.
    const maxFiles = options.maxFiles ?? (socket === undefined ? await askLimit() : undefined);
    keepOnly(["net", "read", "write"]);
    const write = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));
    if (socket === undefined) {
      const { serveStdio } = await import("../lib/s2ds/forwarder/stdio.ts");
      await serveStdio({
        stdin: Deno.stdin.readable,
        maxFiles,
        write: async (text) => void await write(text),
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
