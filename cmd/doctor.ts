import { command, Exit, type Group } from "../lib/cli/command.ts";
import { clientFlags, parseAddress } from "../lib/cli/connection.ts";
import { parsed } from "../lib/cli/flags.ts";
import { jsonLine } from "../lib/cli/json.ts";
import { checkTogether, s2csFlags } from "../lib/cli/s2cs_flags.ts";
import { jsonFlag } from "../lib/cli/session_flags.ts";
import type { Check, Report } from "../lib/doctor/check.ts";

// How much s2cs says, and its version, are nothing to check.
const { version: _version, verbose: _verbose, ...gatewayFlags } = s2csFlags;

const check = command({
  name: "check",
  summary: "Check this machine for being a gateway, or a gateway elsewhere",
  details: `Takes the options of s2cs and reads the same configuration, so that
\`scistream doctor --config s2cs.toml\` looks at what \`s2cs --config s2cs.toml\` would use:
run it as the user that will run s2cs. It changes nothing. Each check is a line (ok,
warning, problem, or - where nothing can be said), and below it what to do. With --s2cs
it looks at a control server elsewhere instead, as its clients see it. The exit code
is 1 if there is a problem.`,
  flags: {
    s2cs: parsed("a control server elsewhere, and nothing of this machine", parseAddress, {
      value: "HOST:PORT",
    }),
    serverCert: clientFlags.serverCert,
    json: jsonFlag,
    ...gatewayFlags,
  },
  // Of these it writes only to the Docker Engine's socket.
  needs: ["net", "read", "write", "env", "run"],
  args: [],
  examples: [
    "scistream doctor --config s2cs.toml",
    "scistream doctor --s2cs 192.168.10.11:5007 --server-cert server.crt",
  ],
  async run(line, io) {
    const { options } = line;
    const { examine } = await import("../lib/doctor/check.ts");
    const counts = { ok: 0, warn: 0, fail: 0, skip: 0 };
    for await (const report of examine(await checksOf(), io.interrupted)) {
      counts[report.status]++;
      io.out(options.json ? jsonLine("check", report) : shown(report));
    }
    if (!options.json) {
      io.out(`${count(counts.fail, "problem")}, ${count(counts.warn, "warning")}`);
    }
    return counts.fail > 0 ? Exit.FAILED : Exit.OK;

    async function checksOf(): Promise<Check[]> {
      const { s2cs, ssl, serverCert } = options;
      if (s2cs) {
        const { remoteChecks } = await import("../lib/doctor/remote.ts");
        return remoteChecks({ address: s2cs, ssl, serverCert });
      }
      const { dockerHost } = await import("../lib/cli/docker_host.ts");
      const { isElsewhere, parseType } = await import("../lib/s2ds/types.ts");
      const { gatewayChecks } = await import("../lib/doctor/gateway.ts");
      const { defaultStateDir } = await import("../lib/state_dir.ts");
      const type = parseType(options.type);
      const engine = await dockerHost(options.dockerSocket, io.env, io.err);
      return gatewayChecks({
        ...options,
        type,
        dockerHost: engine,
        elsewhere: isElsewhere(type, engine),
        stateDir: options.stateDir ?? defaultStateDir(io.env),
        file: line.file,
        agree: () => checkTogether(options),
      });
    }
  },
});

const WORDS: Record<Report["status"], string> = {
  ok: "ok",
  warn: "warning",
  fail: "PROBLEM",
  skip: "-",
};

/** A line for what was found, and one for what to do. */
function shown({ name, status, found, advice }: Report): string {
  const line = `${WORDS[status].padEnd(9)}${name.padEnd(20)}${found}`;
  return advice ? `${line}\n${" ".repeat(9)}-> ${advice}` : line;
}

function count(n: number, what: string): string {
  return `${n || "no"} ${what}${n === 1 ? "" : "s"}`;
}

const group: Group = {
  name: "doctor",
  summary: "Check this machine for being a gateway, or a gateway elsewhere",
  commands: [check],
  standard: "check",
  configOf: "s2cs",
};
export default group;
