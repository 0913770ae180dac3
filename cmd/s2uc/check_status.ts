import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags } from "../../lib/cli/connection.ts";
import { askEach } from "../../lib/cli/each_server.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag, serversFlag, uidArgument } from "../../lib/cli/session_flags.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "check-status",
  summary: "Show a session: its state, channels, connections and bytes",
  details:
    `With the control servers of both sides it shows the whole path, and whether the consumer's
side leads to the producer's. With several --s2cs, every one is asked, and the command fails
if one did.`,
  flags: { s2cs: serversFlag("localhost:5000"), ...clientFlags, json: jsonFlag },
  needs: CLIENT_POWERS,
  args: [uidArgument],
  examples: [
    "s2uc check-status UID --s2cs 192.168.10.11:5007",
    "s2uc check-status UID --s2cs 192.168.10.11:5007 --s2cs 192.168.30.10:5007",
  ],
  async run(line, io) {
    const { options, args } = line;
    const uid = Uid.parse(args.UID ?? "");
    const { statusLines } = await import("../../lib/s2uc/status.ts");
    const { pathLines, pathOf } = await import("../../lib/s2uc/path.ts");
    const { answers, code } = await askEach(
      line,
      io,
      (client) => client.call("status", { uid: uid.reveal() }, { signal: io.interrupted }),
    );
    const sides = answers.flatMap(({ s2cs, answer }) => answer ? [{ s2cs, status: answer }] : []);
    const path = pathOf(sides);
    if (options.json) {
      for (const { s2cs, status } of sides) io.out(jsonLine("status", { s2cs, ...status }));
      if (path) io.out(jsonLine("path", path));
      return code;
    }
    const lines = answers.length > 1
      ? pathLines(sides, path, Date.now())
      : sides.flatMap(({ status }) => statusLines(status, Date.now()));
    for (const text of lines) io.out(text);
    return code;
  },
});
