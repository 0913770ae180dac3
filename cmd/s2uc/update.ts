import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags, withClient } from "../../lib/cli/connection.ts";
import { parsed, UsageError } from "../../lib/cli/flags.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag, rateFlag, s2csFlag, uidArgument } from "../../lib/cli/session_flags.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "update",
  summary: "Change a running session's targets or its rate",
  details: `New connections go to the new targets, channel i to target i mod n; established ones
stay where they are. A rate counts for all connections of the session together, each
direction; 0 asks for no limit.`,
  flags: {
    s2cs: s2csFlag("localhost:5000"),
    targets: parsed("where the session forwards to", (text) => Endpoint.parseList(text, "target"), {
      value: "HOST:PORT,…",
    }),
    rate: { ...rateFlag, default: undefined },
    ...clientFlags,
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [uidArgument],
  examples: [
    "s2uc update UID --targets 192.168.10.12:5001 --s2cs 192.168.10.11:5007",
    "s2uc update UID --rate 125000 --s2cs 192.168.10.11:5007",
  ],
  async run(line, io) {
    const { options, args } = line;
    const uid = Uid.parse(args.UID ?? "");
    const { targets, s2cs } = options;
    const rate: number | undefined = options.rate;
    if (!targets && rate === undefined) {
      throw new UsageError("nothing to change; give --targets or --rate");
    }
    const { updateRate, updateSession } = await import("../../lib/s2uc/requests.ts");
    const { interrupted } = io;
    await withClient(s2cs, line, io, async (client) => {
      if (rate !== undefined) await updateRate(client, uid, rate, interrupted);
      if (targets) await updateSession(client, uid, "PROD", targets.map(String), interrupted);
    });
    const changed = { targets: targets?.map(String) ?? null, rate: rate ?? null };
    io.out(
      options.json
        ? jsonLine("update", { s2cs, session: uid.session, ...changed })
        : "Update completed",
    );
    return 0;
  },
});
