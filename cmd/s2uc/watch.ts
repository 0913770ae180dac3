import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags } from "../../lib/cli/connection.ts";
import { integer, seconds, UsageError } from "../../lib/cli/flags.ts";
import { jsonFlag, serversFlag, uidArgument } from "../../lib/cli/session_flags.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "watch",
  summary: "Show sessions as they are from second to second",
  details:
    `With a UID its channels, each with its speed in both directions over the last seconds, at
every --s2cs that has the session; without one all your sessions, two lines each. Ends when
the session is over, after --count updates, or on Ctrl-C, with exit code 0. Where nobody
looks at a terminal it prints a line for each session that has changed.`,
  flags: {
    s2cs: serversFlag("localhost:5000"),
    interval: seconds("between two updates; a control server tells once a second", {
      default: "1",
    }),
    count: integer("end after so many updates of each control server", {
      least: 1,
      most: 1_000_000_000,
    }),
    ...clientFlags,
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [{ ...uidArgument, default: "" }],
  examples: [
    "s2uc watch UID --s2cs 192.168.10.11:5007 --s2cs 192.168.30.10:5007",
    "s2uc watch --s2cs 192.168.10.11:5007 --json --count 10",
  ],
  async run(line, io) {
    const { options, args } = line;
    if (options.interval < 1000) {
      throw new UsageError("--interval is at least 1: a control server tells once a second");
    }
    const uid = args.UID ? Uid.parse(args.UID) : undefined;
    const { watch } = await import("../../lib/s2uc/watch.ts");
    const count: number | undefined = options.count;
    return await watch({ ...options, s2cs: [...new Set(options.s2cs)], uid, count }, line, io);
  },
});
