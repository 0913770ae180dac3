import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags } from "../../lib/cli/connection.ts";
import { askEach } from "../../lib/cli/each_server.ts";
import { bool, list, UsageError } from "../../lib/cli/flags.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag, serversFlag, uidArgument } from "../../lib/cli/session_flags.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "release",
  summary: "End a session and free all that it holds",
  details: `Established connections may finish, for as long as the gateway's --drain-timeout allows.
With several --s2cs, every side is tried, and the command fails if one did. Where control
servers authenticate you, --session and --all need no uid: they are about your own
sessions, and an administrator's are everybody's.`,
  flags: {
    s2cs: serversFlag("localhost:5000"),
    session: list("instead of a UID, sessions as list names them", (name) => name, {
      value: "ID,…",
      default: "",
    }),
    all: bool("instead of a UID, all sessions that list shows"),
    ...clientFlags,
    force: bool("cut established connections at once"),
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [{ ...uidArgument, default: "" }],
  examples: ["s2uc release UID --s2cs 192.168.10.11:5007 --s2cs 192.168.30.10:5007"],
  async run(line, io) {
    const { options, args } = line;
    const { session, all, force } = options;
    const ways = [args.UID !== "", session.length > 0, all].filter(Boolean).length;
    if (ways !== 1) {
      throw new UsageError(
        `which session? Give ${ways === 0 ? "" : "only "}one of UID, --session and --all`,
      );
    }
    const uid = args.UID ? Uid.parse(args.UID) : undefined;
    const { releaseAll, releaseNamed, releaseSession } = await import("../../lib/s2uc/requests.ts");
    const how = { force, signal: io.interrupted };
    const { answers, code } = await askEach(line, io, async (client) => {
      if (all) return await releaseAll(client, how);
      if (uid) await releaseSession(client, uid, how);
      else await releaseNamed(client, session, how);
      return uid ? [uid.session] : session;
    });
    for (const { s2cs, answer: sessions } of answers) {
      if (options.json && sessions) io.out(jsonLine("release", { s2cs, sessions }));
    }
    if (!options.json && code === 0) io.out("Release completed");
    return code;
  },
});
