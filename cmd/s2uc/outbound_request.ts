import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import {
  mockFlag,
  prodListenersArgument,
  receiverFlags,
  receivers,
  requestFlags,
  s2csFlag,
  uidArgument,
} from "../../lib/cli/session_flags.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "outbound-request",
  summary: "Ask for the consumer's side and say its application's hello too",
  details: `As cons-req, without an appctrl on the consumer's host.`,
  flags: { s2cs: s2csFlag("localhost:6000"), ...requestFlags, ...receiverFlags, mock: mockFlag },
  needs: CLIENT_POWERS,
  args: [uidArgument, prodListenersArgument],
  examples: ["s2uc outbound-request --s2cs 192.168.30.10:5007 UID 192.168.20.10:5100"],
  async run(line, io) {
    const { options, args } = line;
    const uid = Uid.parse(args.UID ?? "");
    const prodListeners = Endpoint.parseList(args.PROD_LSTN ?? "", "producer's listener");
    const { runRequest } = await import("../../lib/s2uc/flow.ts");
    await runRequest({
      ...options,
      reach: line,
      uid,
      role: "CONS",
      prodListeners,
      receivers: receivers(options),
      io,
    });
    return 0;
  },
});
