import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags } from "../../lib/cli/connection.ts";
import { askEach } from "../../lib/cli/each_server.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag, serversFlag } from "../../lib/cli/session_flags.ts";

export default command({
  name: "list",
  summary: "List a control server's sessions, or those of several",
  details:
    `A session is named by the first 8 hex digits of the SHA-256 of its uid: the uid is a secret.
With several --s2cs, every one is asked, and the command fails if one did.`,
  flags: { s2cs: serversFlag("localhost:5000"), ...clientFlags, json: jsonFlag },
  needs: CLIENT_POWERS,
  args: [],
  async run(line, io) {
    const { options } = line;
    const { listLines } = await import("../../lib/s2uc/status.ts");
    const { answers, code } = await askEach(
      line,
      io,
      (client) => client.call("list", {}, { signal: io.interrupted }),
    );
    const servers = answers.flatMap(({ s2cs, answer }) =>
      answer ? [{ s2cs, sessions: answer.sessions }] : []
    );
    if (options.json) { for (const server of servers) io.out(jsonLine("list", server)); }
    else if (servers.length > 0) {
      for (const text of listLines(servers, Date.now(), options.s2cs.length > 1)) io.out(text);
    }
    return code;
  },
});
