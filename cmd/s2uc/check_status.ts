import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags, withClient } from "../../lib/cli/connection.ts";
import { jsonFlag, serversFlag, uidArgument } from "../../lib/cli/session_flags.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "check-status",
  summary: "Show a session: its state, channels, connections and bytes",
  flags: { s2cs: serversFlag("localhost:5000"), ...clientFlags, json: jsonFlag },
  needs: CLIENT_POWERS,
  args: [uidArgument],
  examples: ["s2uc check-status UID --s2cs 192.168.10.11:5007"],
  async run(line, io) {
    const { options, args } = line;
    const uid = Uid.parse(args.UID ?? "");
    const { statusLines } = await import("../../lib/s2uc/status.ts");
    for (const address of options.s2cs) {
      const status = await withClient(
        address,
        line,
        io,
        (client) => client.call("status", { uid: uid.reveal() }, { signal: io.interrupted }),
      );
      if (options.json) io.out(JSON.stringify({ s2cs: address, ...status }));
      else for (const line of statusLines(status, Date.now())) io.out(line);
    }
    return 0;
  },
});
