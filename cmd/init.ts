import { command, Exit, type Group, type Io } from "../lib/cli/command.ts";
import { bool, list, text } from "../lib/cli/flags.ts";
import { jsonLine } from "../lib/cli/json.ts";
import { s2csFlags } from "../lib/cli/s2cs_flags.ts";
import { jsonFlag } from "../lib/cli/session_flags.ts";
import type { Made } from "../lib/init/gateway.ts";
import { parseHost } from "../lib/protocol/endpoint.ts";
import { configFile } from "../lib/state_dir.ts";

const { listenerIp, wanIp, port, type, portRange, issuer, clientId, clientSecretFile } = s2csFlags;
/** What is written down; all else has its default. */
const chosenFlags = {
  listenerIp,
  wanIp,
  port,
  type,
  portRange,
  issuer,
  clientId,
  clientSecretFile,
};

const make = command({
  name: "make",
  summary: "Write a configuration and a certificate for a gateway",
  details: `Asks on a terminal for what is not given, and writes s2cs.toml with every option of
s2cs explained, server.crt and server.key, for this user alone. Nothing that is there is
replaced without --force. At the end it tells what to type next.`,
  flags: {
    ...chosenFlags,
    dns: list(
      "host name that clients use, for the certificate",
      (each) => parseHost(each, "host name"),
      { value: "NAME", default: "" },
    ),
    dir: text(
      "folder for the files; ~/.config/scistream, where s2cs looks by itself, if not given",
      {
        value: "DIR",
      },
    ),
    yes: bool("ask nothing: defaults for all that is not given", { short: "y" }),
    force: bool("replace files that are there"),
    json: jsonFlag,
  },
  needs: ["read", "write", "env", "run"],
  args: [],
  examples: [
    "scistream init",
    "scistream init --yes --listener-ip 192.168.10.11 --port 5007 --dir gateway",
  ],
  async run({ options, said, texts }, io) {
    const { ownAddresses } = await import("../lib/machine.ts");
    const { parseType } = await import("../lib/s2ds/types.ts");
    const { askForAll, withoutAsking } = await import("../lib/init/questions.ts");
    const { makeGateway } = await import("../lib/init/gateway.ts");
    if (said.has("type")) parseType(options.type);
    const keys = [...Object.keys(chosenFlags), "dir"].filter((key) => said.has(key));
    const standard = configFile("s2cs", io.env) ?? "./s2cs.toml";
    const known = {
      flags: s2csFlags,
      given: Object.fromEntries(keys.map((key) => [key, texts[key] as string])),
      addresses: await ownAddresses(io.interrupted),
      dir: standard.slice(0, standard.lastIndexOf("/")),
      parseType,
    };
    const answers = io.interactive && !options.yes
      ? await askForAll(known, io)
      : withoutAsking(known, options.yes);
    io.interrupted.throwIfAborted();
    const made = await makeGateway(answers, {
      flags: s2csFlags,
      own: known.addresses,
      names: options.dns,
      force: options.force,
    });
    if (options.json) {
      const { clientSecretFile: _, ...told } = made;
      io.out(jsonLine("init", told));
    } else tell(made, io);
    return Exit.OK;
  },
});

function tell({ written, names, next }: Made, io: Io): void {
  for (const path of written) io.out(`wrote ${path}`);
  io.out("");
  io.out(`The certificate is for ${names.join(", ")}.`);
  io.out("Next:");
  for (const { what, commands } of next) {
    io.out(`- ${what}`);
    for (const each of commands) io.out(`    ${each}`);
  }
}

const group: Group = {
  name: "init",
  summary: "Write a configuration and a certificate for a gateway",
  commands: [make],
  standard: "make",
};
export default group;
