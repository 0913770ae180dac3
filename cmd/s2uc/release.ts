import { command } from "../../lib/cli/command.ts";
import { connectionFlags, withClient } from "../../lib/cli/connection.ts";
import { bool } from "../../lib/cli/flags.ts";
import { serversFlag, uidArgument } from "../../lib/cli/session_flags.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "release",
  summary: "End a session and free all that it holds",
  details: `Established connections may finish, for as long as the gateway's --drain-timeout allows.
With several --s2cs, every side is tried, and the command fails if one did.`,
  flags: {
    s2cs: serversFlag("localhost:5000"),
    ...connectionFlags,
    force: bool("cut established connections at once"),
  },
  args: [uidArgument],
  examples: ["s2uc release UID --s2cs 192.168.10.11:5007 --s2cs 192.168.30.10:5007"],
  async run({ options, args }, io) {
    const uid = Uid.parse(args.UID ?? "");
    const { releaseSession } = await import("../../lib/s2uc/requests.ts");
    const results = await Promise.allSettled(
      options.s2cs.map((address) =>
        withClient(
          address,
          options,
          (client) => releaseSession(client, uid, { force: options.force, signal: io.interrupted }),
        )
      ),
    );
    const failures = results.filter((result) => result.status === "rejected");
    for (const failure of failures.slice(1)) {
      io.err(String(failure.reason.details ?? failure.reason));
    }
    if (failures[0]) throw failures[0].reason;
    io.out("Release completed");
    return 0;
  },
});
