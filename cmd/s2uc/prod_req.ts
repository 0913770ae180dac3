import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { mockFlag, newUid, requestFlags, s2csFlag } from "../../lib/cli/session_flags.ts";

export default command({
  name: "prod-req",
  summary: "Ask the producer's control server for a session",
  details: `Reserves listeners at the producer's gateway and waits for the application's hello
(appctrl mock or appctrl run, on the producer's host). Then give the uid and a listener
that it prints to cons-req.`,
  flags: { s2cs: s2csFlag("localhost:5000"), ...requestFlags, mock: mockFlag },
  needs: CLIENT_POWERS,
  args: [],
  examples: ["s2uc prod-req --s2cs 192.168.10.11:5007 --server-cert server.crt"],
  async run(line, io) {
    const { options } = line;
    const { runRequest } = await import("../../lib/s2uc/flow.ts");
    await runRequest({ ...options, reach: line, uid: newUid(options.mock), role: "PROD", io });
    return 0;
  },
});
