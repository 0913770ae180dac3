import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags, withClient } from "../../lib/cli/connection.ts";
import { jsonFlag, serversFlag } from "../../lib/cli/session_flags.ts";

export default command({
  name: "list",
  summary: "List a control server's sessions",
  details:
    `A session is named by the first 8 hex digits of the SHA-256 of its uid: the uid is a secret.`,
  flags: { s2cs: serversFlag("localhost:5000"), ...clientFlags, json: jsonFlag },
  needs: CLIENT_POWERS,
  args: [],
  async run(line, io) {
    const { options } = line;
    const { listLines } = await import("../../lib/s2uc/status.ts");
    for (const address of options.s2cs) {
      const { sessions } = await withClient(
        address,
        line,
        io,
        (client) => client.call("list", {}, { signal: io.interrupted }),
      );
      if (options.json) io.out(JSON.stringify({ s2cs: address, sessions }));
      else for (const line of listLines(sessions, Date.now())) io.out(line);
    }
    return 0;
  },
});
