import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import {
  mockFlag,
  newUid,
  receiverFlags,
  receivers,
  requestFlags,
  s2csFlag,
} from "../../lib/cli/session_flags.ts";

export default command({
  name: "inbound-request",
  summary: "Ask for the producer's side and say its application's hello too",
  details: `As prod-req, for an application whose address is known: no appctrl is needed.`,
  flags: { s2cs: s2csFlag("localhost:5000"), ...requestFlags, ...receiverFlags, mock: mockFlag },
  needs: CLIENT_POWERS,
  args: [],
  examples: [
    "s2uc inbound-request --s2cs 192.168.10.11:5007 --remote_ip 192.168.10.10 --receiver_ports 5001",
  ],
  async run(line, io) {
    const { options } = line;
    const { runRequest } = await import("../../lib/s2uc/flow.ts");
    const uid = newUid(options.mock);
    await runRequest({
      ...options,
      reach: line,
      uid,
      role: "PROD",
      receivers: receivers(options),
      io,
    });
    return 0;
  },
});
