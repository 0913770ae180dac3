import { command, Exit, type Group } from "../lib/cli/command.ts";
import { bool, integer, list, text, UsageError } from "../lib/cli/flags.ts";
import { jsonLine } from "../lib/cli/json.ts";
import { jsonFlag } from "../lib/cli/session_flags.ts";
import { messageOf, quote } from "../lib/protocol/errors.ts";
import { parseHost } from "../lib/protocol/endpoint.ts";
import { isIP } from "node:net";

const make = command({
  name: "make",
  summary: "Make a certificate and key for a control server",
  details: `Copy server.crt to every host that talks to this control server; server.key stays.`,
  flags: {
    ip: list("IP address that clients use", (text) => {
      if (isIP(text)) return text;
      throw new UsageError(`${quote(text)} is not an IP address; give names with --dns`);
    }, { value: "IP", default: "" }),
    dns: list("host name that clients use", (text) => parseHost(text, "host name"), {
      value: "NAME",
      default: "",
    }),
    days: integer("days that it is valid", { default: "365", least: 1, most: 3650 }),
    outCrt: text("where the certificate goes", { value: "FILE", default: "server.crt" }),
    outKey: text("where the key goes, readable by its owner alone", {
      value: "FILE",
      default: "server.key",
    }),
    force: bool("replace files that are there"),
    json: jsonFlag,
  },
  needs: ["write"],
  args: [],
  examples: [
    "scistream cert --ip 192.168.10.11",
    "scistream cert --ip 192.168.10.11 --dns gateway.example.org",
  ],
  async run({ options }, io) {
    const { ip, dns, days, outCrt, outKey, force, json } = options;
    if (ip.length + dns.length === 0) {
      throw new UsageError("name at least one --ip ADDRESS or --dns NAME that clients will use");
    }
    const { makeCertificate } = await import("../lib/certificate.ts");
    const { cert, key } = await makeCertificate({ ips: ip, names: dns, days });
    await write(outKey, key, 0o600, force);
    try {
      await write(outCrt, cert, 0o644, force);
    } catch (error) {
      await Deno.remove(outKey);
      throw error;
    }
    io.out(
      json
        ? jsonLine("cert", { cert: outCrt, key: outKey, ips: ip, names: dns, days })
        : `wrote ${outCrt} and ${outKey}, for ${[...ip, ...dns].join(", ")}, valid ${days} days`,
    );
    return Exit.OK;
  },
});

async function write(path: string, text: string, mode: number, replace: boolean): Promise<void> {
  try {
    // Removed first, so that the new file has the new mode from its first byte on.
    if (replace) await Deno.remove(path).catch(() => {});
    await Deno.writeTextFile(path, text, { createNew: true, mode });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new UsageError(`${path} is there already; --force replaces it`);
    }
    throw new UsageError(`cannot write ${path}: ${messageOf(error)}`);
  }
}

const group: Group = {
  name: "cert",
  summary: "Make a certificate and key for a control server",
  commands: [make],
  standard: "make",
};
export default group;
